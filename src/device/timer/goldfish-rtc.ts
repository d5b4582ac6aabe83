// Goldfish RTC: wall-clock time in nanoseconds, with one alarm.
// Source: GOLDFISH-VIRTUAL-HARDWARE.TXT of Android's emulator, "Goldfish real-time clock"; QEMU's `google,goldfish-rtc`.
import { bit, type Timer, type TimerPort, type TracePort, type WallClockPort } from "../../base/index.ts";
import type { MmioHandler } from "../../memory/port.ts";
import { describeState, field, bool, u32, u64 } from "../../state/index.ts";
import type { IrqLine, MmioDevice } from "../port.ts";
import { registerBank } from "../register-bank.ts";
import type { DescriptionOf } from "../../state/index.ts";
import type { DeviceTypeInfo } from "../type-info.ts";

/** Longest wait given to a timer; an alarm further away is looked at again then. */
const LONGEST_WAIT_NS = 2n ** 50n;

export interface GoldfishRtcOptions {
  /** What the clock shows until a guest sets it; see `makeRtcClock` for `-rtc base=`. */
  readonly time: WallClockPort;
  readonly timers: TimerPort;
  readonly irq: IrqLine;
  readonly trace: TracePort;
}

export const goldfishRtcInfo: DeviceTypeInfo = {
  typeName: "goldfish_rtc",
  description: "Goldfish real-time clock",
  properties: {},
};

export type GoldfishRtcState = {
  alarmLow: number;
  alarmHigh: number;
  irqEnabled: number;
  /** TIME_HIGH as latched by the last read of TIME_LOW. */
  timeHighLatch: number;
  alarmRunning: boolean;
  irqPending: boolean;
  /** How far the guest has moved the clock, in nanoseconds, modulo 2^64. */
  guestOffset: bigint;
};

export class GoldfishRtc implements MmioDevice {
  static readonly #bank = registerBank("goldfish_rtc", 4, {
    timeLow: {
      at: 0x00,
      read: (d: GoldfishRtc) => d.#latchTime(),
      wrote: (d: GoldfishRtc, value) => d.#setTimeHalf(0n, value),
    },
    timeHigh: {
      at: 0x04,
      read: (d: GoldfishRtc) => d.#timeHighLatch,
      wrote: (d: GoldfishRtc, value) => d.#setTimeHalf(32n, value),
    },
    // Drivers write the high half first; the low one starts the alarm.
    alarmLow: { at: 0x08, wrote: (d: GoldfishRtc) => d.#startAlarm() },
    alarmHigh: { at: 0x0c },
    irqEnabled: { at: 0x10, fields: { enabled: bit(0) }, wrote: (d: GoldfishRtc) => d.#updateIrq() },
    clearAlarm: { at: 0x14, access: "wo", wrote: (d: GoldfishRtc) => d.#clearAlarm() },
    alarmStatus: { at: 0x18, access: "ro", read: (d: GoldfishRtc) => (d.#alarmRunning ? 1 : 0) },
    clearInterrupt: { at: 0x1c, access: "wo", wrote: (d: GoldfishRtc) => d.#setIrqPending(false) },
  });

  readonly typeName: string = goldfishRtcInfo.typeName;
  readonly mmioLengthBytes: number = 0x24;
  readonly mmio: MmioHandler;
  readonly stateDescription: DescriptionOf<GoldfishRtcState> = describeState("goldfish_rtc", 1, [
    ...GoldfishRtc.#bank.stateFields,
    field("timeHighLatch", u32),
    field("alarmRunning", bool),
    field("irqPending", bool),
    field("guestOffset", u64),
  ]);
  readonly #time: WallClockPort;
  readonly #clock: TimerPort["clock"];
  readonly #timer: Timer;
  readonly #irq: IrqLine;
  readonly #registers;
  #timeHighLatch = 0;
  #alarmRunning = false;
  #irqPending = false;
  #guestOffset = 0n;

  constructor({ time, timers, irq, trace }: GoldfishRtcOptions) {
    this.#time = time;
    this.#clock = timers.clock;
    this.#timer = timers.create("goldfish_rtc.alarm", () => this.#checkAlarm());
    this.#irq = irq;
    this.#registers = GoldfishRtc.#bank.file(this, trace);
    this.mmio = this.#registers.mmio({ min: 4, max: 4 });
  }

  /** The time that a guest has set stays: a real-time clock has a battery. */
  reset(): void {
    this.#registers.reset();
    this.#clearAlarm();
    this.#setIrqPending(false);
  }

  close(): void {
    this.#timer.disarm();
  }

  saveState(): GoldfishRtcState {
    return {
      ...this.#registers.save(),
      timeHighLatch: this.#timeHighLatch,
      alarmRunning: this.#alarmRunning,
      irqPending: this.#irqPending,
      guestOffset: this.#guestOffset,
    };
  }

  loadState(state: GoldfishRtcState): void {
    this.#registers.load(state);
    this.#timeHighLatch = state.timeHighLatch;
    this.#alarmRunning = state.alarmRunning;
    this.#irqPending = state.irqPending;
    this.#guestOffset = state.guestOffset;
    this.#updateIrq();
    this.#timer.disarm();
    this.#checkAlarm();
  }

  #now(): bigint {
    return BigInt.asUintN(64, this.#time.nowUnixNs() + this.#guestOffset);
  }

  #latchTime(): number {
    const now = this.#now();
    this.#timeHighLatch = Number(now >> 32n);
    return Number(now & 0xffffffffn);
  }

  #setTimeHalf(shift: bigint, value: number): void {
    const now = this.#now();
    const wanted = (now & ~(0xffffffffn << shift)) | (BigInt(value) << shift);
    this.#guestOffset = BigInt.asUintN(64, this.#guestOffset + wanted - now);
    this.#checkAlarm();
  }

  #startAlarm(): void {
    this.#alarmRunning = true;
    this.#checkAlarm();
  }

  #clearAlarm(): void {
    this.#alarmRunning = false;
    this.#timer.disarm();
  }

  /** Rings when the alarm's time has come, else waits for it; host time may have been stepped in between. */
  #checkAlarm(): void {
    if (!this.#alarmRunning) return;
    const { alarmLow, alarmHigh } = this.#registers.values;
    const waitNs = ((BigInt(alarmHigh) << 32n) | BigInt(alarmLow)) - this.#now();
    if (waitNs <= 0n) {
      this.#clearAlarm();
      this.#setIrqPending(true);
    } else {
      this.#timer.arm(this.#clock.nowNs() + Number(waitNs < LONGEST_WAIT_NS ? waitNs : LONGEST_WAIT_NS));
    }
  }

  #setIrqPending(pending: boolean): void {
    this.#irqPending = pending;
    this.#updateIrq();
  }

  #updateIrq(): void {
    this.#irq.set(this.#irqPending && this.#registers.values.irqEnabled !== 0);
  }
}
