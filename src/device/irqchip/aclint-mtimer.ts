// ACLINT's MTIMER: the machine timer of each hart, and the time that all harts see.
// Source: RISC-V Advanced Core Local Interruptor specification 1.0-rc4, chapter 2. It is also the second part of SiFive's
// CLINT.
import { assert, type Timer, type TimerPort, type TracePort } from "../../base/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import { property, uint32 } from "../../object/index.ts";
import { describeState, field, u64 } from "../../state/index.ts";
import type { IrqLine, MmioDevice } from "../port.ts";
import { registerBank } from "../register-bank.ts";
import type { DescriptionOf } from "../../state/index.ts";
import type { DeviceTypeInfo } from "../type-info.ts";

const MTIMECMP = 0;
const MTIME = 0x7ff8;
const TWO_32 = 2 ** 32;
/** mtime values up to here are handled as numbers: exact with room to add. */
const NEAR = 2 ** 52;

export interface AclintMtimerOptions {
  /** The machine timer interrupt of each hart. */
  readonly harts: readonly IrqLine[];
  /** Of mtime; a divisor of 10^9. */
  readonly frequencyHz: number;
  /** Timers on the machine's virtual clock, which mtime follows. */
  readonly timers: TimerPort;
  readonly trace: TracePort;
}

export const aclintMtimerInfo: DeviceTypeInfo = {
  typeName: "riscv.aclint.mtimer",
  description: "Machine timers of harts and the time base",
  properties: {
    "num-harts": property(uint32, { default: 1 }),
    "timebase-freq": property(uint32, { default: 10_000_000 }),
  },
};

export type AclintMtimerState = {
  /** Low and high word of each hart's mtimecmp. */
  mtimecmp: number[];
  /** At the moment of saving. */
  mtime: bigint;
};

export class AclintMtimer implements MmioDevice {
  readonly typeName: string = aclintMtimerInfo.typeName;
  readonly mmioLengthBytes: number = 0x8000;
  readonly mmio: MmioHandler;
  readonly stateDescription: DescriptionOf<AclintMtimerState>;
  readonly frequencyHz: number;
  readonly #harts: AclintMtimerOptions["harts"];
  readonly #clock: TimerPort["clock"];
  readonly #nsPerTick: number;
  readonly #timers: readonly Timer[];
  readonly #registers;
  readonly #onSet: (() => void)[] = [];
  #offset = 0n;
  /** The offset as a number while it is small; undefined after a guest has set mtime very far away. */
  #nearOffset: number | undefined = 0;

  constructor({ harts, frequencyHz, timers, trace }: AclintMtimerOptions) {
    assert(1e9 % frequencyHz === 0, "a tick of mtime is a whole number of nanoseconds", frequencyHz);
    this.frequencyHz = frequencyHz;
    this.#nsPerTick = 1e9 / frequencyHz;
    this.#harts = harts;
    this.#clock = timers.clock;
    this.#timers = harts.map((_, hart) => timers.create(`mtimer${hart}`, () => this.#updateTimer(hart)));
    const bank = AclintMtimer.#bank(harts.length);
    this.#registers = bank.file(this, trace);
    this.stateDescription = describeState("riscv.aclint.mtimer", 1, [...bank.stateFields, field("mtime", u64)]);
    this.mmio = {
      valid: { min: 4, max: 8 },
      impl: { min: 4, max: 8 },
      read: (offset) => this.#registers.read(offset),
      write: (offset, _width, value) => this.#registers.write(offset, value),
      // A doubleword is one access: the halves of mtime must match, and mtimecmp must not pass through a third value.
      read64: (offset) => this.#read64(offset),
      write64: (offset, value) => this.#write64(offset, value),
    };
    this.reset();
  }

  static #bank(hartCount: number) {
    return registerBank("mtimer", 4, {
      mtimecmp: {
        at: MTIMECMP,
        repeat: { rows: hartCount, strideBytes: 8, columns: 2 },
        // The specifications leave the reset value open; this one raises nothing.
        reset: 0xffffffff,
        wrote: (d: AclintMtimer, _value, _before, index) => d.#updateTimer(index >> 1),
      },
      mtime: {
        at: MTIME,
        repeat: { rows: 1, strideBytes: 8, columns: 2 },
        read: (d: AclintMtimer, index) => d.#mtimeHalf(index),
        wrote: (d: AclintMtimer, value, _before, index) => d.#writeMtimeHalf(index, value),
      },
    });
  }

  /** mtime; exact below 2^52. What harts answer for the `time` CSR. */
  ticks(): number {
    return this.#nearOffset === undefined ? Number(this.#mtime()) : this.#rawTicks() + this.#nearOffset;
  }

  /** `listener` is called whenever mtime was set. */
  onSet(listener: () => void): void {
    this.#onSet.push(listener);
  }

  reset(): void {
    this.#registers.reset();
    this.#setMtime(0n);
  }

  saveState(): AclintMtimerState {
    return { ...this.#registers.save(), mtime: this.#mtime() };
  }

  loadState(state: AclintMtimerState): void {
    this.#registers.load(state);
    this.#setMtime(state.mtime);
  }

  close(): void {
    for (const timer of this.#timers) timer.disarm();
  }

  #rawTicks(): number {
    return Math.floor(this.#clock.nowNs() / this.#nsPerTick);
  }

  #mtime(): bigint {
    return BigInt.asUintN(64, BigInt(this.#rawTicks()) + this.#offset);
  }

  #setMtime(value: bigint): void {
    this.#setOffset(value - BigInt(this.#rawTicks()));
  }

  #setOffset(offset: bigint): void {
    const signed = BigInt.asIntN(64, offset);
    const near = Number(signed);
    // A negative sum would have to wrap around 2^64.
    this.#nearOffset = Math.abs(near) < NEAR && this.#rawTicks() + near >= 0 ? near : undefined;
    this.#offset = BigInt.asUintN(64, offset);
    for (let hart = 0; hart < this.#harts.length; hart++) this.#updateTimer(hart);
    for (const listener of this.#onSet) listener();
  }

  #mtimeHalf(half: number): number {
    if (this.#nearOffset === undefined) return Number((this.#mtime() >> BigInt(32 * half)) & 0xffffffffn);
    const ticks = this.ticks();
    return half === 0 ? ticks % TWO_32 : Math.floor(ticks / TWO_32);
  }

  #writeMtimeHalf(half: number, value: number): void {
    const now = this.#mtime();
    const word = BigInt(value);
    this.#setMtime(half === 0 ? (now & 0xffffffff_00000000n) | word : (now & 0xffffffffn) | (word << 32n));
  }

  /** Sets the hart's line and its timer from mtimecmp and mtime. */
  #updateTimer(hart: number): void {
    const waitTicks = this.#ticksUntil(hart);
    const deadlineNs = (this.#rawTicks() + waitTicks) * this.#nsPerTick;
    this.#harts[hart]!.set(waitTicks <= 0);
    if (waitTicks <= 0 || deadlineNs > Number.MAX_SAFE_INTEGER) this.#timers[hart]!.disarm();
    else this.#timers[hart]!.arm(deadlineNs);
  }

  /** Ticks from now to the hart's mtimecmp; not positive once it is reached. */
  #ticksUntil(hart: number): number {
    const { mtimecmp } = this.#registers.values;
    const compare = mtimecmp[2 * hart + 1]! * TWO_32 + mtimecmp[2 * hart]!;
    if (this.#nearOffset !== undefined && compare < NEAR) return compare - this.ticks();
    return Number(this.#compare(hart) - this.#mtime());
  }

  #compare(hart: number): bigint {
    const { mtimecmp } = this.#registers.values;
    return (BigInt(mtimecmp[2 * hart + 1]!) << 32n) | BigInt(mtimecmp[2 * hart]!);
  }

  #read64(offset: number): bigint | undefined {
    if (offset === MTIME) return this.#mtime();
    const hart = (offset - MTIMECMP) / 8;
    return hart >= 0 && hart < this.#harts.length ? this.#compare(hart) : undefined;
  }

  #write64(offset: number, value: bigint): boolean {
    const hart = (offset - MTIMECMP) / 8;
    if (offset === MTIME) {
      this.#setMtime(value);
    } else if (hart >= 0 && hart < this.#harts.length) {
      const { mtimecmp } = this.#registers.values;
      mtimecmp[2 * hart] = Number(value & 0xffffffffn);
      mtimecmp[2 * hart + 1] = Number(value >> 32n);
      this.#updateTimer(hart);
    } else {
      return false;
    }
    return true;
  }
}
