// Compression is the platform's: Node has zlib, a browser has streams, and both may lack xz or zstd.

export interface DecompressOptions {
  /** A result larger than this is refused with `tooLarge`, before it fills memory. */
  readonly maxBytes: number;
  /** Told now and then how much of the input is used up, where the decoder works in steps. */
  readonly progress?: (consumedBytes: number) => void;
}

/**
 * Each method resolves to the whole result, or rejects with a `FormatError`: `corrupt` or `truncated` for bad input,
 * `tooLarge`, or `noDecoder`, which names the package or the platform version that would do.
 */
export interface DecompressPort {
  gunzip(bytes: Uint8Array, options: DecompressOptions): Promise<Uint8Array>;
  unxz(bytes: Uint8Array, options: DecompressOptions): Promise<Uint8Array>;
  unzstd(bytes: Uint8Array, options: DecompressOptions): Promise<Uint8Array>;
  /** Compresses with a deterministic header (no time, no name). */
  gzip(bytes: Uint8Array): Promise<Uint8Array>;
}
