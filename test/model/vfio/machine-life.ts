// A machine's life with assigned devices, as its guest, its operator and its meters live it: the same calls each time, so
// that any of them can be made to fail.
import { VmError } from "../../../src/base/index.ts";
import { MemoryNode } from "../../../src/block/index.ts";
import { readHostDescription } from "../../../src/iommufd/index.ts";
import { PciBench } from "../../../src/machine/testing/pci-bench.ts";
import type { DirtyEpoch } from "../../../src/memory/index.ts";
import { builtInKinds } from "../../../src/vfiohost/index.ts";
import { settle } from "./settle.ts";

const NVME = "0000:03:00.0";
const ENGINE = "0000:01:00.0";
/** Device files are numbered in the order of the description. */
export const ENGINE_PATH = "/dev/vfio/devices/vfio0";
export const NVME_PATH = "/dev/vfio/devices/vfio1";
const RAM = 0x8000_0000;
const ENGINE_AT = 0x4000_0000;
const NVME_AT = 0x4010_0000;
const able = { migration: ["stop-copy", "p2p"] };

const description = JSON.stringify({
  units: [
    { id: "u0", profile: "vtd-ssads" },
    { id: "u1", profile: "smmuv3" },
  ],
  devices: [
    { bdf: ENGINE, kind: "dma-engine", unit: "u1", group: 1, dmaLog: true, ...able, properties: { memory: "16k" } },
    { bdf: NVME, kind: "nvme", unit: "u0", group: 2, properties: { serial: "s", drive: "d0" }, ...able },
  ],
});
const nvme = {
  driver: "vfio-pci",
  id: "n0",
  properties: { host: NVME, iommufd: "f0", bus: "rp0" },
};

export interface Life {
  /** What the guest and the operator were told; none of it ended the machine. */
  readonly troubles: string[];
  readonly runState: string;
}

/** Throws what is no VmError, and whatever a guest's access throws. A machine that is refused has no run state. */
export async function liveOnce(): Promise<Life> {
  const troubles: string[] = [];
  let bench: PciBench;
  try {
    bench = makeBench();
  } catch (error) {
    troubles.push(troubleOf(error));
    return { troubles, runState: "refused" };
  }
  try {
    await new MachineLife(bench, troubles).live();
    return { troubles: [...troubles, ...bench.guestErrors], runState: bench.machine.runState };
  } finally {
    await bench.machine.close();
  }
}

export function makeBench(boardOptions: Readonly<Record<string, string>> = {}): PciBench {
  return new PciBench(
    [
      { driver: "vfio-pci", id: "e0", properties: { host: ENGINE, iommufd: "f0", addr: "2" } },
      { driver: "pcie-root-port", id: "rp0", properties: { addr: "4" } },
      nvme,
    ],
    {
      iommufds: [{ id: "f0", host: readHostDescription(description, builtInKinds), policy: "mixed" }],
      blockNodes: [new MemoryNode({ nodeName: "d0", content: 0x1_0000 })],
      memoryBytes: 8 << 20,
      boardOptions,
    },
  );
}

function troubleOf(error: unknown): string {
  if (!(error instanceof VmError)) throw error;
  return error.message;
}

export class MachineLife {
  readonly engineRegisters: number = ENGINE_AT;
  readonly nvmeRegisters: number = NVME_AT;
  readonly #bench: PciBench;
  readonly #troubles: string[];

  constructor(bench: PciBench, troubles: string[]) {
    this.#bench = bench;
    this.#troubles = troubles;
  }

  async live(): Promise<void> {
    this.place();
    const epoch = this.#try(() => this.#bench.world.notes.openEpoch("meter"));
    this.fill(RAM + 0x1_0000);
    await this.read(RAM + 0x2_0000);
    this.#meter(epoch);
    this.#bench.machine.reset();
    this.place();
    await this.read(RAM + 0x3_0000);
    this.swap();
    this.place();
    await this.read(RAM + 0x4_0000);
    this.fill(RAM + 0x5_0000);
    this.#meter(epoch);
    epoch?.close();
    this.#bench.machine.migrationBlockers.map(({ message }) => message);
  }

  #try<T>(what: () => T): T | undefined {
    try {
      return what();
    } catch (error) {
      this.#troubles.push(troubleOf(error));
      return undefined;
    }
  }

  /** Twice, as a consumer that tries again would. */
  #meter(epoch: DirtyEpoch | undefined): void {
    this.#try(() => epoch?.read());
    this.#try(() => epoch?.read());
  }

  /** BARs, buses, bus mastering, MSI-X. */
  place(): void {
    const bench = this.#bench;
    const engine = bench.ecam(0, 2);
    bench.write(engine + 0x10, ENGINE_AT);
    bench.write(engine + 0x18, ENGINE_AT + 0x1_0000);
    bench.write(engine + 4, 6, 2);
    const port = bench.ecam(0, 4);
    bench.write(port + 0x18, 0x0001_0100);
    bench.write(port + 0x20, 0x4010_4010);
    bench.write(port + 4, 6, 2);
    const drive = bench.ecam(1, 0);
    bench.write(drive + 0x10, NVME_AT);
    bench.write(drive + 0x14, 0);
    bench.write(drive + 4, 6, 2);
    let at = bench.read(drive + 0x34, 1);
    for (let i = 0; i < 8 && at !== 0 && bench.read(drive + at, 1) !== 0x11; i++) at = bench.read(drive + at + 1, 1);
    bench.write(drive + at + 2, 0x8000, 2);
  }

  fill(to: number): void {
    const bench = this.#bench;
    bench.write(ENGINE_AT + 0x08, 1);
    bench.write(ENGINE_AT + 0x28, to);
    bench.write(ENGINE_AT + 0x30, 0x2000);
    bench.write(ENGINE_AT + 0x34, 0x5a5a_5a5a);
    bench.write(ENGINE_AT + 0x14, 3);
    bench.write(ENGINE_AT + 0x48, 2);
    bench.runTimers();
    bench.read(ENGINE_AT + 0x10);
  }

  /** Enables the controller, and identifies it into memory. */
  async read(to: number): Promise<void> {
    const bench = this.#bench;
    bench.write(NVME_AT + 0x14, 0);
    bench.write(NVME_AT + 0x24, 0x000f_000f);
    for (const [at, value] of [
      [0x28, RAM + 0x6_0000],
      [0x2c, 0],
      [0x30, RAM + 0x6_1000],
      [0x34, 0],
    ] as const) {
      bench.write(NVME_AT + at, value);
    }
    bench.write(NVME_AT + 0x14, 0x0046_0001);
    const words: Readonly<Record<number, number>> = { 0: 6, 6: to, 10: 1 };
    for (let word = 0; word < 16; word++) bench.write(RAM + 0x6_0000 + 4 * word, words[word] ?? 0);
    bench.write(NVME_AT + 0x1000, 1);
    bench.runTimers();
    await settle();
    bench.read(NVME_AT + 0x1c);
  }

  /** The drive goes through its root port, and comes again. */
  swap(): void {
    const bench = this.#bench;
    const port = bench.ecam(0, 4);
    let express = bench.read(port + 0x34, 1);
    while (express !== 0 && bench.read(port + express, 1) !== 0x10) express = bench.read(port + express + 1, 1);
    bench.write(port + express + 24, 0x1c0, 2);
    this.#try(() => bench.machine.removeDevice("n0"));
    bench.write(port + express + 24, 0x7c0, 2);
    this.#try(() => bench.machine.addDevice(nvme));
    bench.write(port + express + 24, 0x1c0, 2);
  }
}
