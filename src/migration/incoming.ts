// The target's side: takes pages and parts as they come, believes nothing, and starts the machine only when it has all of
// it and, over a channel that can answer, the source has given it over.
import { viewOf, VmError } from "../base/index.ts";
import { loadState } from "../state/index.ts";
import { MigrationError } from "./errors.ts";
import { IncomingPages } from "./incoming-pages.ts";
import { IncomingStreams } from "./incoming-streams.ts";
import type { MigratableMachine, MigrationChannel, PackingPort } from "./port.ts";
import { FrameReader, type Frame } from "./stream/frame-reader.ts";
import { frameTitle } from "./stream/frame-title.ts";
import { FrameWriter } from "./stream/frame-writer.ts";
import { checkFacts, type MachineFacts } from "./stream/machine-facts.ts";
import { FrameKind, OPTIONAL } from "./stream/spec.ts";

export interface IncomingOptions {
  /** Has never run. */
  readonly machine: MigratableMachine;
  readonly channel: MigrationChannel;
  /** Whether the machine starts at the end, if its source ran; otherwise it stays stopped. Asked when it is here. */
  readonly starts: () => boolean;
  /** Where it is absent streams that are compressed are refused. */
  readonly packing?: PackingPort | undefined;
}

/** Of the stream that are read ahead: few of long frames' pages, which have a place of their own, and many short frames. */
const USUAL_BYTES = 2 ** 12;

export class IncomingMigration {
  readonly #machine: MigratableMachine;
  readonly #channel: MigrationChannel;
  readonly #starts: () => boolean;
  readonly #packing: PackingPort | undefined;
  readonly #frames: FrameReader;
  readonly #answers = new FrameWriter();
  readonly #loaded = new Set<string>();
  readonly #streams: IncomingStreams;
  #isStopped = false;
  #wasRunning = true;
  #hasStarted = false;

  constructor({ machine, channel, starts, packing }: IncomingOptions) {
    this.#machine = machine;
    this.#channel = channel;
    this.#starts = starts;
    this.#packing = packing;
    this.#frames = new FrameReader(channel, USUAL_BYTES);
    this.#streams = new IncomingStreams(machine.streams);
  }

  /** Bytes taken so far. */
  get receivedBytes(): number {
    return this.#frames.position;
  }

  /** It runs here. */
  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** Resolves when the machine is here. Rejects with MigrationError; the machine must not be used then. */
  async run(): Promise<void> {
    try {
      await this.#arrive();
      // It is here now, whether or not the source hears of it.
      await this.#tell(FrameKind.running);
    } finally {
      this.#channel.close();
    }
  }

  async #arrive(): Promise<void> {
    try {
      await this.#load();
      if (this.#channel.isDuplex) {
        await this.#answer(FrameKind.ready);
        const { kind } = await this.#frames.read();
        if (kind !== FrameKind.handover) throw this.#unexpected(kind, "the handover");
      }
      await this.#machine.takeOver?.();
      if (this.#wasRunning && this.#starts()) {
        this.#machine.start();
        this.#hasStarted = true;
      }
    } catch (cause) {
      this.#streams.abandon();
      const error = asMigrationError(cause);
      await this.#tell(FrameKind.failed, error.message);
      throw error;
    }
  }

  async #load(): Promise<void> {
    await this.#frames.readPreamble();
    const first = await this.#frames.read();
    if (first.kind !== FrameKind.machine) throw this.#unexpected(first.kind, "what machine it is of");
    const facts = checkFacts(first.payload, this.#machine);
    this.#streams.begin(facts);
    const pages = new IncomingPages(this.#machine, facts, this.#packing);
    this.#frames.takePagesBy(pages);
    for (;;) {
      const next = await this.#frames.read();
      if (next.kind === FrameKind.complete) {
        this.#frames.takePagesBy(undefined);
        return this.#checkComplete(next, facts, pages.count);
      }
      if (next.kind === FrameKind.initialSent) {
        const isLast = this.#streams.initialCame(readName(next.payload).name);
        if (isLast && this.#channel.isDuplex) await this.#answer(FrameKind.switchoverAck);
      } else if (next.kind === FrameKind.roundEnd) {
        if (this.#channel.isDuplex) await this.#answer(FrameKind.roundTaken);
      } else this.#take(next, facts);
    }
  }

  #take(next: Frame, facts: MachineFacts): void {
    switch (next.kind) {
      case FrameKind.part:
        return this.#takePart(next.payload, facts);
      case FrameKind.data: {
        const { name, contents } = readName(next.payload);
        return this.#streams.take(name, contents);
      }
      case FrameKind.dataEnd:
        return this.#streams.close(readName(next.payload).name);
      case FrameKind.stopped:
        this.#isStopped = true;
        return;
      default:
        if ((next.flags & OPTIONAL) !== 0) return;
        throw new MigrationError("unknownPart", `The stream has a ${frameTitle(next.kind)}, which must be understood`);
    }
  }

  #takePart(payload: Uint8Array, facts: MachineFacts): void {
    const bad = (what: string): MigrationError => new MigrationError("badStream", `The stream has ${what}`);
    if (!this.#isStopped) throw bad("a part of a machine that still runs");
    const { name, contents } = readName(payload);
    if (!facts.parts.includes(name)) throw bad(`a part "${name}" that it did not announce`);
    if (this.#loaded.has(name)) throw bad(`the part "${name}" twice`);
    try {
      loadState(this.#machine.parts.get(name)!, contents);
    } catch (cause) {
      if (!(cause instanceof VmError)) throw cause;
      throw new MigrationError("badStream", `The part "${name}" cannot be loaded: ${cause.message}`, { cause });
    }
    this.#loaded.add(name);
  }

  #checkComplete({ payload }: Frame, facts: MachineFacts, pageCount: number): void {
    const missing = facts.parts.find((name) => !this.#loaded.has(name));
    if (missing !== undefined) throw new MigrationError("badStream", `The stream ended without the part "${missing}"`);
    const { pages, running } = readTotals(payload);
    this.#wasRunning = running;
    if (pages !== pageCount) {
      throw new MigrationError("badStream", `The stream says that it has ${pages} pages, and has ${pageCount}`);
    }
    this.#streams.end();
  }

  #unexpected(kind: number, wanted: string): MigrationError {
    return new MigrationError("badStream", `The stream has a ${frameTitle(kind)} where ${wanted} is due`);
  }

  /** Rejects with MigrationError when the source is not there any more. */
  async #answer(kind: number, text = ""): Promise<void> {
    const { name } = this.#channel;
    try {
      await this.#channel.write(this.#answers.frame(kind, [new TextEncoder().encode(text)]));
      await this.#channel.flush();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new MigrationError("channelLost", `Answering ${frameTitle(kind)} to ${name} failed: ${why}`, { cause });
    }
  }

  /** The source should know, where it can be told. */
  async #tell(kind: number, text?: string): Promise<void> {
    if (!this.#channel.isDuplex) return;
    try {
      await this.#answer(kind, text);
    } catch (error) {
      // It is gone; what happened here is what counts.
      if (!(error instanceof MigrationError)) throw error;
    }
  }
}

function readName(payload: Uint8Array): { readonly name: string; readonly contents: Uint8Array } {
  const nameBytes = payload.length < 2 ? 0 : viewOf(payload).getUint16(0, true);
  if (nameBytes === 0 || 2 + nameBytes > payload.length) {
    throw new MigrationError("badStream", "The stream has a part without a name");
  }
  const end = 2 + nameBytes;
  return { name: new TextDecoder().decode(payload.subarray(2, end)), contents: payload.subarray(end) };
}

function readTotals(payload: Uint8Array): { readonly pages: number; readonly running: boolean } {
  try {
    const { pages, running } = JSON.parse(new TextDecoder().decode(payload)) as { pages: unknown; running?: unknown };
    return { pages: Number(pages), running: running !== false };
  } catch {
    throw new MigrationError("badStream", "The stream does not say how much it has");
  }
}

/** Our own broken invariants stay what they are. */
function asMigrationError(cause: unknown): MigrationError {
  if (cause instanceof MigrationError) return cause;
  if (!(cause instanceof VmError)) throw cause;
  return new MigrationError("badStream", cause.message, { cause });
}
