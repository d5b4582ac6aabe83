// What happens while a machine stands still, or while somebody waits for one, is done once before: code that runs for the first
// time takes ten times as long.
import { VmError } from "../base/index.ts";
import { PAGE_BYTES, PageSet, WorldPlan } from "../memory/index.ts";
import { encodeState, loadState, type Saveable } from "../state/index.ts";
import { dryChannel } from "./dry-channel.ts";
import { IncomingMigration } from "./incoming.ts";
import { pour, type ByteSink, type MigratableMachine } from "./port.ts";
import { FrameNumbers } from "./stream/frame-numbers.ts";
import { FrameWriter, preamble } from "./stream/frame-writer.ts";
import { factsOf } from "./stream/machine-facts.ts";
import { PAGES_ROOM_BYTES, PageSource } from "./stream/pages.ts";
import { FrameKind } from "./stream/spec.ts";
import { StreamMemory } from "./stream/stream-memory.ts";

/** How often parts are saved before it counts. */
const SAVINGS = 6;
/** As many frames as make the engine optimize what takes them, and what each has. */
const REHEARSED_FRAMES = 48;
const REHEARSED_PAGES = 64;

/** Saves parts of a machine that runs, those that can be, and drops what comes of it; a little at a time, while others are busy. */
export class SavingRehearsal {
  readonly #parts: ReadonlyMap<string, Saveable>;
  readonly #frames = new FrameWriter();
  #left = SAVINGS;

  constructor(parts: ReadonlyMap<string, Saveable>) {
    this.#parts = parts;
  }

  /** Once, as long as there is something left to rehearse. */
  step(): void {
    if (this.#left === 0) return;
    this.#left--;
    for (const [name, part] of this.#parts) {
      if (part.isSettled !== false) this.#frames.named(FrameKind.part, name, encodeState(part));
    }
  }

  /** What is left of it. */
  end(): void {
    while (this.#left > 0) this.step();
  }
}

/** Loads parts of a machine that has never run as they are. */
export function rehearseLoading(parts: ReadonlyMap<string, Saveable>, times = 1): void {
  for (let i = 0; i < times; i++) for (const part of parts.values()) loadState(part, encodeState(part));
}

/** Takes a machine that has pages and nothing else, where there is memory for it. */
export async function rehearseTaking(): Promise<void> {
  try {
    await takeRehearsed();
  } catch (error) {
    // As MemoryError where it is found out before.
    if (!(error instanceof VmError || error instanceof RangeError)) throw error;
  }
}

async function takeRehearsed(): Promise<void> {
  const plan = new WorldPlan();
  const ram = plan.ram("rehearsal", REHEARSED_PAGES * PAGE_BYTES);
  const { memory, blocks, notes } = plan.create();
  ram.bytes.fill(1);
  const machine: MigratableMachine = {
    ...{ machineType: "rehearsal", memory, blocks, notes },
    ...{ parts: new Map(), streams: new Map(), isRunning: false },
    stop: async () => undefined,
    start: () => undefined,
  };
  const stream = streamOf(machine);
  let left: Uint8Array | undefined;
  const read = async (sink: ByteSink): Promise<boolean> => {
    do {
      left ??= stream.next().value ?? undefined;
      if (left === undefined) return false;
      left = pour(left, sink);
    } while (left === undefined);
    return true;
  };
  await new IncomingMigration({ machine, channel: { ...dryChannel, read }, starts: () => false }).run();
}

/** All of its pages, time and again. */
function* streamOf(machine: MigratableMachine): Generator<Uint8Array, undefined> {
  const numbers = new FrameNumbers();
  const frames = new FrameWriter(numbers);
  const pages = new PageSource(machine, numbers);
  const pending = new PageSet(machine.notes.pageCount);
  const room = { memory: new StreamMemory(PAGES_ROOM_BYTES), at: 0 };
  yield preamble();
  yield frames.json(FrameKind.machine, factsOf(machine));
  for (let i = 0; i < REHEARSED_FRAMES; i++) {
    pages.addAll(pending);
    yield pages.take(pending, 0, undefined, room)!.bytes;
  }
  yield frames.frame(FrameKind.stopped);
  yield frames.json(FrameKind.complete, { pages: REHEARSED_FRAMES * REHEARSED_PAGES, running: false });
}
