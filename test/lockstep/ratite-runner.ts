// Runs batches on Ratite: one machine in this process, its programs one after another.
import { defaultAccelerator, type AcceleratorConfig } from "../../src/accel/port.ts";
import { createMachine, type Machine, type MachineConfig, type MachineHost } from "../../src/machine/index.ts";
import { placeBatch, readOutcome, type Outcome } from "./batch.ts";
import type { LockstepCpu } from "./cpu.ts";
import type { Keeper } from "./keeper.ts";
import * as map from "./memory-map.ts";
import type { BatchRun, Runner } from "./runner.ts";

/** A batch of programs that all end in time takes far less, also compiled on a host that is busy. */
const SECONDS_PER_PROGRAM = 30;

export class RatiteRunner implements Runner {
  readonly name: string;
  readonly countsInstructions = true;
  readonly #cpu: LockstepCpu;
  readonly #keeper: Keeper;

  /** Kept from batch to batch: making one costs more than running a few programs. */
  #machine: Machine | undefined;
  readonly #tier: AcceleratorConfig["tier"];

  constructor(cpu: LockstepCpu, keeper: Keeper, tier: AcceleratorConfig["tier"] = "interpreter") {
    this.name = `Ratite ${tier}`;
    this.#tier = tier;
    this.#cpu = cpu;
    this.#keeper = keeper;
  }

  async run(images: readonly Uint8Array[]): Promise<BatchRun> {
    const isFirst = this.#machine === undefined;
    const machine = (this.#machine ??= createMachine(config(this.#cpu, this.#keeper.image, this.#tier), host()));
    if (!isFirst) machine.reset();
    const ram = machine.memoryBlocks.find((block) => block.bytes.length === map.RAM_BYTES)!.bytes;
    placeBatch(ram, this.#keeper.image, images);
    const isEnded = await hasEnded(machine, images.length * SECONDS_PER_PROGRAM);
    const outcomes: Outcome[] = images.map((_, i) => readOutcome(ram, i));
    const run = { outcomes, ram: ram.slice(0, map.RUN + map.RUN_BYTES - map.RAM_BASE), isEnded };
    if (!isEnded) await this.close();
    return run;
  }

  async close(): Promise<void> {
    const machine = this.#machine;
    this.#machine = undefined;
    await machine?.close();
  }
}

/** False when it did not shut down in time. */
async function hasEnded(machine: Machine, seconds: number): Promise<boolean> {
  const isEnded = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), seconds * 1000);
    const ignore = machine.observe({
      runState(state) {
        if (state !== "shutdown" && state !== "internal-error") return;
        clearTimeout(timer);
        ignore();
        resolve(true);
      },
    });
    machine.start();
  });
  if (machine.runState === "internal-error") throw new Error((await machine.ended).message);
  return isEnded;
}

function config(cpu: LockstepCpu, keeper: Uint8Array, tier: AcceleratorConfig["tier"]): MachineConfig {
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
    noShutdown: true,
    startPaused: false,
    rtc: { base: "utc", clock: "host" },
    // Most blocks run too few rounds to be compiled otherwise.
    accelerator: { ...defaultAccelerator, tier, eager: tier === "jit" },
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
