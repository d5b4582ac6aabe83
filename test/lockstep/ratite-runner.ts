// Runs batches on Ratite: one machine in this process, its programs one after another.
import { createMachine, type Machine, type MachineConfig, type MachineHost } from "../../src/machine/index.ts";
import { placeBatch, readOutcome, type Outcome } from "./batch.ts";
import type { LockstepCpu } from "./cpu.ts";
import type { Keeper } from "./keeper.ts";
import * as map from "./memory-map.ts";
import type { BatchRun, Runner } from "./runner.ts";

/** A batch of programs that all end in time takes far less. */
const SECONDS_PER_PROGRAM = 5;

export class RatiteRunner implements Runner {
  readonly name: string;
  readonly #cpu: LockstepCpu;
  readonly #keeper: Keeper;

  constructor(cpu: LockstepCpu, keeper: Keeper, accel = "interpreter") {
    this.name = `Ratite ${accel}`;
    this.#cpu = cpu;
    this.#keeper = keeper;
  }

  async run(images: readonly Uint8Array[]): Promise<BatchRun> {
    const machine = createMachine(config(this.#cpu, this.#keeper.image), host());
    const ram = machine.memoryBlocks.find((block) => block.bytes.length === map.RAM_BYTES)!.bytes;
    placeBatch(ram, this.#keeper.image, images);
    const isEnded = await ended(machine, images.length * SECONDS_PER_PROGRAM);
    const outcomes: Outcome[] = images.map((_, i) => readOutcome(ram, i));
    const run = { outcomes, ram: ram.slice(), isEnded };
    await machine.close();
    return run;
  }

  async close(): Promise<void> {}
}

/** False when it had to be ended. */
async function ended(machine: Machine, seconds: number): Promise<boolean> {
  machine.start();
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), seconds * 1000);
  });
  const isEnded = await Promise.race([machine.ended.then(() => true), late]);
  clearTimeout(timer);
  if (!isEnded) machine.quit("host-quit");
  return isEnded;
}

function config(cpu: LockstepCpu, keeper: Uint8Array): MachineConfig {
  return {
    board: "virt",
    boardOptions: {},
    cpu: { model: cpu.model, features: cpu.settings },
    smp: 1,
    memoryBytes: map.RAM_BYTES,
    firmware: { name: "keeper", bytes: keeper },
    commandLine: "",
    serials: [],
    devices: [],
    noReboot: false,
    noShutdown: false,
    startPaused: false,
    rtc: { base: "utc", clock: "host" },
    icount: { shift: 0, align: false, sleep: false },
    seed: 1n,
  };
}

function host(): MachineHost {
  const clock = { nowNs: () => performance.now() * 1e6 };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  return {
    clock,
    wallClock: { nowUnixNs: () => 0n },
    timers: { clock, create: () => ({ arm: () => undefined, disarm: () => undefined, deadlineNs: undefined }) },
    rng: { fill: (into) => void into.fill(1) },
    trace: { guestError: () => undefined },
    yield: { turn, sleep: turn, wake: () => undefined },
    chardevs: new Map(),
    blockNodes: new Map(),
  };
}
