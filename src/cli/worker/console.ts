// A machine's console as the caller sees it: write text, read text, wait for a pattern.
import { VmError } from "../../base/index.ts";
import { Expecter, ExpectError, type ExpectMatch } from "../../chardev/index.ts";

export type ConsoleErrorCode = "timeout" | "ended" | "aborted";

/** The console did not say what was waited for, or is no more. */
export class ConsoleError extends VmError<ConsoleErrorCode> {
  override readonly room = "console";
}

export interface ExpectOptions {
  /** Default 60000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * The guest's serial console. Reading and expecting are independent: both see all text. Text that nobody reads is kept
 * up to 1 MiB, then the oldest is dropped; while somebody iterates nothing is dropped and the guest waits instead.
 */
export interface VmConsole extends AsyncIterable<string> {
  /** Types text; resolves when the guest has taken it. */
  write(text: string): Promise<void>;
  /** All unread text; waits when there is none. Resolves with "" when the machine has ended. */
  read(): Promise<string>;
  /**
   * Waits until `pattern` appears in what came after the last match. Rejects with ConsoleError, which quotes the newest
   * output.
   */
  expect(pattern: string | RegExp, options?: ExpectOptions): Promise<ExpectMatch>;
  /** How many characters were dropped because nobody read them. */
  readonly droppedCharacters: number;
}

const UNREAD_LIMIT = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 60_000;

export interface ConsoleLink {
  readonly send: (bytes: Uint8Array) => void;
  /** So many bytes of output have been taken from the machine. */
  readonly taken: (lengthBytes: number) => void;
}

export class ConsoleEnd implements VmConsole {
  readonly #link: ConsoleLink;
  readonly #decoder = new TextDecoder();
  readonly #expecter = new Expecter();
  readonly #changed: (() => void)[] = [];
  readonly #writes: { left: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  #unread = "";
  #dropped = 0;
  #ended: string | undefined;
  /** Someone iterates: text is not dropped, the guest waits instead. */
  #iterators = 0;
  #untaken = 0;

  constructor(link: ConsoleLink) {
    this.#link = link;
  }

  get droppedCharacters(): number {
    return this.#dropped;
  }

  write(text: string): Promise<void> {
    if (this.#ended !== undefined) return Promise.reject(new ConsoleError("ended", this.#ended));
    const bytes = new TextEncoder().encode(text);
    if (bytes.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#writes.push({ left: bytes.length, resolve, reject });
      this.#link.send(bytes);
    });
  }

  async read(): Promise<string> {
    while (this.#unread === "" && this.#ended === undefined) await this.#change();
    return this.#take(this.#unread.length);
  }

  async expect(pattern: string | RegExp, options: ExpectOptions = {}): Promise<ExpectMatch> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, signal } = options;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      return await this.#expecter.expect(pattern, {
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
      });
    } catch (cause) {
      if (!(cause instanceof ExpectError)) throw cause;
      const isTimeout = cause.code === "aborted" && signal?.aborted !== true;
      const message = isTimeout ? `${cause.message} (after ${timeoutMs} ms)` : cause.message;
      throw new ConsoleError(isTimeout ? "timeout" : cause.code, message, { cause });
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void, undefined> {
    this.#iterators++;
    try {
      for (;;) {
        const text = await this.read();
        if (text === "") return;
        yield text;
      }
    } finally {
      this.#iterators--;
      this.#settle();
    }
  }

  /** From the worker. */
  receive(bytes: Uint8Array): void {
    this.#unread += this.#decoder.decode(bytes, { stream: true });
    this.#expecter.feed(bytes);
    this.#untaken += bytes.length;
    this.#settle();
    this.#wake();
  }

  /** The guest has taken so many bytes of what was written. */
  inputTaken(lengthBytes: number): void {
    let left = lengthBytes;
    while (left > 0) {
      const first = this.#writes[0];
      if (first === undefined) return;
      const part = Math.min(left, first.left);
      first.left -= part;
      left -= part;
      if (first.left > 0) return;
      this.#writes.shift();
      first.resolve();
    }
  }

  /** No more text comes; `reason` is how errors begin. */
  end(reason: string): void {
    if (this.#ended !== undefined) return;
    this.#unread += this.#decoder.decode();
    this.#ended = reason;
    this.#expecter.end(reason);
    for (const { reject } of this.#writes.splice(0)) reject(new ConsoleError("ended", reason));
    this.#wake();
  }

  #take(length: number): string {
    const text = this.#unread.slice(0, length);
    this.#unread = this.#unread.slice(length);
    this.#settle();
    return text;
  }

  #settle(): void {
    if (this.#unread.length > UNREAD_LIMIT) {
      if (this.#iterators > 0) return;
      const over = this.#unread.length - UNREAD_LIMIT;
      this.#unread = this.#unread.slice(over);
      this.#dropped += over;
    }
    const untaken = this.#untaken;
    this.#untaken = 0;
    if (untaken > 0) this.#link.taken(untaken);
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve();
  }
}
