// Devices plugged and unplugged while the guest runs.
import { MachineError } from "../../machine/index.ts";
import { QmpError } from "../errors.ts";
import type { JsonObject, JsonValue } from "../json/value.ts";
import { command, type Command } from "../schema/command.ts";
import { event, type EventType } from "../schema/event.ts";
import { optional, str, struct } from "../schema/types.ts";

const DeviceAdd = struct("q_obj_device_add-arg", { driver: str, bus: optional(str), id: optional(str) });
const DeviceDel = struct("q_obj_device_del-arg", { id: str });
const DeviceDeleted = struct("q_obj_DEVICE_DELETED-arg", { device: optional(str), path: str });

export interface DeviceDeletedData {
  readonly device?: string | undefined;
  readonly path: string;
}

export const deviceDeletedEvent: EventType<DeviceDeletedData> = event("DEVICE_DELETED", DeviceDeleted);

export function peripheralPath(id: string): string {
  return `/machine/peripheral/${id}`;
}

function property([name, value]: [string, JsonValue]): [string, string | number | boolean] {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return [name, value];
  if (typeof value === "bigint") return [name, value.toString()];
  throw new QmpError(`Invalid parameter type for '${name}', expected: string, number or boolean`);
}

export const deviceCommands: readonly Command[] = [
  command("device_add", {
    args: DeviceAdd,
    takesMore: true,
    run: ({ machine, migration }, args) => {
      if (migration?.isActive === true) throw new QmpError("device_add not allowed while migrating");
      const { driver, id } = args;
      const others = Object.entries(args as JsonObject).filter(([name]) => name !== "driver" && name !== "id");
      const properties = Object.fromEntries(others.map(property));
      try {
        machine.addDevice({ driver, properties, ...(id !== undefined && { id }) });
      } catch (cause) {
        if (!(cause instanceof MachineError) || cause.code !== "unknownDevice") throw cause;
        throw new QmpError(`'${driver}' is not a valid device model name`, "GenericError", { cause });
      }
    },
  }),
  command("device_del", {
    args: DeviceDel,
    run({ machine, migration }, { id }) {
      if (migration?.isActive === true) throw new QmpError("device_del not allowed while migrating");
      const name = id.startsWith(peripheralPath("")) ? id.slice(peripheralPath("").length) : id;
      try {
        machine.removeDevice(name);
      } catch (cause) {
        if (!(cause instanceof MachineError) || cause.code !== "unknownDevice") throw cause;
        throw new QmpError(`Device '${id}' not found`, "DeviceNotFound", { cause });
      }
    },
  }),
];
