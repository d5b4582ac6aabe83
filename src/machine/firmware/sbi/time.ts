// Timer extension (SBI 2.0, chapter 6): one deadline per hart. With Sstc it is the hart's own comparator; without, a
// timer of the machine and the supervisor timer interrupt.
import type { Timer } from "../../../base/index.ts";
import { HartIrq, type Hart } from "../../../target/riscv/port.ts";
import { notSupported, success, type SbiAnswer, type SbiCall, type SbiExtension } from "./call.ts";
import { Csr } from "./csr.ts";
import type { SbiPlatform } from "./platform.ts";
import { ALL_ONES, Eid } from "./spec.ts";

/** Deadlines further away than this many ticks (years) are as good as none. */
const FAR_TICKS = 2n ** 50n;

export class TimeExtension implements SbiExtension {
  readonly eid: number = Eid.time;
  readonly #platform: SbiPlatform;
  readonly #timers: readonly Timer[];
  /** By hart; all ones when there is none, and always with Sstc. */
  readonly #deadlines: bigint[];

  constructor(platform: SbiPlatform) {
    this.#platform = platform;
    this.#deadlines = platform.harts.map(() => ALL_ONES);
    this.#timers = platform.harts.map((hart) =>
      platform.timers.create(`sbi.timer${hart.id}`, () => this.#update(hart)),
    );
  }

  call({ hart, functionId, args }: SbiCall): SbiAnswer {
    if (functionId !== 0n) return notSupported;
    this.setTimer(hart, args[0]);
    return success();
  }

  /** The next supervisor timer interrupt of `hart`, in ticks; clears a pending one. */
  setTimer(hart: Hart, deadlineTicks: bigint): void {
    if (hart.isa.extensions.includes("sstc")) {
      hart.writeCsr(Csr.stimecmp, deadlineTicks);
      return;
    }
    this.#deadlines[hart.id] = deadlineTicks;
    this.#update(hart);
  }

  /** No deadline and no pending interrupt. */
  clear(hart: Hart): void {
    this.setTimer(hart, ALL_ONES);
  }

  get deadlines(): readonly bigint[] {
    return this.#deadlines;
  }

  set deadlines(values: readonly bigint[]) {
    for (const hart of this.#platform.harts) {
      if (!hart.isa.extensions.includes("sstc")) this.setTimer(hart, values[hart.id] ?? ALL_ONES);
    }
  }

  #update(hart: Hart): void {
    const { timebase, timers } = this.#platform;
    const timer = this.#timers[hart.id]!;
    const waitTicks = this.#deadlines[hart.id]! - BigInt(timebase.ticks());
    hart.setIrq(HartIrq.stip, waitTicks <= 0n);
    if (waitTicks <= 0n || waitTicks > FAR_TICKS) timer.disarm();
    else timer.arm(timers.clock.nowNs() + Number(waitTicks) * (1e9 / timebase.frequencyHz));
  }
}
