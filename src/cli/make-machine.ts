// The machine of an opened plan; what it refuses is told by the option that asked for it.
import { VmError } from "../base/index.ts";
import type { NodeHost } from "../host/node/index.ts";
import { createMachine, type Machine } from "../machine/index.ts";
import { aboutSubject } from "./errors.ts";
import type { OpenedPlan } from "./open-plan.ts";
import type { DevicePlan, MachinePlan } from "./plan.ts";

/** Throws a VmError. */
export function makeMachine(
  plan: MachinePlan,
  { config, chardevs, blockNodes }: OpenedPlan,
  host: NodeHost,
  notice: (message: string) => void,
): Machine {
  try {
    return createMachine(config, { ...host, notice, chardevs, blockNodes });
  } catch (error) {
    const option = error instanceof VmError && error.subject !== undefined ? optionOf(error.subject, plan) : undefined;
    throw option === undefined ? error : aboutSubject(option, error);
  }
}

/** The option behind what a machine calls the subject of an error: a file, a device's driver, `aia=aplic`, its RAM. */
export function optionOf(subject: string, plan: MachinePlan): string | undefined {
  for (const file of [plan.kernel, plan.initrd, plan.dtb, plan.firmware]) {
    if (typeof file === "object" && file.path === subject) return file.subject;
  }
  const file = plan.fwCfg.find(({ name }) => name === subject);
  if (file !== undefined) return file.content.subject;
  const [property, value] = Object.entries(plan.boardOptions).find(([key, text]) => `${key}=${text}` === subject) ?? [];
  if (property !== undefined) return `-machine ${property}=${value}`;
  if (/^[^.]+\.ram$/.test(subject)) return `-m ${plan.memoryBytes / 2 ** 20}M`;
  const names = ({ driver, properties }: DevicePlan): boolean =>
    driver === subject || (driver === "vfio-pci" && isHostDevice(properties, subject));
  const users = plan.devices.filter(names);
  return users.length === 1 ? users[0]?.subject : undefined;
}

/** Whether these properties of a `vfio-pci` name that device of a host. */
function isHostDevice({ host, sysfsdev }: DevicePlan["properties"], name: string): boolean {
  return name === host || name === `0000:${String(host)}` || String(sysfsdev).endsWith(`/${name}`);
}
