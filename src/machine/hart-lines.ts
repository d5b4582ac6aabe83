// The interrupt inputs of harts as lines that devices drive. Devices are made first, because harts read a device's time;
// lines look their hart up when they are driven.
import type { IrqLine } from "../device/index.ts";
import type { Hart, HartIrq } from "../target/riscv/port.ts";

export class HartLines {
  #harts: readonly Hart[] = [];
  readonly #wake: () => void;

  /** `wake` is called when a line rises: a hart may have become runnable. */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** By hart id, from 0 without gaps. */
  connect(harts: readonly Hart[]): void {
    this.#harts = harts;
  }

  line(hartId: number, irq: HartIrq): IrqLine {
    return {
      set: (level) => {
        this.#harts[hartId]?.setIrq(irq, level);
        if (level) this.#wake();
      },
    };
  }
}
