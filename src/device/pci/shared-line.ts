// Several interrupt outputs on one input, as pins on a bus share lines: high while any of them is.
import type { IrqLine } from "../port.ts";

export class SharedLine {
  readonly #line: IrqLine;
  #highCount = 0;

  constructor(line: IrqLine) {
    this.#line = line;
  }

  /** One more output. */
  output(): IrqLine {
    let isHigh = false;
    return {
      set: (level) => {
        if (level === isHigh) return;
        isHigh = level;
        this.#highCount += level ? 1 : -1;
        this.#line.set(this.#highCount > 0);
      },
    };
  }
}
