// hot: bench/migrate.ts
// Frames of one direction are numbered, so that one that is missing, doubled or in another's place is noticed, whole as it is.
const LAST = 0xffff;

export class FrameNumbers {
  /** Of the frame before; undefined before the first. */
  #last: number | undefined;

  /** Of the next frame that is sent: 1 comes first, and after 65535. */
  next(): number {
    this.#last = after(this.#last ?? 0);
    return this.#last;
  }

  /** Of the next frame that came, the number that is due where it has another one. Streams of earlier builds have 0 in all. */
  check(number: number): number | undefined {
    const last = this.#last;
    this.#last = number;
    if (last === undefined) return undefined;
    const due = last === 0 ? 0 : after(last);
    return number === due ? undefined : due;
  }
}

function after(number: number): number {
  return number === LAST ? 1 : number + 1;
}
