// What a disk controller asks of a block node. Offsets and lengths are in bytes.

export interface BlockNode {
  readonly nodeName: string;
  readonly lengthBytes: number;
  readonly readOnly: boolean;
  /** Smallest unit of I/O in bytes that the back end likes. */
  readonly requestAlignmentBytes: number;
  /** Fills `into` completely or rejects with a BlockError. */
  read(offset: number, into: Uint8Array): Promise<void>;
  write(offset: number, from: Uint8Array): Promise<void>;
  /** Resolves when everything written before it is durable. */
  flush(): Promise<void>;
  /** May free the range; reading it gives zeroes or the old bytes. */
  discard(offset: number, lengthBytes: number): Promise<void>;
  writeZeroes(offset: number, lengthBytes: number, mayUnmap: boolean): Promise<void>;
  close(): Promise<void>;
}
