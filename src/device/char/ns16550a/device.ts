// A 16550A UART whose line has no speed: what the guest sends is sent at once, what arrives waits in the receive FIFO.
// Source: PC16550D data sheet. Where it is silent, what Linux's 8250 driver tests for.
import type { Timer, TimerPort, TracePort } from "../../../base/index.ts";
import { OutputQueue, type CharBackend } from "../../../chardev/index.ts";
import type { MmioHandler } from "../../../memory/port.ts";
import { link, property } from "../../../object/index.ts";
import { blob, bool, describeState, field, u8 } from "../../../state/index.ts";
import type { IrqLine, MmioDevice } from "../../port.ts";
import { registerBank } from "../../register-bank.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import type { DeviceTypeInfo } from "../../type-info.ts";
import { ReceiveFifo } from "./receive-fifo.ts";
import { FCR, FIFO_BYTES, IER, IIR, LCR, LSR, MCR, MSR, TRIGGER_LEVELS } from "./spec.ts";

/** Unsent bytes at which the transmitter stops looking empty. */
const OUTPUT_HIGH_BYTES = 0x4000;
/** Room past that mark: Linux's console waits 10 ms for an empty transmitter and then writes all the same. */
const OUTPUT_CAPACITY_BYTES = 0x10000;
/** Nothing on the line pulls these down: carrier, data set ready, clear to send. */
const CONNECTED = MSR.dcd | MSR.dsr | MSR.cts;
/** Of 115200 baud with a clock of 3686400 Hz. */
const RESET_DIVISOR = 2;
const NEWLINE = 0x0a;

export interface Ns16550aOptions {
  readonly backend: CharBackend | undefined;
  /** Input clock of the baud generator. */
  readonly clockHz: number;
  readonly timers: TimerPort;
  readonly irq: IrqLine;
  readonly trace: TracePort;
}

export const ns16550aInfo: DeviceTypeInfo = {
  typeName: "serial-mm",
  description: "16550A UART with memory-mapped registers",
  properties: { chardev: property(link("chardev")) },
};

export type Ns16550aState = {
  dll: number;
  dlm: number;
  ier: number;
  lcr: number;
  mcr: number;
  scr: number;
  fcr: number;
  /** Modem lines in bits 7:4 and their deltas in bits 3:0, as MSR shows them. */
  modemStatus: number;
  overrun: boolean;
  thrEmptyPending: boolean;
  timeoutPending: boolean;
  /** Characters and their error bits, alternating. */
  received: Uint8Array;
  /** Bytes that the backend has not taken yet. */
  unsent: Uint8Array;
};

export class Ns16550a implements MmioDevice {
  static readonly #bank = registerBank("serial", 1, {
    dll: { at: 0, reset: RESET_DIVISOR, when: (d: Ns16550a) => d.#divisorLatch },
    dlm: { at: 1, when: (d: Ns16550a) => d.#divisorLatch },
    rbr: { at: 0, access: "ro", read: (d: Ns16550a) => d.#readReceived() },
    thr: { at: 0, access: "wo", wrote: (d: Ns16550a, value) => d.#transmit(value) },
    ier: { at: 1, mask: 0x0f, wrote: (d: Ns16550a, value, before) => d.#ierWritten(value, before) },
    iir: { at: 2, access: "ro", read: (d: Ns16550a) => d.#readIir() },
    fcr: { at: 2, access: "wo", wrote: (d: Ns16550a, value) => d.#fcrWritten(value) },
    lcr: { at: 3, wrote: (d: Ns16550a) => d.#lcrWritten() },
    mcr: { at: 4, mask: 0x1f, wrote: (d: Ns16550a, value, before) => d.#mcrWritten(value, before) },
    lsr: { at: 5, access: "ro", read: (d: Ns16550a) => d.#readLsr() },
    msr: { at: 6, access: "ro", read: (d: Ns16550a) => d.#readMsr() },
    scr: { at: 7 },
  });

  readonly typeName: string = ns16550aInfo.typeName;
  readonly mmioLengthBytes: number = 8;
  readonly mmio: MmioHandler;
  readonly stateDescription: DescriptionOf<Ns16550aState> = describeState("serial-mm", 1, [
    ...Ns16550a.#bank.stateFields,
    field("fcr", u8),
    field("modemStatus", u8),
    field("overrun", bool),
    field("thrEmptyPending", bool),
    field("timeoutPending", bool),
    field("received", blob),
    field("unsent", blob),
  ]);
  readonly #backend: CharBackend | undefined;
  readonly #clockHz: number;
  readonly #clock: TimerPort["clock"];
  readonly #timeoutTimer: Timer;
  readonly #flushTimer: Timer;
  readonly #irq: IrqLine;
  readonly #registers;
  readonly #fifo = new ReceiveFifo();
  readonly #output: OutputQueue;
  #divisorLatch = false;
  #fcr = 0;
  #modemStatus: number = CONNECTED;
  #overrun = false;
  #thrEmptyPending = false;
  #timeoutPending = false;

  constructor({ backend, clockHz, timers, irq, trace }: Ns16550aOptions) {
    this.#backend = backend;
    this.#clockHz = clockHz;
    this.#clock = timers.clock;
    this.#irq = irq;
    this.#registers = Ns16550a.#bank.file(this, trace);
    this.#output = new OutputQueue(OUTPUT_CAPACITY_BYTES, backend);
    this.#timeoutTimer = timers.create("serial.timeout", () => this.#characterTimeout());
    this.#flushTimer = timers.create("serial.flush", () => this.flush());
    const read = (offset: number): number => this.#registers.read(offset);
    const write = (offset: number, value: number): void => this.#registers.write(offset, value & 0xff);
    // Wide accesses mean the one register at their address, as on QEMU's board; they must not touch its neighbours.
    this.mmio = {
      impl: { min: 1, max: 8 },
      read,
      write: (offset, _width, value) => write(offset, value),
      read64: (offset) => BigInt(read(offset)),
      write64: (offset, value) => write(offset, Number(value & 0xffn)),
    };
    backend?.attach({
      room: () => this.#room(),
      receive: (bytes) => this.#receive(bytes),
      writable: () => this.#backendWritable(),
      event: (event) => {
        if (event === "break") this.#receiveBreak();
      },
    });
  }

  /** Hands unsent bytes to the backend now; otherwise a line's end or the next turn does. */
  flush(): void {
    const wasEmpty = this.#isThrEmpty();
    this.#output.flush();
    this.#noticeThrEmpty(wasEmpty);
  }

  /** Bytes that the guest has sent are on the line already: they stay. */
  reset(): void {
    this.#registers.reset();
    this.#divisorLatch = false;
    this.#setFcr(0);
    this.#modemStatus = CONNECTED;
    this.#thrEmptyPending = false;
    this.#clearReceiver();
    this.#updateIrq();
    this.#backend?.frontReady();
  }

  close(): void {
    this.#output.flush();
    this.#timeoutTimer.disarm();
    this.#flushTimer.disarm();
    this.#backend?.attach(undefined);
  }

  saveState(): Ns16550aState {
    return {
      ...this.#registers.save(),
      fcr: this.#fcr,
      modemStatus: this.#modemStatus,
      overrun: this.#overrun,
      thrEmptyPending: this.#thrEmptyPending,
      timeoutPending: this.#timeoutPending,
      received: this.#fifo.save(),
      unsent: this.#output.save(),
    };
  }

  loadState(state: Ns16550aState): void {
    this.#registers.load(state);
    this.#divisorLatch = (state.lcr & LCR.divisorLatch) !== 0;
    this.#setFcr(state.fcr);
    this.#modemStatus = state.modemStatus;
    this.#overrun = state.overrun;
    this.#thrEmptyPending = state.thrEmptyPending;
    this.#timeoutPending = state.timeoutPending;
    this.#fifo.load(state.received);
    this.#output.load(state.unsent);
    this.#scheduleFlush();
    this.#restartTimeout();
    this.#updateIrq();
    this.#backend?.frontReady();
  }

  get #fifosOn(): boolean {
    return (this.#fcr & FCR.enable) !== 0;
  }

  get #isLooped(): boolean {
    return (this.#registers.values.mcr & MCR.loop) !== 0;
  }

  // Receiver.

  #room(): number {
    return this.#isLooped ? 0 : this.#fifo.capacity - this.#fifo.count;
  }

  #receive(bytes: Uint8Array): void {
    for (const byte of bytes) this.#push(byte, 0);
    this.#updateIrq();
  }

  #receiveBreak(): void {
    if (this.#isLooped) return;
    this.#push(0, LSR.breakReceived);
    this.#updateIrq();
  }

  #push(byte: number, errors: number): void {
    if (!this.#fifo.push(byte, errors)) this.#overrun = true;
    this.#restartTimeout();
  }

  #readReceived(): number {
    const hadSome = this.#fifo.count > 0;
    const byte = this.#fifo.pop();
    this.#timeoutPending = false;
    this.#restartTimeout();
    this.#updateIrq();
    // The guest has caught up: one larger delivery rather than one byte for each that it reads.
    if (hadSome && this.#fifo.count === 0 && !this.#isLooped) this.#backend?.frontReady();
    return byte;
  }

  #clearReceiver(): void {
    this.#fifo.clear();
    this.#overrun = false;
    this.#timeoutPending = false;
    this.#timeoutTimer.disarm();
  }

  /** Data sheet, "FIFO Interrupt Mode Operation": four character times without a transfer either way. */
  #restartTimeout(): void {
    if (!this.#fifosOn || this.#fifo.count === 0) this.#timeoutTimer.disarm();
    else this.#timeoutTimer.arm(this.#clock.nowNs() + 4 * this.#characterNs());
  }

  #characterTimeout(): void {
    if (this.#fifo.count === 0) return;
    this.#timeoutPending = true;
    this.#updateIrq();
  }

  #characterNs(): number {
    const { dll, dlm, lcr } = this.#registers.values;
    const stopBits = (lcr & LCR.twoStopBits) === 0 ? 1 : 2;
    const frameBits = 1 + (5 + (lcr & 3)) + ((lcr & LCR.parity) === 0 ? 0 : 1) + stopBits;
    // A divisor of 0 stops the generator; a guest that polls must still get its characters.
    const divisor = (dlm << 8) | dll || RESET_DIVISOR;
    return Math.ceil((frameBits * 16 * divisor * 1e9) / this.#clockHz);
  }

  // Transmitter.

  #isThrEmpty(): boolean {
    return this.#output.lengthBytes < OUTPUT_HIGH_BYTES;
  }

  #transmit(byte: number): void {
    if (this.#isLooped) {
      this.#push(byte, 0);
    } else {
      this.#output.pushByte(byte);
      if (byte === NEWLINE) this.#output.flush();
      this.#scheduleFlush();
    }
    // Writing clears the interrupt, and the holding register is empty again at once unless the backend is far behind.
    this.#thrEmptyPending = this.#isThrEmpty();
    this.#updateIrq();
  }

  #scheduleFlush(): void {
    if (this.#output.lengthBytes > 0 && this.#flushTimer.deadlineNs === undefined) {
      this.#flushTimer.arm(this.#clock.nowNs());
    }
  }

  #backendWritable(): void {
    const wasEmpty = this.#isThrEmpty();
    this.#output.backWritable();
    this.#noticeThrEmpty(wasEmpty);
  }

  #noticeThrEmpty(wasEmpty: boolean): void {
    if (wasEmpty || !this.#isThrEmpty()) return;
    this.#thrEmptyPending = true;
    this.#updateIrq();
  }

  // Control and status.

  #ierWritten(value: number, before: number): void {
    // Enabling the interrupt while the register is empty raises it anew, even when it had been acknowledged:
    // Linux tests for this (UART_BUG_THRE, UART_BUG_TXEN).
    if (((value ^ before) & IER.thrEmpty) !== 0) {
      this.#thrEmptyPending = (value & IER.thrEmpty) !== 0 && this.#isThrEmpty();
    }
    this.#updateIrq();
  }

  #fcrWritten(value: number): void {
    const toggled = ((value ^ this.#fcr) & FCR.enable) !== 0;
    this.#setFcr(value);
    // The transmit FIFO is always empty here, as bytes leave it at once: resetting it has nothing to drop.
    if (toggled || (value & FCR.resetTransmit) !== 0) this.#thrEmptyPending = this.#isThrEmpty();
    const cleared = toggled || (value & FCR.resetReceive) !== 0;
    if (cleared) this.#clearReceiver();
    this.#updateIrq();
    if (cleared && !this.#isLooped) this.#backend?.frontReady();
  }

  #setFcr(value: number): void {
    this.#fcr = value & FCR.held;
    this.#fifo.capacity = this.#fifosOn ? FIFO_BYTES : 1;
  }

  #lcrWritten(): void {
    this.#divisorLatch = (this.#registers.values.lcr & LCR.divisorLatch) !== 0;
  }

  #mcrWritten(value: number, before: number): void {
    this.#setModemLines((value & MCR.loop) === 0 ? CONNECTED : loopedLines(value));
    this.#updateIrq();
    if ((before & ~value & MCR.loop) !== 0) this.#backend?.frontReady();
  }

  #setModemLines(lines: number): void {
    const changed = (lines ^ this.#modemStatus) & 0xf0;
    let deltas = (this.#modemStatus & MSR.deltas) | (changed >> 4);
    // The ring indicator tells only its end.
    if ((changed & MSR.ring) !== 0 && (lines & MSR.ring) !== 0) deltas &= ~MSR.ringEnded;
    this.#modemStatus = lines | deltas;
  }

  #readMsr(): number {
    const status = this.#modemStatus;
    this.#modemStatus &= ~MSR.deltas;
    if ((status & MSR.deltas) !== 0) this.#updateIrq();
    return status;
  }

  #readLsr(): number {
    const errors = this.#lineErrors();
    let status = errors | (this.#fifo.count > 0 ? LSR.dataReady : 0);
    if (this.#isThrEmpty()) status |= LSR.thrEmpty | LSR.transmitterEmpty;
    if (this.#fifosOn && this.#fifo.hasErrors()) status |= LSR.errorInFifo;
    if (errors !== 0) {
      this.#overrun = false;
      this.#fifo.clearTopErrors();
      this.#updateIrq();
    }
    return status;
  }

  /** Overrun, and the errors of the character that is read next. */
  #lineErrors(): number {
    return (this.#overrun ? LSR.overrun : 0) | this.#fifo.topErrors;
  }

  #readIir(): number {
    const id = this.#interrupt();
    if (id === IIR.thrEmpty) {
      this.#thrEmptyPending = false;
      this.#updateIrq();
    }
    return this.#fifosOn ? id | IIR.fifosOn : id;
  }

  /** Data sheet, table 4: the pending interrupt of the highest priority. */
  #interrupt(): number {
    const { ier } = this.#registers.values;
    if ((ier & IER.lineStatus) !== 0 && this.#lineErrors() !== 0) return IIR.lineStatus;
    if ((ier & IER.received) !== 0) {
      if (this.#timeoutPending) return IIR.characterTimeout;
      const trigger = this.#fifosOn ? TRIGGER_LEVELS[this.#fcr >> 6]! : 1;
      if (this.#fifo.count >= trigger) return IIR.received;
    }
    if ((ier & IER.thrEmpty) !== 0 && this.#thrEmptyPending) return IIR.thrEmpty;
    if ((ier & IER.modemStatus) !== 0 && (this.#modemStatus & MSR.deltas) !== 0) return IIR.modemStatus;
    return IIR.none;
  }

  #updateIrq(): void {
    this.#irq.set(this.#interrupt() !== IIR.none);
  }
}

/** Data sheet, "Modem Control Register", bit 4: the outputs are joined to the inputs. */
function loopedLines(mcr: number): number {
  return (
    ((mcr & MCR.rts) === 0 ? 0 : MSR.cts) |
    ((mcr & MCR.dtr) === 0 ? 0 : MSR.dsr) |
    ((mcr & MCR.out1) === 0 ? 0 : MSR.ring) |
    ((mcr & MCR.out2) === 0 ? 0 : MSR.dcd)
  );
}
