// A machine of a few pages and one counter, which a test makes write while it moves.
import { WorldPlan, type RamBlock, type World } from "../../memory/index.ts";
import { describeState, field, u64, type DescriptionOf, type Saveable } from "../../state/index.ts";
import type { MigratableMachine, StreamedPart } from "../port.ts";

export const PAGES = 64;

export class Counter implements Saveable<DescriptionOf<{ value: bigint }>> {
  readonly stateDescription: DescriptionOf<{ value: bigint }> = describeState("counter", 1, [field("value", u64)]);
  value = 0n;

  saveState(): { value: bigint } {
    return { value: this.value };
  }

  loadState({ value }: { value: bigint }): void {
    this.value = value;
  }
}

export class SmallMachine implements MigratableMachine {
  readonly machineType: string;
  readonly world: World;
  readonly ram: RamBlock;
  readonly counter: Counter = new Counter();
  readonly parts: ReadonlyMap<string, Saveable>;
  readonly streams: ReadonlyMap<string, StreamedPart>;
  isRunning = false;
  starts = 0;

  constructor(
    options: {
      readonly machineType?: string;
      readonly pages?: number;
      readonly part?: string;
      readonly streams?: Readonly<Record<string, StreamedPart>>;
    } = {},
  ) {
    this.machineType = options.machineType ?? "small-1.0";
    const plan = new WorldPlan();
    this.ram = plan.ram("ram", (options.pages ?? PAGES) * 4096);
    this.world = plan.create();
    this.streams = new Map(Object.entries(options.streams ?? {}));
    this.parts = new Map([[options.part ?? "counter", this.counter]]);
  }

  get blocks(): readonly RamBlock[] {
    return this.world.blocks;
  }

  get memory(): WebAssembly.Memory {
    return this.world.memory;
  }

  get notes(): World["notes"] {
    return this.world.notes;
  }

  async stop(): Promise<void> {
    this.isRunning = false;
  }

  start(): void {
    this.isRunning = true;
    this.starts += 1;
  }

  /** As a hart of it would. */
  write(page: number, value: number): void {
    this.ram.bytes[page * 4096] = value;
    this.world.notes.noteWrite(this.world.notes.source("hart0"), this.ram.offset + page * 4096, 1);
    this.counter.value += 1n;
  }
}
