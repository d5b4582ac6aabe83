// Firmware's use of the board's UART: it polls the line status and moves one byte, as OpenSBI's driver does.
import type { MmioHandler } from "../../memory/port.ts";
import type { SbiConsole } from "../firmware/sbi/platform.ts";

/** Registers of a 16550 and bits of its line status (PC16550D data sheet). */
const DATA = 0;
const LINE_STATUS = 5;
const DATA_READY = 0x01;
const TRANSMITTER_EMPTY = 0x20;

export function uartConsole(uart: MmioHandler): SbiConsole {
  const status = (): number => uart.read(LINE_STATUS, 1) ?? 0;
  return {
    put(byte) {
      if ((status() & TRANSMITTER_EMPTY) === 0) return false;
      uart.write(DATA, 1, byte);
      return true;
    },
    get: () => ((status() & DATA_READY) === 0 ? undefined : uart.read(DATA, 1)),
  };
}
