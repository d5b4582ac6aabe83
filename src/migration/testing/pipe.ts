// Two ends of a channel in this process, with faults on demand.
import { pour, type ByteSink, type MigrationChannel } from "../port.ts";

export interface PipeFaults {
  /** The channel breaks when so many bytes have gone one way. */
  readonly cutAfterBytes?: number;
  /** Changes what goes by; `at` is the position of the first byte. */
  readonly damage?: (bytes: Uint8Array, at: number) => void;
}

class PipeEnd implements MigrationChannel {
  readonly name: string;
  readonly isDuplex: boolean;
  readonly unwrittenBytes = 0;
  readonly #faults: PipeFaults;
  readonly #queue: Uint8Array[] = [];
  #waiting: (() => void) | undefined;
  #isOver = false;
  #sent = 0;
  peer!: PipeEnd;

  constructor(name: string, isDuplex: boolean, faults: PipeFaults) {
    this.name = name;
    this.isDuplex = isDuplex;
    this.#faults = faults;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isOver || this.peer.#isOver) throw new Error("the pipe is broken");
    const copy = bytes.slice();
    this.#faults.damage?.(copy, this.#sent);
    const { cutAfterBytes = Infinity } = this.#faults;
    const room = cutAfterBytes - this.#sent;
    this.#sent += bytes.length;
    this.peer.#take(copy.subarray(0, Math.max(0, room)));
    if (bytes.length <= room) return;
    this.close();
    throw new Error("the pipe was cut");
  }

  async read(sink: ByteSink): Promise<boolean> {
    for (;;) {
      const next = this.#queue.shift();
      if (next === undefined) {
        if (this.#isOver) return false;
        await new Promise<void>((resolve) => (this.#waiting = resolve));
        continue;
      }
      const left = pour(next, sink);
      if (left === undefined) continue;
      if (left.length > 0) this.#queue.unshift(left);
      return true;
    }
  }

  async flush(): Promise<void> {}

  close(): void {
    this.#end();
    this.peer.#end();
  }

  #take(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#queue.push(bytes);
    this.#waiting?.();
  }

  #end(): void {
    this.#isOver = true;
    this.#waiting?.();
  }
}

export function makePipe(isDuplex = true, faults: PipeFaults = {}): [MigrationChannel, MigrationChannel] {
  const [source, target] = [new PipeEnd("pipe", isDuplex, faults), new PipeEnd("pipe", isDuplex, {})];
  source.peer = target;
  target.peer = source;
  return [source, target];
}
