// Compression on Node: gzip, and zstd where it has it, by node:zlib; else by the optional packages, loaded when needed.
import * as zlib from "node:zlib";
import { promisify } from "node:util";
import { type DecompressOptions, type DecompressPort, FormatError } from "../../format/index.ts";

const STEP_BYTES = 256 * 1024;
/** More steps without output than a decoder at the end of its input ever needs. */
const MAX_IDLE_STEPS = 64;

/** How a decoder says that the result would pass `maxBytes`, from inside its callbacks. */
class PastLimit extends Error {}

/** Options for tests: how optional packages are loaded, and whether Node's own zstd is used. */
export interface NodeDecompressOptions {
  readonly load?: (name: string) => Promise<unknown>;
  readonly useBuiltInZstd?: boolean;
}

export function nodeDecompress(options: NodeDecompressOptions = {}): DecompressPort {
  const load = options.load ?? ((name: string): Promise<unknown> => import(name));
  const zstd = options.useBuiltInZstd === false ? undefined : builtInZstd();
  return {
    gunzip: (bytes, limit) => {
      const unpack = promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(zlib.gunzip);
      return explained("gzip", limit, () => unpack(bytes, { maxOutputLength: limit.maxBytes }));
    },
    unxz: async (bytes, limit) => {
      const xz = await loadOptional<XzModule>(load, "xz-decompress", "xz");
      // A CommonJS package: which of the two it is depends on who loads it.
      const reader = xz.XzReadableStream ?? xz.default?.XzReadableStream;
      if (reader === undefined) throw foreignPackage("xz-decompress", "XzReadableStream");
      return explained("xz", limit, () => unxz(reader, bytes, limit));
    },
    unzstd: async (bytes, limit) => {
      if (zstd !== undefined) return explained("zstd", limit, () => zstd(bytes, { maxOutputLength: limit.maxBytes }));
      const fzstd = await loadOptional<FzstdModule>(load, "fzstd", "zstd", "or Node 24 ");
      return explained("zstd", limit, () => unzstd(fzstd, bytes, limit));
    },
    gzip: (bytes) => promisify<Uint8Array, zlib.ZlibOptions, Uint8Array>(zlib.gzip)(bytes, { level: 9 }),
  };
}

type BuiltIn = (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Uint8Array>;

/**
 * Node 24 has one that can be used. That of 22.15 and newer takes a truncated file for a whole one (seen in 22.23.3), and
 * no input at all shows which of them it is. The types of the oldest supported Node do not know it.
 */
function builtInZstd(): BuiltIn | undefined {
  const { zstdDecompress, zstdDecompressSync } = zlib as Record<string, unknown>;
  if (typeof zstdDecompress !== "function" || typeof zstdDecompressSync !== "function") return undefined;
  try {
    zstdDecompressSync(new Uint8Array(0));
    return undefined;
  } catch {
    return promisify(zstdDecompress as never) as unknown as BuiltIn;
  }
}

type XzReader = new (source: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>;
interface XzModule {
  readonly XzReadableStream?: XzReader;
  readonly default?: { readonly XzReadableStream?: XzReader };
}
interface FzstdModule {
  Decompress: new (ondata: (chunk: Uint8Array, final?: boolean) => void) => {
    push(chunk: Uint8Array, final?: boolean): void;
  };
}

async function loadOptional<T>(
  load: (name: string) => Promise<unknown>,
  name: string,
  compression: string,
  alternative = "",
): Promise<T> {
  try {
    return (await load(name)) as T;
  } catch (cause) {
    throw new FormatError(
      "noDecoder",
      `Reading ${compression} needs the optional package ${name}, which is not installed; "npm install ${name}" ${alternative}would do`,
      { subject: name, cause },
    );
  }
}

function foreignPackage(name: string, missing: string): FormatError {
  return new FormatError(
    "noDecoder",
    `The package ${name} that is installed has no ${missing}; version 0.2.3 would do`,
    {
      subject: name,
    },
  );
}

async function unxz(Reader: XzReader, bytes: Uint8Array, options: DecompressOptions): Promise<Uint8Array> {
  if (bytes.length === 0) throw new Error("unexpected end of file");
  let consumed = 0;
  let idleSteps = 0;
  const source = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (consumed >= bytes.length) {
        controller.close();
        return;
      }
      const chunk = bytes.subarray(consumed, consumed + STEP_BYTES);
      consumed += chunk.length;
      options.progress?.(consumed);
      controller.enqueue(chunk);
    },
  });
  const result = new Collector(options.maxBytes);
  const reader = new Reader(source).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return result.join();
    try {
      // The decoder does not take the end of its input for one: it goes on and gives nothing.
      idleSteps = value.length === 0 && consumed === bytes.length ? idleSteps + 1 : 0;
      if (idleSteps > MAX_IDLE_STEPS) throw new Error("unexpected end of file");
      result.add(value);
    } catch (error) {
      await reader.cancel();
      throw error;
    }
  }
}

function unzstd(fzstd: FzstdModule, bytes: Uint8Array, options: DecompressOptions): Promise<Uint8Array> {
  if (bytes.length === 0) throw new Error("unexpected end of file");
  const result = new Collector(options.maxBytes);
  const decoder = new fzstd.Decompress((chunk) => result.add(chunk));
  for (let at = 0; at < bytes.length; at += STEP_BYTES) {
    const end = Math.min(at + STEP_BYTES, bytes.length);
    decoder.push(bytes.subarray(at, end), end === bytes.length);
    options.progress?.(end);
  }
  return Promise.resolve(result.join());
}

/** Gathers chunks up to a bound. */
class Collector {
  readonly #chunks: Uint8Array[] = [];
  readonly #maxBytes: number;
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  add(chunk: Uint8Array): void {
    this.#length += chunk.length;
    if (this.#length > this.#maxBytes) throw new PastLimit();
    this.#chunks.push(chunk.slice());
  }

  join(): Uint8Array {
    const joined = new Uint8Array(this.#length);
    let at = 0;
    // Each chunk is let go once it is copied, so that the peak stays near one copy.
    for (let chunk = this.#chunks.shift(); chunk !== undefined; chunk = this.#chunks.shift()) {
      joined.set(chunk, at);
      at += chunk.length;
    }
    return joined;
  }
}

async function explained(
  compression: string,
  { maxBytes }: DecompressOptions,
  unpack: () => Promise<Uint8Array>,
): Promise<Uint8Array> {
  try {
    const { buffer, byteOffset, byteLength } = await unpack();
    // Not a Buffer, whose methods differ from those of other arrays of bytes.
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (cause) {
    const { code, message } = cause as { code?: unknown; message?: string };
    if (cause instanceof PastLimit || code === "ERR_BUFFER_TOO_LARGE") {
      throw new FormatError("tooLarge", `The ${compression} data unpacks to more than ${maxBytes} bytes`, { cause });
    }
    if (/unexpected (end of file|EOF)/i.test(message ?? "") || code === "Z_BUF_ERROR") {
      throw new FormatError("truncated", `The ${compression} data ends too early`, { cause });
    }
    throw new FormatError("corrupt", `The ${compression} data is damaged: ${message ?? String(cause)}`, { cause });
  }
}
