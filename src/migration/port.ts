// What migration asks of a machine, and of what carries the stream.
import type { DirtyNotes, RamBlock } from "../memory/index.ts";
import type { Saveable } from "../state/index.ts";

/** A machine that can be moved. */
export interface MigratableMachine {
  /** With its version: `virt-1.0`. */
  readonly machineType: string;
  /** RAM and ROM. */
  readonly blocks: readonly RamBlock[];
  readonly notes: DirtyNotes;
  /** Everything with saved state, by a name that is the same in every machine of this configuration; in loading order. */
  readonly parts: ReadonlyMap<string, Saveable>;
  readonly isRunning: boolean;
  /** Resolves when no hart runs and no device waits for the host; nothing changes any more. */
  stop(): Promise<void>;
  /** Goes on after `stop`. */
  start(): void;
}

/** A stream of bytes to the other side, or to a file. */
export interface MigrationChannel {
  /** As messages call it: `tcp:localhost:4444`. */
  readonly name: string;
  /** Whether the other side can answer; a file cannot. */
  readonly isDuplex: boolean;
  /** Resolves when there is room for more. Rejects with any Error when the channel is broken. */
  write(bytes: Uint8Array): Promise<void>;
  /** The next bytes; undefined at the end. Rejects with any Error. */
  read(): Promise<Uint8Array | undefined>;
  /** Resolves when everything written has left. */
  flush(): Promise<void>;
  /** Idempotent; a write or read that waits ends. */
  close(): void;
}
