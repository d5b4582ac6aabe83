// A hart with RAM and nothing else, for tests.
import type { AcceleratorConfig } from "../../../accel/index.ts";
import { SeededRng, TimerQueue } from "../../../base/index.ts";
import {
  AddressSpace,
  containerRegion,
  ramRegion,
  WorldPlan,
  type MemoryRegion,
  type World,
} from "../../../memory/index.ts";
import { planHarts } from "../harts.ts";
import type { RiscvHart } from "../hart.ts";
import type { ExternalInterrupts, HostFirmware } from "../port.ts";

export const ramBase = 0x8000_0000;

export interface BareMachine {
  readonly world: World;
  readonly space: AddressSpace;
  readonly root: MemoryRegion;
  readonly harts: readonly RiscvHart[];
  readonly hart: RiscvHart;
  /** Time in ticks of 10 MHz; advanced by tests. Answers how many timers fired. */
  advance(ticks: number): number;
  /** Sets the time that harts see. */
  setTime(ticks: number): void;
  /** Writes code words at an address in RAM. */
  load(at: number, words: readonly number[]): void;
  loadBytes(at: number, bytes: Uint8Array): void;
  read64(at: number): bigint;
  write64(at: number, value: bigint): void;
}

export function bareMachine(
  options: {
    ramBytes?: number;
    harts?: number;
    model?: string;
    features?: Record<string, boolean>;
    firmware?: HostFirmware;
    external?: ExternalInterrupts;
    accelerator?: AcceleratorConfig;
    /** The clock when the time is 0, in ticks: a machine that was reset counts from there. */
    clockTicks?: number;
  } = {},
): BareMachine {
  const plan = new WorldPlan();
  const configs = Array.from({ length: options.harts ?? 1 }, (_, hartId) => ({
    hartId,
    model: options.model ?? "rv64",
    features: options.features ?? {},
  }));
  const planned = planHarts(plan, configs, options.accelerator);
  const ram = plan.ram("ram", options.ramBytes ?? 1 << 20);
  const world = plan.create();
  const root = containerRegion("system", 2 ** 53);
  root.add(ramRegion(ram), ramBase);
  const space = new AddressSpace("memory", root, world);
  const startNs = (options.clockTicks ?? 0) * 100;
  let ns = startNs;
  let setTicks = 0;
  const onSet: (() => void)[] = [];
  const timers = new TimerQueue({ nowNs: () => ns });
  const harts = planned.create(world, {
    bus: (source) => space.bus(source),
    timebase: {
      ticks: () => Math.floor((ns - startNs) / 100) + setTicks,
      frequencyHz: 10_000_000,
      onSet: (listener) => onSet.push(listener),
    },
    timers,
    rng: new SeededRng(1n),
    externalInterrupts: () => options.external,
    resetVector: BigInt(ramBase),
    firmware: () => options.firmware,
  });
  const source = world.notes.source("test");
  const loadBytes = (at: number, bytes: Uint8Array): void => {
    space.write(at, bytes, source);
  };
  return {
    world,
    space,
    root,
    harts,
    hart: harts[0]!,
    advance(ticks) {
      ns += ticks * 100;
      return timers.runDue();
    },
    setTime(ticks) {
      setTicks = ticks - Math.floor((ns - startNs) / 100);
      for (const listener of onSet) listener();
    },
    load: (at, words) => loadBytes(at, new Uint8Array(Int32Array.from(words).buffer)),
    loadBytes,
    read64: (at) => world.view.getBigUint64(ram.offset + at - ramBase, true),
    write64: (at, value) => loadBytes(at, new Uint8Array(BigUint64Array.of(value).buffer)),
  };
}
