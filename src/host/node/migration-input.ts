// The reading side of migration channels. Sockets are read to where their bytes belong: memory made anew for each piece, as
// Node's streams do it, costs more than reading (twice the processor time of the whole receiving side, where pages are first
// touched at a price).
import { Socket, type OnReadOpts, type SocketConstructorOpts } from "node:net";
import { pour, type ByteSink } from "../../migration/port.ts";

export interface MigrationInput {
  /** As a channel's. */
  read(sink: ByteSink): Promise<boolean>;
  /** Ends a read that waits; idempotent. */
  end(): void;
}

export class SocketInput implements MigrationInput {
  /** For the socket when it is made. */
  readonly onread: OnReadOpts;
  /** Where bytes go that come while nobody says where: one, so that few have to be put where they belong. */
  readonly #ownPlace = new Uint8Array(1);
  #place: Uint8Array = this.#ownPlace;
  #socket: Socket | undefined;
  /** Reads at the moment. */
  #sink: ByteSink | undefined;
  /** The byte in the place of our own is still to be taken. */
  #hasByte = false;
  #isOver = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;

  constructor() {
    this.onread = {
      buffer: () => (this.#place = this.#sink?.place() ?? this.#ownPlace),
      callback: (count) => this.#took(count),
    };
  }

  of(socket: Socket): this {
    this.#socket = socket;
    socket.on("end", () => this.end());
    socket.on("close", () => this.end());
    socket.on("error", (error) => {
      this.#error ??= error;
      this.end();
    });
    return this;
  }

  async read(sink: ByteSink): Promise<boolean> {
    if (this.#hasByte) {
      this.#hasByte = false;
      if (pour(this.#ownPlace, sink) !== undefined) return true;
    }
    this.#sink = sink;
    while (this.#sink !== undefined) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#isOver) return false;
      this.#socket!.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    return true;
  }

  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  /** False pauses the socket. */
  #took(count: number): boolean {
    const sink = this.#isOver ? undefined : this.#sink;
    if (sink === undefined) {
      this.#hasByte = true;
      return false;
    }
    const wantsMore = this.#place === this.#ownPlace ? pour(this.#ownPlace, sink) === undefined : sink.took(count);
    if (wantsMore) return true;
    this.#sink = undefined;
    this.#wake?.();
    return false;
  }
}

/** What a read of a file brings at most. */
const FILE_BYTES = 2 ** 18;

/** By calls that read a file, one at a time: what one brought is taken while the next one is under way. */
export class FileInput implements MigrationInput {
  readonly #read: (into: Uint8Array) => Promise<{ readonly bytesRead: number }>;
  readonly #close: () => Promise<void>;
  #buffers: readonly [Uint8Array, Uint8Array] = [new Uint8Array(FILE_BYTES), new Uint8Array(FILE_BYTES)];
  #left: Uint8Array = new Uint8Array(0);
  #reading: Promise<Uint8Array> | undefined;
  #isOver = false;

  constructor(read: (into: Uint8Array) => Promise<{ readonly bytesRead: number }>, close: () => Promise<void>) {
    this.#read = read;
    this.#close = close;
  }

  async read(sink: ByteSink): Promise<boolean> {
    while (!this.#isOver) {
      const left = pour(this.#left, sink);
      this.#left = left ?? new Uint8Array(0);
      if (left !== undefined) return true;
      const bytes = await (this.#reading ?? this.#next());
      if (bytes.length === 0) return false;
      this.#left = bytes;
      // What is wrong with it is told to who waits for it.
      this.#next().catch(() => undefined);
    }
    return false;
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const ignore = (): undefined => undefined;
    // A descriptor is not closed under a read. Nothing was written, so that nothing is lost when closing fails.
    void Promise.resolve(this.#reading)
      .catch(ignore)
      .then(() => this.#close().catch(ignore));
  }

  /** Into the buffer that nobody looks at any more. */
  #next(): Promise<Uint8Array> {
    const [into, other] = this.#buffers;
    this.#buffers = [other, into];
    this.#reading = this.#read(into).then(({ bytesRead }) => into.subarray(0, bytesRead));
    return this.#reading;
  }
}

/** What a socket gives that Node does not let read into a buffer. */
class IteratedInput implements MigrationInput {
  readonly #chunks: AsyncIterator<Buffer>;
  #left: Uint8Array = new Uint8Array(0);

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async read(sink: ByteSink): Promise<boolean> {
    for (;;) {
      const left = pour(this.#left, sink);
      this.#left = left ?? new Uint8Array(0);
      if (left !== undefined) return true;
      const { done, value } = await this.#chunks.next();
      if (done === true) return false;
      this.#left = value;
    }
  }

  end(): void {}
}

/**
 * For a server with `pauseOnConnect`. Where bytes go is told to a socket when it is made, and those that a server accepts are
 * made by Node: another one takes the place of the accepted one, as `tls.TLSSocket` does it; where that cannot be, it is read as it is.
 */
export function adoptAccepted(accepted: Socket): { readonly socket: Socket; readonly input: MigrationInput } {
  const holder = accepted as Socket & { _handle?: unknown };
  const handle = holder._handle;
  if (handle === undefined || handle === null) return { socket: accepted, input: new IteratedInput(accepted) };
  const made = readingSocket({ handle });
  holder._handle = null;
  return made;
}

/** A socket over what is open already. */
export function readingSocket(over: { readonly fd: number } | { readonly handle: unknown }): {
  readonly socket: Socket;
  readonly input: MigrationInput;
} {
  const input = new SocketInput();
  // The types lack `onread`, which connecting ones have, and `handle`.
  const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = { ...over, onread: input.onread };
  const socket = new Socket(options);
  return { socket, input: input.of(socket) };
}
