// A machine's console as the caller sees it: write text, read text, wait for a pattern.
import { VmError } from "../../base/index.ts";

export type ConsoleErrorCode = "timeout" | "ended" | "aborted";

/** The console did not say what was waited for. */
export class ConsoleError extends VmError<ConsoleErrorCode> {
  override readonly room = "console";
}

export interface ExpectOptions {
  /** Default 60000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface Expected {
  /** What matched. */
  readonly text: string;
  /** Unread text before the match. */
  readonly before: string;
  /** Capture groups of a regular expression, from 1; undefined where one did not take part. */
  readonly groups: readonly (string | undefined)[];
}

/** The guest's serial console. Unread text is kept up to `unreadLimit` characters, then the oldest is dropped. */
export interface VmConsole extends AsyncIterable<string> {
  /** Types text; resolves when the guest has taken it. */
  write(text: string): Promise<void>;
  /** All unread text; waits when there is none. Resolves with "" when the machine has ended. */
  read(): Promise<string>;
  /** Waits until `pattern` appears in the unread text, and reads up to its end. Rejects with ConsoleError. */
  expect(pattern: string | RegExp, options?: ExpectOptions): Promise<Expected>;
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
  readonly #changed = new Set<() => void>();
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
    while (this.#unread === "" && this.#ended === undefined) await this.#change(undefined);
    return this.#take(this.#unread.length);
  }

  async expect(
    pattern: string | RegExp,
    { timeoutMs = DEFAULT_TIMEOUT_MS, signal }: ExpectOptions = {},
  ): Promise<Expected> {
    const find = finder(pattern);
    const endMs = Date.now() + timeoutMs;
    for (;;) {
      const found = find(this.#unread);
      if (found !== undefined) {
        const before = this.#unread.slice(0, found.at);
        this.#take(found.at + found.text.length);
        return { text: found.text, before, groups: found.groups };
      }
      const wanted = typeof pattern === "string" ? JSON.stringify(pattern) : String(pattern);
      const said = `the last text was ${JSON.stringify(this.#unread.slice(-200))}`;
      const leftMs = endMs - Date.now();
      if (this.#ended !== undefined) throw new ConsoleError("ended", `${this.#ended} before ${wanted}; ${said}`);
      if (signal?.aborted === true) throw new ConsoleError("aborted", `Waiting for ${wanted} was given up; ${said}`);
      if (leftMs <= 0) throw new ConsoleError("timeout", `No ${wanted} within ${timeoutMs} ms; ${said}`);
      await this.#change(leftMs, signal);
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
    this.#untaken += bytes.length;
    this.#settle();
    for (const wake of [...this.#changed]) wake();
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
    for (const { reject } of this.#writes.splice(0)) reject(new ConsoleError("ended", reason));
    for (const wake of [...this.#changed]) wake();
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

  #change(timeoutMs: number | undefined, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.#changed.delete(wake);
        clearTimeout(timeout);
        signal?.removeEventListener("abort", wake);
        resolve();
      };
      const timeout = timeoutMs === undefined ? undefined : setTimeout(wake, timeoutMs);
      this.#changed.add(wake);
      signal?.addEventListener("abort", wake, { once: true });
    });
  }
}

interface Found {
  readonly at: number;
  readonly text: string;
  readonly groups: readonly (string | undefined)[];
}

function finder(pattern: string | RegExp): (text: string) => Found | undefined {
  if (typeof pattern === "string") {
    return (text) => {
      const at = text.indexOf(pattern);
      return at < 0 ? undefined : { at, text: pattern, groups: [] };
    };
  }
  // With g or y a search would begin where the last one ended.
  const search = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ""));
  return (text) => {
    const match = search.exec(text);
    return match === null ? undefined : { at: match.index, text: match[0], groups: match.slice(1) };
  };
}
