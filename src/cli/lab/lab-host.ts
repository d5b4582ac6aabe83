// Which host the machines of the laboratory stand on: a combination by its name, or a description.
import { readFileSync } from "node:fs";
import type { HostPlan } from "../../iommufd/index.ts";
import { CliError } from "../errors.ts";
import { readHostText } from "../host/read-file.ts";

/** Which of the two devices (the disk first) have something. */
const SHARES: Readonly<Record<string, readonly [boolean, boolean]>> = {
  all: [true, true],
  none: [false, false],
  first: [true, false],
  second: [false, true],
};

export interface LabHost {
  readonly name: string;
  readonly text: string;
  readonly plan: HostPlan;
  /** Block nodes that its NVMe controllers have for disks. */
  readonly drives: readonly string[];
}

/**
 * `UNITS/LOGS`, each `all`, `none`, `first` or `second`: an NVMe disk and a DMA engine, whose units have dirty bits or not,
 * and which log what they write or not; or a description in a file. Throws CliError.
 */
export function labHost(given: string): LabHost {
  const [, units, logs] = /^(all|none|first|second)\/(all|none|first|second)$/.exec(given) ?? [];
  const text = units === undefined ? readText(given) : combination(SHARES[units]!, SHARES[logs!]!);
  const plan = readHostText(text, units === undefined ? given : `host ${given}`);
  const drives = plan.devices.map(({ properties }) => properties["drive"]).filter((drive) => typeof drive === "string");
  return { name: given, text, plan, drives };
}

function combination(units: readonly boolean[], logs: readonly boolean[]): string {
  const device = (n: number, rest: object): object => ({
    ...{ bdf: `0000:0${n + 1}:00.0`, unit: `u${n}`, group: n + 1 },
    ...{ migration: ["stop-copy", "p2p", "pre-copy"], dmaLog: logs[n]!, ...rest },
  });
  const description = {
    units: units.map((tracks, n) => ({ id: `u${n}`, profile: tracks ? "vtd-ssads" : "vtd" })),
    devices: [
      device(0, { kind: "nvme", properties: { drive: "disk0", serial: "lab" } }),
      device(1, { kind: "dma-engine" }),
    ],
  };
  return JSON.stringify(description, undefined, 2);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const would = "a file, or UNITS/LOGS with all, none, first or second for each (all/none) would do";
    throw new CliError("badFile", `Cannot be read: ${(cause as Error).message}; ${would}`, { subject: path, cause });
  }
}
