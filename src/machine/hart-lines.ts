// The interrupt inputs of harts as lines that devices drive. Devices are made first, because harts read a device's time;
// lines look their hart up when they are driven.
import type { IrqLine } from "../device/index.ts";
import type { Hart, HartIrq } from "../target/riscv/port.ts";

export interface HartLinesOptions {
  /** Called when a line rises: a hart may have become runnable. */
  readonly wake: () => void;
  /** Called when another hart may wait for what `hart` has been told: it should have its turn now. */
  readonly giveWayTo: (hart: Hart) => void;
}

export class HartLines {
  #harts: readonly Hart[] = [];
  readonly #options: HartLinesOptions;

  constructor(options: HartLinesOptions) {
    this.#options = options;
  }

  /** By hart id, from 0 without gaps. */
  connect(harts: readonly Hart[]): void {
    this.#harts = harts;
  }

  line(hartId: number, irq: HartIrq): IrqLine {
    return {
      set: (level) => {
        this.#harts[hartId]?.setIrq(irq, level);
        if (level) this.#options.wake();
      },
    };
  }

  /** A line by which harts speak to each other; the speaker usually waits for an answer. */
  messages(hartId: number, irq: HartIrq): IrqLine {
    const line = this.line(hartId, irq);
    return {
      set: (level) => {
        line.set(level);
        const hart = this.#harts[hartId];
        if (level && hart !== undefined) this.#options.giveWayTo(hart);
      },
    };
  }
}
