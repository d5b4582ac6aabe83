// Waiting for text on a console, as `expect` does: what was matched is used up, what follows is left for the next one.
import { VmError } from "../base/index.ts";

/** Text kept while nobody waits for it; older text is forgotten. */
const KEPT_CHARACTERS = 1 << 20;
const SHOWN_CHARACTERS = 200;

export class ExpectError extends VmError<"ended" | "aborted"> {
  override readonly room = "chardev";
}

export interface ExpectMatch {
  /** Text between the end of the match before and this one. */
  readonly before: string;
  readonly text: string;
  /** Capture groups of a regular expression. */
  readonly groups: readonly (string | undefined)[];
}

export interface ExpectOptions {
  /** Gives up; a time limit is `AbortSignal.timeout(ms)`. */
  readonly signal?: AbortSignal;
}

interface Waiter {
  readonly find: (text: string) => { at: number; length: number; groups: (string | undefined)[] } | undefined;
  readonly shown: string;
  readonly resolve: (match: ExpectMatch) => void;
  readonly reject: (error: ExpectError) => void;
}

/** Takes UTF-8 output in pieces and answers `expect` calls in the order in which they were made. */
export class Expecter {
  readonly #decoder = new TextDecoder();
  readonly #waiters: Waiter[] = [];
  #text = "";
  #ended: string | undefined;

  feed(bytes: Uint8Array): void {
    this.#text += this.#decoder.decode(bytes, { stream: true });
    this.#match();
    if (this.#text.length > KEPT_CHARACTERS) this.#text = this.#text.slice(-KEPT_CHARACTERS);
  }

  /** No more will come; `reason` says why in errors ("the machine has ended"). */
  end(reason: string): void {
    this.#ended = reason;
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#error("ended", waiter, reason));
  }

  /** Rejects with ExpectError when the output ends first, or the signal aborts; the error shows the newest output. */
  expect(pattern: RegExp | string, { signal }: ExpectOptions = {}): Promise<ExpectMatch> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        const at = this.#waiters.indexOf(waiter);
        if (at < 0) return;
        this.#waiters.splice(at, 1);
        reject(this.#error("aborted", waiter, "it was given up"));
        // The next one was waiting for its turn.
        this.#match();
      };
      const waiter: Waiter = {
        find: typeof pattern === "string" ? (text) => findString(text, pattern) : (text) => findPattern(text, pattern),
        shown: typeof pattern === "string" ? JSON.stringify(pattern) : String(pattern),
        resolve: (match) => {
          signal?.removeEventListener("abort", abort);
          resolve(match);
        },
        reject: (error) => {
          signal?.removeEventListener("abort", abort);
          reject(error);
        },
      };
      this.#waiters.push(waiter);
      this.#match();
      if (!this.#waiters.includes(waiter)) return;
      if (this.#ended !== undefined) this.end(this.#ended);
      else if (signal?.aborted === true) abort();
      else signal?.addEventListener("abort", abort, { once: true });
    });
  }

  #match(): void {
    for (let waiter = this.#waiters[0]; waiter !== undefined; waiter = this.#waiters[0]) {
      const found = waiter.find(this.#text);
      if (found === undefined) return;
      const { at, length, groups } = found;
      const match = { before: this.#text.slice(0, at), text: this.#text.slice(at, at + length), groups };
      this.#text = this.#text.slice(at + length);
      this.#waiters.shift();
      waiter.resolve(match);
    }
  }

  #error(code: "ended" | "aborted", waiter: Waiter, reason: string): ExpectError {
    const tail = JSON.stringify(this.#text.slice(-SHOWN_CHARACTERS));
    return new ExpectError(
      code,
      `Waiting for ${waiter.shown} found no match before ${reason}; the output ends with ${tail}`,
    );
  }
}

function findString(text: string, wanted: string): ReturnType<Waiter["find"]> {
  const at = text.indexOf(wanted);
  return at < 0 ? undefined : { at, length: wanted.length, groups: [] };
}

function findPattern(text: string, pattern: RegExp): ReturnType<Waiter["find"]> {
  // A global or sticky expression would start where its last use ended.
  pattern.lastIndex = 0;
  const found = pattern.exec(text);
  return found === null ? undefined : { at: found.index, length: found[0].length, groups: found.slice(1) };
}
