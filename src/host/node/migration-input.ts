// The reading side of migration channels. Everything is read into one buffer: memory made anew for each piece, as Node's
// streams do it, costs more than reading (twice the processor time of the whole receiving side, where pages are first touched
// at a price).
import { Socket, type OnReadOpts, type SocketConstructorOpts } from "node:net";

export interface MigrationInput {
  /** The next bytes, valid until the next call; undefined at the end. Rejects with any Error. */
  read(): Promise<Uint8Array | undefined>;
  /** Ends a read that waits; idempotent. */
  end(): void;
}

export class SocketInput implements MigrationInput {
  /** For the socket when it is made. */
  readonly onread: OnReadOpts;
  #socket: Socket | undefined;
  #count = 0;
  #isOver = false;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  readonly #buffer: Uint8Array;

  constructor(lengthBytes: number) {
    this.#buffer = new Uint8Array(lengthBytes);
    const callback = (count: number): boolean => {
      this.#count = count;
      this.#wake?.();
      // The socket pauses: the bytes stay until they have been taken.
      return false;
    };
    this.onread = { buffer: this.#buffer, callback };
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

  async read(): Promise<Uint8Array | undefined> {
    while (this.#count === 0) {
      if (this.#error !== undefined) throw this.#error;
      if (this.#isOver) return undefined;
      this.#socket!.resume();
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    const count = this.#count;
    this.#count = 0;
    return this.#buffer.subarray(0, count);
  }

  end(): void {
    this.#isOver = true;
    this.#wake?.();
  }
}

/** By calls that read a file, one at a time. */
export class FileInput implements MigrationInput {
  readonly #read: (into: Uint8Array) => Promise<{ readonly bytesRead: number }>;
  readonly #close: () => Promise<void>;
  readonly #buffer: Uint8Array;
  #reading: Promise<unknown> = Promise.resolve();
  #isOver = false;

  constructor(
    read: (into: Uint8Array) => Promise<{ readonly bytesRead: number }>,
    close: () => Promise<void>,
    lengthBytes: number,
  ) {
    this.#read = read;
    this.#close = close;
    this.#buffer = new Uint8Array(lengthBytes);
  }

  async read(): Promise<Uint8Array | undefined> {
    if (this.#isOver) return undefined;
    const reading = this.#read(this.#buffer);
    this.#reading = reading;
    const { bytesRead } = await reading;
    return bytesRead === 0 ? undefined : this.#buffer.subarray(0, bytesRead);
  }

  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const ignore = (): undefined => undefined;
    // A descriptor is not closed under a read. Nothing was written, so that nothing is lost when closing fails.
    void this.#reading.catch(ignore).then(() => this.#close().catch(ignore));
  }
}

/** What a socket gives that Node does not let read into a buffer. */
class IteratedInput implements MigrationInput {
  readonly #chunks: AsyncIterator<Buffer>;

  constructor(socket: Socket) {
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  async read(): Promise<Uint8Array | undefined> {
    const { done, value } = await this.#chunks.next();
    return done === true ? undefined : value;
  }

  end(): void {}
}

/**
 * For a server with `pauseOnConnect`. A buffer to read into is told to a socket when it is made, and those that a server accepts are made by Node: another one
 * takes the place of the accepted one, as `tls.TLSSocket` does it; where that cannot be, it is read as it is.
 */
export function adoptAccepted(
  accepted: Socket,
  lengthBytes: number,
): { readonly socket: Socket; readonly input: MigrationInput } {
  const holder = accepted as Socket & { _handle?: unknown };
  const handle = holder._handle;
  if (handle === undefined || handle === null) return { socket: accepted, input: new IteratedInput(accepted) };
  const made = readingSocket({ handle }, lengthBytes);
  holder._handle = null;
  return made;
}

/** A socket over what is open already. */
export function readingSocket(
  over: { readonly fd: number } | { readonly handle: unknown },
  lengthBytes: number,
): { readonly socket: Socket; readonly input: MigrationInput } {
  const input = new SocketInput(lengthBytes);
  // The types lack `onread`, which connecting ones have, and `handle`.
  const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = { ...over, onread: input.onread };
  const socket = new Socket(options);
  return { socket, input: input.of(socket) };
}
