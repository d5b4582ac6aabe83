// A channel in this process between two machines, and what can happen to the bytes of one direction.
import type { MigrationChannel } from "../../../src/migration/index.ts";

export type ByteFault =
  | { readonly kind: "cut" | "end" | "stall"; readonly at: number }
  /** Changes the byte at that position. */
  | { readonly kind: "damage"; readonly at: number; readonly by: number }
  /** What holds that position comes after what follows it. */
  | { readonly kind: "swap" | "repeat"; readonly at: number };

const HELD_LIMIT_BYTES = 2 ** 20;

/** One direction. */
class Way {
  readonly #fault: ByteFault | undefined;
  readonly #queue: Uint8Array[] = [];
  readonly #waiting: (() => void)[] = [];
  #sent = 0;
  #queuedBytes = 0;
  #held: Uint8Array | undefined;
  #isOver = false;
  #isStalled = false;
  /** Whether the fault has happened. */
  struck = false;
  onCut: () => void = () => undefined;

  constructor(fault: ByteFault | undefined) {
    this.#fault = fault;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#isOver) throw new Error("the pipe is broken");
    this.#pass(bytes.slice());
    while ((this.#isStalled || this.#queuedBytes > HELD_LIMIT_BYTES) && !this.#isOver) await this.#change();
    if (this.#isOver) throw new Error("the pipe is broken");
  }

  async read(): Promise<Uint8Array | undefined> {
    while (this.#queue.length === 0) {
      if (this.#isOver) return undefined;
      await this.#change();
    }
    // The other side of a real channel never answers within the same turn.
    await new Promise((resolve) => setImmediate(resolve));
    const bytes = this.#queue.shift();
    this.#queuedBytes -= bytes?.length ?? 0;
    this.#changed();
    return bytes;
  }

  end(): void {
    this.#isOver = true;
    this.#changed();
  }

  #pass(bytes: Uint8Array): void {
    const from = this.#sent;
    this.#sent += bytes.length;
    const fault = this.#fault;
    const isHere = fault !== undefined && fault.at >= from && fault.at < this.#sent;
    if (this.#isStalled) return;
    if (!isHere) {
      this.#deliver(bytes);
      if (this.#held !== undefined) this.#deliver(this.#held);
      this.#held = undefined;
      return;
    }
    this.struck = true;
    const before = fault.at - from;
    switch (fault.kind) {
      case "damage":
        bytes[before]! ^= fault.by;
        return this.#deliver(bytes);
      case "swap":
        this.#held = bytes;
        return;
      case "repeat":
        this.#deliver(bytes);
        return this.#deliver(bytes.slice());
      case "stall":
        this.#deliver(bytes.subarray(0, before));
        this.#isStalled = true;
        return;
      case "cut":
      case "end":
        this.#deliver(bytes.subarray(0, before));
        return this.onCut();
    }
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

export interface FaultyPipe {
  readonly source: MigrationChannel;
  readonly target: MigrationChannel;
  /** Whether a fault of bytes has happened. */
  readonly struck: () => boolean;
}

export function faultyPipe(faults: { readonly out?: ByteFault; readonly back?: ByteFault }): FaultyPipe {
  const out = new Way(faults.out);
  const back = new Way(faults.back);
  const close = (): void => {
    out.end();
    back.end();
  };
  out.onCut = close;
  back.onCut = close;
  const end = (write: Way, read: Way): MigrationChannel => ({
    name: "pipe",
    isDuplex: true,
    write: (bytes) => write.write(bytes),
    read: () => read.read(),
    flush: async () => undefined,
    close,
  });
  return { source: end(out, back), target: end(back, out), struck: () => out.struck || back.struck };
}
