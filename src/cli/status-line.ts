// Progress on one line of a terminal; plain lines, one per step, where there is no terminal.
import type { WriteStream } from "node:tty";

const WIDTH = 80;
const REDRAW_MS = 100;

export interface Progress {
  /** What is being done: `linux-image-6.12-riscv64`. */
  readonly what: string;
  /** What changes while it is done: for a terminal alone. */
  readonly detail?: string;
  readonly doneBytes?: number;
  readonly totalBytes?: number;
}

/** The parts of a terminal that are used; tests give their own. */
export type StatusStream = Pick<WriteStream, "write"> & { readonly isTTY?: boolean };

export class StatusLine {
  readonly #stream: StatusStream;
  readonly #nowMs: () => number;
  #shown = "";
  #what = "";
  #drawnMs = -Infinity;

  constructor(stream: StatusStream, nowMs: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#nowMs = nowMs;
  }

  update(progress: Progress): void {
    const isNew = progress.what !== this.#what;
    this.#what = progress.what;
    if (this.#stream.isTTY !== true) {
      if (isNew) this.#stream.write(`${progress.what}\n`);
      return;
    }
    const nowMs = this.#nowMs();
    if (!isNew && nowMs - this.#drawnMs < REDRAW_MS) return;
    this.#drawnMs = nowMs;
    this.#draw(statusText(progress));
  }

  /** A line that stays; the status goes on below it. */
  line(text: string): void {
    if (this.#stream.isTTY === true) this.#draw("");
    this.#stream.write(`${text}\n`);
  }

  /** Takes the status away. */
  clear(): void {
    this.#what = "";
    if (this.#stream.isTTY === true) this.#draw("");
  }

  #draw(text: string): void {
    if (text === this.#shown) return;
    this.#stream.write(`\r${text.padEnd(this.#shown.length)}${text.length < this.#shown.length ? `\r${text}` : ""}`);
    this.#shown = text;
  }
}

/** At most 79 characters, so that a terminal of 80 does not wrap. */
export function statusText({ what, detail, doneBytes, totalBytes }: Progress): string {
  const amount = amountText(doneBytes, totalBytes);
  const room = WIDTH - 1 - (amount === "" ? 0 : amount.length + 1);
  const whole = detail === undefined ? what : `${what}: ${detail}`;
  const name = whole.length <= room ? whole : `${whole.slice(0, room - 3)}...`;
  return amount === "" ? name : `${name} ${amount}`;
}

function amountText(doneBytes: number | undefined, totalBytes: number | undefined): string {
  if (doneBytes === undefined) return "";
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  if (totalBytes === undefined || totalBytes === 0) return `${mib(doneBytes)} MiB`;
  const percent = Math.floor((100 * doneBytes) / totalBytes);
  return `${mib(doneBytes)} of ${mib(totalBytes)} MiB (${percent} %)`;
}
