// A channel in this process between two machines, with a fault in one of its directions.
import { pour, type ByteSink, type MigrationChannel } from "../../../src/migration/index.ts";
import { FaultyStream, type ByteFault, type Struck } from "./faulty-stream.ts";

const HELD_LIMIT_BYTES = 2 ** 20;

/** One direction. */
class Way {
  readonly stream: FaultyStream;
  readonly #queue: Uint8Array[] = [];
  readonly #waiting: (() => void)[] = [];
  #queuedBytes = 0;
  #isOver = false;

  constructor(stream: FaultyStream) {
    this.stream = stream;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isOver) throw new Error("the pipe is broken");
    this.stream.pass(bytes.slice(), (each) => this.#deliver(each));
    const mustWait = (): boolean => this.stream.over === "stall" || this.#queuedBytes > HELD_LIMIT_BYTES;
    while (mustWait() && !this.#isOver) await this.#change();
    if (this.#isOver) throw new Error("the pipe is broken");
  }

  async read(sink: ByteSink): Promise<boolean> {
    for (;;) {
      while (this.#queue.length === 0) {
        if (this.#isOver) return false;
        await this.#change();
      }
      // The other side of a real channel never answers within the same turn.
      await new Promise((resolve) => setImmediate(resolve));
      const bytes = this.#queue.shift()!;
      const left = pour(bytes, sink);
      this.#queuedBytes -= bytes.length - (left?.length ?? 0);
      this.#changed();
      if (left === undefined) continue;
      if (left.length > 0) this.#queue.unshift(left);
      return true;
    }
  }

  end(): void {
    this.#isOver = true;
    this.stream.over ??= "cut";
    this.#changed();
  }

  #deliver(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#changed();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** What goes wrong in which direction. */
export interface WayFault {
  readonly way: "out" | "back";
  readonly fault: ByteFault;
}

export interface FaultyPipe {
  readonly source: MigrationChannel;
  readonly target: MigrationChannel;
  readonly out: FaultyStream;
  readonly back: FaultyStream;
  /** Both ends, at once. */
  readonly close: () => void;
}

export function faultyPipe(faulty: WayFault | undefined, onStrike?: (struck: Struck) => void): FaultyPipe {
  const stream = (way: WayFault["way"]): FaultyStream =>
    new FaultyStream({
      fault: faulty?.way === way ? faulty.fault : undefined,
      hasPreamble: way === "out",
      onStrike: (struck) => {
        if (faulty?.fault.kind === "cut") close();
        onStrike?.(struck);
      },
    });
  const out = new Way(stream("out"));
  const back = new Way(stream("back"));
  const close = (): void => {
    out.end();
    back.end();
  };
  const end = (write: Way, read: Way): MigrationChannel => ({
    name: "pipe",
    isDuplex: true,
    unwrittenBytes: 0,
    write: (bytes) => write.write(bytes),
    read: (sink) => read.read(sink),
    flush: async () => undefined,
    close,
  });
  return { source: end(out, back), target: end(back, out), out: out.stream, back: back.stream, close };
}
