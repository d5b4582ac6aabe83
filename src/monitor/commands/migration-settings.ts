// Parameters and capabilities of migrations from here.
import type { MigrationParameters } from "../../migration/index.ts";
import { QmpError } from "../errors.ts";
import { command, type Command } from "../schema/command.ts";
import {
  arrayOf,
  bool,
  enumType,
  optional,
  size,
  struct,
  uint64,
  type StructType,
  type ValueOf,
} from "../schema/types.ts";
import { controlOf } from "./migration-control.ts";

/** Those that do something here. */
const Capability = enumType("MigrationCapability", [
  "events",
  "pause-before-switchover",
  "return-path",
  "switchover-ack",
]);
const CapabilityStatus = struct("MigrationCapabilityStatus", { capability: Capability, state: bool });
const Parameters = struct("MigrationParameters", {
  "max-bandwidth": optional(size),
  "downtime-limit": optional(uint64),
  "avail-switchover-bandwidth": optional(size),
});

export const capabilityNames: readonly string[] = Capability.values;
export const parameterTypes: StructType<unknown>["members"] = Parameters.members;

export function migrationSettings(): readonly Command[] {
  const capabilities = {
    events: false,
    "pause-before-switchover": false,
    "return-path": true,
    "switchover-ack": false,
  };
  return [
    command("migrate-set-capabilities", {
      args: struct("q_obj_migrate-set-capabilities-arg", { capabilities: arrayOf(CapabilityStatus) }),
      run(context, { capabilities: wanted }) {
        for (const { capability, state } of wanted) {
          if (capability === "return-path" && !state) throw new QmpError("Sockets always have a return path here");
          capabilities[capability] = state;
        }
        controlOf(context).set({
          pauseBeforeSwitchover: capabilities["pause-before-switchover"],
          switchoverAck: capabilities["switchover-ack"],
        });
        context.tellsMigration.current = capabilities.events;
      },
    }),
    command("query-migrate-capabilities", {
      returns: arrayOf(CapabilityStatus),
      run: () => Capability.values.map((capability) => ({ capability, state: capabilities[capability] })),
    }),
    command("migrate-set-parameters", {
      args: Parameters,
      run: (context, given) => controlOf(context).set(parametersOf(given)),
    }),
    command("query-migrate-parameters", {
      returns: Parameters,
      run(context) {
        const { maxBandwidth, downtimeLimitMs, switchoverBandwidth } = controlOf(context).parameters;
        return {
          "max-bandwidth": maxBandwidth,
          "downtime-limit": downtimeLimitMs,
          "avail-switchover-bandwidth": switchoverBandwidth,
        };
      },
    }),
  ];
}

function parametersOf(given: ValueOf<typeof Parameters>): Partial<MigrationParameters> {
  const { "max-bandwidth": bandwidth, "downtime-limit": downtime, "avail-switchover-bandwidth": switchover } = given;
  if (downtime !== undefined && Number(downtime) > 2_000_000) {
    throw new QmpError("Parameter 'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms");
  }
  return {
    ...(bandwidth !== undefined && { maxBandwidth: Number(bandwidth) }),
    ...(downtime !== undefined && { downtimeLimitMs: Number(downtime) }),
    ...(switchover !== undefined && { switchoverBandwidth: Number(switchover) }),
  };
}
