// What a disk controller asks of a block node, and what a format asks of a file. Offsets and lengths are in bytes.

/** A disk as devices see it. Several requests may be in flight; their order is only given by what was resolved before. */
export interface BlockNode {
  readonly nodeName: string;
  readonly lengthBytes: number;
  readonly readOnly: boolean;
  /** Smallest unit of I/O in bytes that the back end likes. */
  readonly requestAlignmentBytes: number;
  /** Fills `into` completely or rejects with a BlockError. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** `from` belongs to the node until it resolves. */
  write(offset: number, from: Uint8Array): Promise<void>;
  /** Resolves when everything written before it is durable. */
  flush(): Promise<void>;
  /** May free the range; reading it gives zeroes or the old bytes. */
  discard(offset: number, lengthBytes: number): Promise<void>;
  writeZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): Promise<void>;
  /**
   * The disk is another machine's from now on: makes what was written durable and gives up the back end's lock. Nothing is
   * asked of the node until `activate`. Absent where nobody else can have it.
   */
  inactivate?(): Promise<void>;
  /** Takes the lock, or takes it back. Rejects with a typed error when another machine has it. */
  activate?(): Promise<void>;
  /** Waits for what is in flight, then lets go of the back end; idempotent. */
  close(): Promise<void>;
}

/**
 * A file or host disk that a platform opens for the formats. Rejects with any Error whose message says what the host
 * said; the format wraps it. Buffers may lie in a SharedArrayBuffer.
 */
export interface FilePort {
  /** What messages call it: a path. */
  readonly name: string;
  readonly lengthBytes: number;
  readonly readOnly: boolean;
  /** Offsets, lengths and buffers of requests must be multiples of this; 1 for buffered files. */
  readonly alignmentBytes: number;
  /** The whole range lies inside `lengthBytes`; fills `into` completely. */
  read(offset: number, into: Uint8Array): Promise<void>;
  /** Writing past the end makes a regular file longer. */
  write(offset: number, from: Uint8Array): Promise<void>;
  /** Resolves when everything written before it is on stable storage. */
  flush(): Promise<void>;
  /** Frees storage. Absent where the platform cannot. */
  discard?(offset: number, lengthBytes: number): Promise<void>;
  /** Zeroes a range faster than by writing zeroes. Absent where the platform cannot. */
  writeZeroes?(offset: number, lengthBytes: number, mayUnmap: boolean): Promise<void>;
  /** Gives up what keeps other processes from writing; absent where nothing does. */
  unlock?(): void;
  /** Takes it. Rejects with a typed error when another process has it. */
  lock?(): Promise<void>;
  close(): Promise<void>;
}
