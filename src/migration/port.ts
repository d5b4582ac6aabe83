// What migration asks of a machine, and of what carries the stream.
import type { DirtyNotes, RamBlock } from "../memory/index.ts";
import type { Saveable } from "../state/index.ts";

/**
 * Adds to a bitmap of all pages (bit `page & 31` of word `page >>> 5`) which of some nobody has ever touched, as of now; none
 * where that cannot be known.
 */
export type LookForUntouched = (words: Uint32Array, firstPage: number, pageCount: number) => void;

/** A machine that can be moved. */
export interface MigratableMachine {
  /** With its version: `virt-1.0`. */
  readonly machineType: string;
  /** RAM and ROM, all of it in `memory`. */
  readonly blocks: readonly RamBlock[];
  readonly memory: WebAssembly.Memory;
  readonly notes: DirtyNotes;
  /** Everything with saved state, by a name that is the same in every machine of this configuration; in loading order. */
  readonly parts: ReadonlyMap<string, Saveable>;
  /** Parts whose state is somebody else's, by names as those of `parts`. */
  readonly streams: ReadonlyMap<string, StreamedPart>;
  readonly isRunning: boolean;
  /**
   * Resolves when no hart runs, no device waits for the host and streamed parts have all their data; nothing changes any
   * more. Rejects with a VmError when a part does not stand still; `start` goes on then, too.
   */
  stop(): Promise<void>;
  /** Goes on after `stop`. */
  start(): void;
  /** Finds pages that are zero as nobody has ever touched them, where the host knows. */
  untouchedPages?(): LookForUntouched | undefined;
  /** Names of the harts as sources of dirty pages, in their order. */
  readonly hartSources?: readonly string[];
  /**
   * Keeps harts from running all the time: percents of time that they do not run, for all or for each; 0 lets go. Of
   * several who ask, the most counts.
   */
  throttleHarts?(who: string, percents: number | readonly number[]): void;
  /**
   * For so many nanoseconds its harts run for shorter at a time, so that who waits for the platform on their thread hears of it
   * soon; 0 ends it.
   */
  shortenSlices?(forNs: number): void;
  /** A hart does not run until it is let go of; also asked for in the middle of its run. */
  holdHart?(hart: number, isHeld: boolean): void;
  /** Lets go of what only one machine may have (images); what the guest wrote is on them. Rejects with a VmError. */
  giveUp?(): Promise<void>;
  /** Takes it, or takes it back. Rejects with a VmError when another machine has it. */
  takeOver?(): Promise<void>;
}

/**
 * A part whose state is a stream of bytes that whoever has it makes and takes: an assigned device, whose host has it. Each
 * call throws a VmError that names the call that was refused.
 */
export interface StreamedPart {
  /** Who it is, for messages: the host's name for it. */
  readonly label: string;
  /** It gives data while it runs. */
  readonly hasPrecopy: boolean;
  /** The source begins: from now on `read` gives data, where the part can give some while it runs. */
  beginSave(): void;
  /** What is to be sent before it should stop, and what would be left if it stopped now. */
  pending(): { readonly initialBytes: number; readonly leftBytes: number };
  /** The next bytes, at most so many; undefined when there are none for now; none when the machine stands and all is read. */
  read(mostBytes: number): Uint8Array | undefined;
  /** It begins nothing until it is let go of; absent where it cannot be held so. */
  readonly hold?: ((isHeld: boolean) => void) | undefined;
  /** The stream is over, whole or not; idempotent. A part that runs goes on, one that stands still stays so. */
  endSave(): void;
  /** The target begins. */
  beginLoad(): void;
  write(bytes: Uint8Array): void;
  /** Everything was written: the part checks it and takes it over, and stands still. */
  endLoad(): void;
  /** Nothing comes of it: the part is as after power-on; does not throw. */
  abandonLoad(): void;
}

/** Whoever reads a channel says where bytes go before they come, so that they need not be copied. */
export interface ByteSink {
  /** Where the next ones go, at least one; the same until some came there. */
  place(): Uint8Array;
  /** So many came. False when no more are wanted for now. */
  took(count: number): boolean;
}

/** Hands bytes that are there already to a sink: those that it did not want, which may be none, or undefined when it wants more. */
export function pour(bytes: Uint8Array, sink: ByteSink): Uint8Array | undefined {
  let at = 0;
  while (at < bytes.length) {
    const part = bytes.subarray(at, at + sink.place().length);
    sink.place().set(part);
    at += part.length;
    if (!sink.took(part.length)) return bytes.subarray(at);
  }
  return undefined;
}

/** Compression, as a platform has it. */
export interface PackingPort {
  /** On another thread; the bytes stay as they are until it resolves. */
  readonly pack: (bytes: Uint8Array) => Promise<Uint8Array>;
  /** Undefined for what `pack` never made, or comes to more bytes. */
  readonly unpack: (bytes: Uint8Array, mostBytes: number) => Uint8Array | undefined;
}

/** A stream of bytes to the other side, or to a file. */
export interface MigrationChannel {
  /** As messages call it: `tcp:localhost:4444`. */
  readonly name: string;
  /** Whether the other side can answer; a file cannot. */
  readonly isDuplex: boolean;
  /** Resolves when there is room for more; the bytes stay as they are until they have left. Rejects with any Error when the channel is broken. */
  write(bytes: Uint8Array): Promise<void>;
  /** Of what was written, what has not left. */
  readonly unwrittenBytes: number;
  /**
   * Hands what comes to the sink, which is the same each time. Resolves with true when the sink wants no more for now, with
   * false at the end. Rejects with any Error.
   */
  read(sink: ByteSink): Promise<boolean>;
  /** Resolves when of what was written at most so many bytes, 0 without, have not left. */
  flush(unwrittenBytes?: number): Promise<void>;
  /** Idempotent; a write or read that waits ends. */
  close(): void;
}
