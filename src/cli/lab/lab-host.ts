// Which host the machines of the laboratory stand on: a combination by its name, or a description.
import { readFileSync } from "node:fs";
import type { HostPlan } from "../../iommufd/index.ts";
import { CliError } from "../errors.ts";
import { readHostText } from "../host/read-file.ts";

/** Which of the two devices of each kind (of the PCI ones the disk is the first) have something. */
const SHARES: Readonly<Record<string, readonly [boolean, boolean]>> = {
  all: [true, true],
  none: [false, false],
  first: [true, false],
  second: [false, true],
};

/** PCI devices, mediated ones, or both; in the order in which they are assigned. */
const KINDS: Readonly<Record<string, readonly ("pci" | "mdev")[]>> = {
  pci: ["pci"],
  mdev: ["mdev"],
  both: ["pci", "mdev"],
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
 * and which log what they write or not; `UNITS/LOGS/mdev`: two mediated serial devices, which have no unit; `UNITS/LOGS/both`:
 * all four; or a description in a file. Throws CliError.
 */
export function labHost(given: string): LabHost {
  const [, units, logs, , kinds = "pci"] =
    /^(all|none|first|second)\/(all|none|first|second)(\/(pci|mdev|both))?$/.exec(given) ?? [];
  const text = units === undefined ? readText(given) : combination(SHARES[units]!, SHARES[logs!]!, KINDS[kinds]!);
  const plan = readHostText(text, units === undefined ? given : `host ${given}`);
  const drives = plan.devices.map(({ properties }) => properties["drive"]).filter((drive) => typeof drive === "string");
  return { name: given, text, plan, drives };
}

function combination(units: readonly boolean[], logs: readonly boolean[], kinds: readonly ("pci" | "mdev")[]): string {
  const common = (n: number): object => ({ migration: ["stop-copy", "p2p", "pre-copy"], dmaLog: logs[n]! });
  const pci = (n: number, rest: object): object => ({
    ...{ bdf: `0000:0${n + 1}:00.0`, unit: `u${n}`, group: n + 1 },
    ...common(n),
    ...rest,
  });
  const devices = {
    pci: [pci(0, { kind: "nvme", properties: { drive: "disk0", serial: "lab" } }), pci(1, { kind: "dma-engine" })],
    mdev: ["serial0", "serial1"].map((id, n) => ({ id, kind: "mdev-serial", ...common(n) })),
  };
  const description = {
    units: kinds.includes("pci")
      ? units.map((tracks, n) => ({ id: `u${n}`, profile: tracks ? "vtd-ssads" : "vtd" }))
      : [],
    devices: kinds.flatMap((kind) => devices[kind]),
  };
  return JSON.stringify(description, undefined, 2);
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const would = "a file, or UNITS/LOGS with all, none, first or second for each (all/none), would do";
    throw new CliError("badFile", `Cannot be read: ${(cause as Error).message}; ${would}`, {
      subject: `--host ${path}`,
      cause,
    });
  }
}
