// One direction of a channel, and what can happen to its bytes.
import { StreamWatch, type FrameName, type Place, type WatchedFrame } from "./stream-watch.ts";

export type ByteFault =
  /** Nothing comes after that byte: the channel is broken, or takes nothing any more. */
  | { readonly kind: "cut" | "stall"; readonly place: Place }
  /** Changes the byte. */
  | { readonly kind: "damage"; readonly place: Place; readonly by: number }
  /** So many bytes are missing from there on. */
  | { readonly kind: "lose"; readonly place: Place; readonly bytes: number }
  /** What was written together with that byte comes after what follows it, or twice. */
  | { readonly kind: "swap" | "repeat"; readonly place: Place }
  /** Nothing happens to it, but somebody is told in the middle of it. */
  | { readonly kind: "tell"; readonly place: Place };

export interface Struck {
  readonly position: number;
  readonly frame: WatchedFrame | undefined;
}

export interface FaultyStreamOptions {
  readonly fault: ByteFault | undefined;
  /** Answers have no preamble. */
  readonly hasPreamble: boolean;
  readonly onStrike?: ((struck: Struck) => void) | undefined;
}

export class FaultyStream {
  /** Where the fault happened, if it did. */
  struck: Struck | undefined;
  /** Nothing passes any more. */
  over: "cut" | "stall" | undefined;
  readonly #options: FaultyStreamOptions;
  readonly #watch: StreamWatch;
  #held: Uint8Array | undefined;

  constructor(options: FaultyStreamOptions) {
    this.#options = options;
    this.#watch = new StreamWatch(options.fault?.place, options.hasPreamble);
  }

  /** Frames that have begun, by kind. */
  get counts(): ReadonlyMap<FrameName, number> {
    return this.#watch.counts;
  }

  /** Hands on what comes of bytes, which are its own from now on, to `deliver`. */
  pass(bytes: Uint8Array, deliver: (bytes: Uint8Array) => void): void {
    if (this.over !== undefined) return;
    const from = this.#watch.position;
    const at = this.#watch.pass(bytes);
    const { fault } = this.#options;
    if (at === undefined || fault === undefined) {
      deliver(bytes);
      if (this.#held !== undefined) deliver(this.#held);
      this.#held = undefined;
      return;
    }
    this.struck = { position: from + at, frame: this.#watch.frame };
    this.#strike(fault, { bytes, at }, deliver);
  }

  #strike(fault: ByteFault, { bytes, at }: { bytes: Uint8Array; at: number }, deliver: (b: Uint8Array) => void): void {
    const tell = (): void => this.#options.onStrike?.(this.struck!);
    switch (fault.kind) {
      case "damage":
        bytes[at]! ^= fault.by;
        break;
      case "swap":
        this.#held = bytes;
        return tell();
      case "repeat":
        deliver(bytes.slice());
        break;
      case "lose":
        deliver(bytes.subarray(0, at));
        deliver(bytes.subarray(at + fault.bytes));
        return tell();
      case "stall":
      case "cut":
        deliver(bytes.subarray(0, at));
        this.over = fault.kind;
        return tell();
      case "tell":
        deliver(bytes.subarray(0, at));
        tell();
        if (this.over === undefined) deliver(bytes.subarray(at));
        return;
    }
    deliver(bytes);
    tell();
  }
}
