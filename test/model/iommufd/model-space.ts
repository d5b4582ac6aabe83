// What a run of the model works on: a host's objects, each with what it should be like.
import type { Access, BoundDevice, DeviceDma } from "../../../src/iommufd/index.ts";
import type { NaiveSpace, NaiveTable } from "./naive-space.ts";

/** The kinds of host that runs go through, one after the other. */
export const CASES = [
  { profile: "vtd-ssads", largePages: true, kernelQuirks: false },
  { profile: "smmuv3-httu", largePages: true, kernelQuirks: true },
  { profile: "amd", largePages: false, kernelQuirks: false },
  { profile: "riscv-hwad", largePages: true, kernelQuirks: true },
] as const;

export interface Table {
  readonly id: number;
  readonly naive: NaiveTable;
}

export interface Device {
  readonly bound: BoundDevice;
  readonly dma: DeviceDma;
  table: Table | undefined;
}

export interface Space {
  readonly naive: NaiveSpace;
  readonly ioasId: number;
  /** Some with dirty bits, some without; they come and go. */
  readonly tables: Table[];
  readonly devices: readonly Device[];
  /** A mediated device, which no table knows of. */
  readonly access: Access;
  /** What it holds pinned: first page and count. */
  readonly pins: { readonly first: number; readonly count: number }[];
}

export function differs(what: string, got: unknown, want: unknown): void {
  if (got !== want) throw new Error(`${what}: the host says ${String(got)}, the naive space ${String(want)}`);
}
