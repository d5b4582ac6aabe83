// What the built-in SBI knows of the machine below it.
import type { TimerPort } from "../../../base/index.ts";
import type { DmaPort } from "../../../memory/port.ts";
import type { Hart, TimebasePort } from "../../../target/riscv/port.ts";
import type { GuestRequest } from "../../guest-request.ts";

/** The console that firmware shares with the guest's own driver: the board's first UART. */
export interface SbiConsole {
  /** Sends one byte; false when the transmitter has no room now. */
  put(byte: number): boolean;
  /** The next byte received, or undefined. */
  get(): number | undefined;
}

export interface SbiPlatform {
  /** By hart id, from 0 without gaps. */
  readonly harts: readonly Hart[];
  readonly timebase: TimebasePort;
  /** Timers on guest time. */
  readonly timers: TimerPort;
  /** Guest-physical memory, with writes reported as the firmware's. */
  readonly memory: DmaPort;
  readonly console: SbiConsole;
  /** Ends or resets the machine soon. */
  readonly request: (request: GuestRequest) => void;
}
