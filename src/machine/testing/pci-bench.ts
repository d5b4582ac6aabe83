// The board with harts that do nothing, for tests that do a driver's part: physical accesses, configuration cycles.
import { assert, ManualTimers, SeededRng, TimerQueue, type YieldPort } from "../../base/index.ts";
import type { BlockNode } from "../../block/port.ts";
import type { CpuBus, World } from "../../memory/index.ts";
import { buildMachine } from "../builder.ts";
import type { VirtualMachine } from "../machine.ts";
import type { DeviceConfig, HartPlanner, HartSurroundings, MachineConfig } from "../port.ts";
import { virtMap } from "../virt/memory-map.ts";
import { FakeHart } from "./fake-hart.ts";
import { testImage } from "./test-images.ts";

export interface PciBenchOptions {
  readonly boardOptions?: MachineConfig["boardOptions"];
  readonly blockNodes?: readonly BlockNode[];
  readonly iommufds?: MachineConfig["iommufds"];
  readonly memoryBytes?: number;
  readonly dirtyOracle?: MachineConfig["dirtyOracle"];
  readonly incoming?: boolean;
  /** Of a machine that is started; default: one that never waits. */
  readonly turns?: YieldPort;
}

const NO_WAIT: YieldPort = {
  turn: () => Promise.resolve(),
  sleep: () => Promise.resolve(),
  wake: () => undefined,
};

export class PciBench {
  readonly machine: VirtualMachine;
  readonly timers: ManualTimers = new ManualTimers();
  readonly guestErrors: string[] = [];
  readonly notices: string[] = [];
  world!: World;
  #surroundings!: HartSurroundings;
  #bus!: CpuBus;

  constructor(devices: readonly DeviceConfig[], options: PciBenchOptions = {}) {
    const { boardOptions = {}, blockNodes = [], iommufds = [], memoryBytes = 32 << 20 } = options;
    const { dirtyOracle, incoming = false, turns = NO_WAIT } = options;
    const config: MachineConfig = {
      board: "virt",
      boardOptions,
      cpu: { model: "rv64", features: {} },
      smp: 1,
      memoryBytes,
      firmware: "default",
      kernel: { name: "Image", bytes: testImage(0x1000) },
      commandLine: "",
      serials: [],
      devices,
      iommufds,
      ...(dirtyOracle === undefined ? {} : { dirtyOracle }),
      noReboot: false,
      noShutdown: false,
      startPaused: false,
      incoming,
      rtc: { base: 0n, clock: "vm" },
    };
    const planHarts: HartPlanner = (_plan, configs) => ({
      create: (world, surroundings) => {
        this.world = world;
        this.#surroundings = surroundings;
        const run = (hart: FakeHart): "wait" => {
          hart.waiting = true;
          return "wait";
        };
        return configs.map(({ hartId }) => new FakeHart(hartId, { run }));
      },
    });
    const host = {
      clock: this.timers.clock,
      wallClock: { nowUnixNs: () => 0n },
      timers: this.timers,
      rng: new SeededRng(1n),
      trace: { guestError: (source: string, message: string) => void this.guestErrors.push(`${source}: ${message}`) },
      yield: turns,
      notice: (message: string) => void this.notices.push(message),
      chardevs: new Map(),
      blockNodes: new Map(blockNodes.map((node) => [node.nodeName, node])),
    };
    this.machine = buildMachine(config, host, planHarts);
    this.#bus = this.#surroundings.bus("test");
  }

  read(gpa: number, width: 1 | 2 | 4 = 4): number {
    this.#bus.load(gpa, width);
    return this.#bus.low;
  }

  write(gpa: number, value: number, width: 1 | 2 | 4 = 4): void {
    this.#bus.store(gpa, width, value, 0);
  }

  /** What devices have put off until now, and what that puts off, while guest time stands still. */
  runTimers(): void {
    const { timers } = this.#surroundings;
    assert(timers instanceof TimerQueue, "the board's timers are a queue");
    for (let turn = 0; turn < 1000; turn++) timers.runDue();
  }

  /** Where a function's configuration space is. */
  ecam(bus: number, slot: number, fn = 0): number {
    return virtMap.pciEcam.base + bus * 0x10_0000 + slot * 0x8000 + fn * 0x1000;
  }
}
