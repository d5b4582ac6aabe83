// A serial device whose line leads back to itself: a 16550A for bytes one by one, and DMA for buffers. It exists to be
// assigned as a mediated device: it reads and writes guest memory a little at a time, as told.
import type { Iova, Timer, TimerPort } from "../../base/index.ts";
import type { CharBackend, CharFront } from "../../chardev/port.ts";
import { blob, describeState, field, struct, u32, type DescriptionOf } from "../../state/index.ts";
import { Ns16550a, type Ns16550aState } from "../char/ns16550a/device.ts";
import { PausableTimers } from "../pausable-timers.ts";
import { PciFunction, type Activity, type PciDevice, type PciPorts } from "../pci/index.ts";
import { DmaStatus } from "../port.ts";
import { registerBank } from "../register-bank.ts";
import { mdevSerialInfo } from "./config.ts";
import {
  Cause,
  DMA_BAR,
  DMA_BAR_BYTES,
  INTERFACE_ID,
  MDEV_SERIAL_ID,
  Register as R,
  Status,
  UART_BAR,
  UART_BAR_BYTES,
  UART_CLOCK_HZ,
} from "./spec.ts";

/** Bytes that the line moves in one turn, and how long one takes. */
const TURN_BYTES = 256;
const BYTE_NS = 100;
/** Bytes under way at most. */
const LINE_BYTES = 4096;

type RegisterName =
  | "status"
  | "interruptStatus"
  | "interruptEnable"
  | "sendLow"
  | "sendHigh"
  | "sendLength"
  | "receiveLow"
  | "receiveHigh"
  | "receiveLength"
  | "received"
  | "faultLow"
  | "faultHigh";
export type MdevSerialState = { [K in RegisterName]: number } & {
  uart: Ns16550aState;
  sent: number;
  /** Bytes under way. */
  line: Uint8Array;
};

export interface MdevSerialOptions {
  /** As traces and fault logs call it. */
  readonly name: string;
  readonly timers: TimerPort;
  readonly ports: PciPorts;
}

export class MdevSerial implements PciDevice {
  static readonly #bank = registerBank("mdev-serial", 4, {
    id: { at: R.id, access: "ro", read: () => INTERFACE_ID },
    status: { at: R.status, access: "ro", fields: Status },
    interruptStatus: { at: R.interruptStatus, access: "w1c", mask: 7, wrote: (d: MdevSerial) => d.#updateInterrupt() },
    interruptEnable: { at: R.interruptEnable, mask: 7, wrote: (d: MdevSerial) => d.#updateInterrupt() },
    sendLow: { at: R.sendLow },
    sendHigh: { at: R.sendHigh },
    sendLength: { at: R.sendLength },
    send: { at: R.send, access: "wo", wrote: (d: MdevSerial) => d.#beginSending() },
    receiveLow: { at: R.receiveLow },
    receiveHigh: { at: R.receiveHigh },
    receiveLength: { at: R.receiveLength },
    receive: { at: R.receive, access: "wo", wrote: (d: MdevSerial, value) => d.#setReceiving((value & 1) !== 0) },
    received: { at: R.received, access: "ro" },
    faultLow: { at: R.faultLow, access: "ro" },
    faultHigh: { at: R.faultHigh, access: "ro" },
  });

  readonly typeName: string = mdevSerialInfo.typeName;
  readonly pci: PciFunction;
  readonly stateDescription: DescriptionOf<MdevSerialState>;
  readonly #registers;
  readonly #timers: PausableTimers;
  readonly #timer: Timer;
  readonly #uart: Ns16550a;
  #front: CharFront | undefined;
  #line = new Uint8Array(0);
  #sent = 0;
  #isTurning = false;
  #uartLevel = false;
  #level = false;

  constructor(options: MdevSerialOptions) {
    const { name, ports } = options;
    this.#timers = new PausableTimers(options.timers);
    this.#timer = this.#timers.create(`${name}.line`, () => this.#turn());
    this.#registers = MdevSerial.#bank.file(this, ports.trace);
    this.#uart = new Ns16550a({
      backend: this.#lineEnd(name),
      clockHz: UART_CLOCK_HZ,
      timers: this.#timers,
      irq: {
        set: (level) => {
          this.#uartLevel = level;
          this.#updateInterrupt();
        },
      },
      trace: ports.trace,
    });
    this.stateDescription = describeState("mdev-serial", 1, [
      ...MdevSerial.#bank.stateFields,
      field("uart", struct(this.#uart.stateDescription.fields)),
      field("sent", u32),
      field("line", blob),
    ]);
    this.pci = new PciFunction({
      name,
      identity: MDEV_SERIAL_ID,
      bars: [
        {
          index: UART_BAR,
          kind: "io",
          lengthBytes: UART_BAR_BYTES,
          parts: [{ at: 0, lengthBytes: UART_BAR_BYTES, handler: this.#uart.mmio }],
        },
        {
          index: DMA_BAR,
          kind: "memory",
          lengthBytes: DMA_BAR_BYTES,
          parts: [{ at: 0, lengthBytes: DMA_BAR_BYTES, handler: this.#registers.mmio({ min: 4, max: 4 }) }],
        },
      ],
      interruptPin: 1,
      msi: 1,
      ports,
      onReset: () => this.#resetDevice(),
    });
  }

  reset(): void {
    this.pci.reset();
  }

  close(): void {
    this.#timer.disarm();
    this.#uart.close();
  }

  setActivity(activity: Activity): void {
    this.#timers.setPaused(activity !== "running");
  }

  saveState(): MdevSerialState {
    return { ...this.#registers.save(), uart: this.#uart.saveState(), sent: this.#sent, line: this.#line.slice() };
  }

  loadState(state: MdevSerialState): void {
    this.#registers.load(state);
    this.#uart.loadState(state.uart);
    this.#sent = state.sent;
    this.#line = state.line.slice(0, LINE_BYTES);
    this.#schedule();
    this.#updateInterrupt();
  }

  #resetDevice(): void {
    this.#registers.reset();
    this.#timer.disarm();
    this.#line = new Uint8Array(0);
    this.#sent = 0;
    this.#uart.reset();
    this.#updateInterrupt();
  }

  /** What the UART is plugged into. */
  #lineEnd(label: string): CharBackend {
    return {
      label,
      write: (bytes) => {
        const taken = bytes.subarray(0, LINE_BYTES - this.#line.length);
        this.#put(taken);
        return taken.length;
      },
      attach: (front) => {
        this.#front = front;
      },
      frontReady: () => this.#schedule(),
      close: () => {},
    };
  }

  #put(bytes: Uint8Array): void {
    const line = new Uint8Array(this.#line.length + bytes.length);
    line.set(this.#line);
    line.set(bytes, this.#line.length);
    this.#line = line;
    this.#schedule();
  }

  #is(what: "sending" | "receiving"): boolean {
    return (this.#registers.values.status & Status[what].mask) !== 0;
  }

  #setStatus(mask: number, on: boolean): void {
    const { values } = this.#registers;
    values.status = on ? values.status | mask : values.status & ~mask;
  }

  #beginSending(): void {
    // A start while it sends is lost, as documented.
    if (this.#is("sending")) return;
    this.#sent = 0;
    this.#setStatus(Status.fault.mask, false);
    this.#setStatus(Status.sending.mask, true);
    this.#schedule();
  }

  #setReceiving(on: boolean): void {
    this.#registers.values.received = 0;
    this.#setStatus(Status.receiving.mask, on);
    this.#schedule();
  }

  #schedule(delayNs = 0): void {
    const canDeliver = this.#line.length > 0 && (this.#is("receiving") || (this.#front?.room() ?? 0) > 0);
    // A turn says itself when the next one comes.
    if (this.#isTurning || (!this.#is("sending") && !canDeliver)) return;
    if (this.#timer.deadlineNs === undefined) this.#timer.arm(this.#timers.clock.nowNs() + delayNs);
  }

  /** Some bytes onto the line, some off it. */
  #turn(): void {
    this.#isTurning = true;
    if (this.#is("sending")) this.#fetch();
    const hadRoom = this.#line.length < LINE_BYTES;
    if (this.#line.length > 0) this.#deliver();
    if (!hadRoom && this.#line.length < LINE_BYTES) this.#front?.writable?.();
    this.#isTurning = false;
    this.#schedule(TURN_BYTES * BYTE_NS);
  }

  #fetch(): void {
    const { sendLow, sendHigh, sendLength } = this.#registers.values;
    const bytes = new Uint8Array(
      atLeast0(Math.min(TURN_BYTES, sendLength - this.#sent, LINE_BYTES - this.#line.length)),
    );
    if (bytes.length > 0) {
      const at = address(sendLow, sendHigh, this.#sent);
      if (this.pci.dma.read(at, bytes) !== DmaStatus.ok) {
        this.#setStatus(Status.sending.mask, false);
        this.#fail(at);
        return;
      }
      this.#sent += bytes.length;
      this.#put(bytes);
    }
    if (this.#sent < sendLength) return;
    this.#setStatus(Status.sending.mask, false);
    this.#raise(Cause.sent);
  }

  #deliver(): void {
    const taken = this.#is("receiving") ? this.#toBuffer() : this.#toUart();
    this.#line = this.#line.slice(taken);
  }

  #toUart(): number {
    const part = this.#line.subarray(0, Math.min(TURN_BYTES, this.#front?.room() ?? 0));
    if (part.length > 0) this.#front!.receive(part);
    return part.length;
  }

  #toBuffer(): number {
    const { values } = this.#registers;
    const part = this.#line.subarray(0, atLeast0(Math.min(TURN_BYTES, values.receiveLength - values.received)));
    const at = address(values.receiveLow, values.receiveHigh, values.received);
    if (part.length > 0 && this.pci.dma.write(at, part) !== DmaStatus.ok) {
      this.#setStatus(Status.receiving.mask, false);
      this.#fail(at);
      return 0;
    }
    values.received += part.length;
    const isFull = values.received >= values.receiveLength;
    if (isFull) this.#setStatus(Status.receiving.mask, false);
    if (isFull || part.length === this.#line.length) this.#raise(Cause.received);
    return part.length;
  }

  #fail(at: bigint): void {
    const { values } = this.#registers;
    values.faultLow = Number(BigInt.asUintN(32, at));
    values.faultHigh = Number(BigInt.asUintN(32, at >> 32n));
    this.#setStatus(Status.fault.mask, true);
    this.#raise(Cause.fault);
  }

  #raise(cause: number): void {
    this.#registers.values.interruptStatus |= cause;
    this.#updateInterrupt();
  }

  #updateInterrupt(): void {
    const { interruptStatus, interruptEnable } = this.#registers.values;
    const level = this.#uartLevel || (interruptStatus & interruptEnable) !== 0;
    const rose = level && !this.#level;
    this.#level = level;
    // The function is made after the UART, which speaks at once.
    const pci = this.pci as PciFunction | undefined;
    pci?.setIntx(level);
    if (rose) pci?.notify(0);
  }
}

function address(low: number, high: number, offset: number): Iova {
  return BigInt.asUintN(64, (BigInt(high) << 32n) + BigInt(low) + BigInt(offset)) as Iova;
}

/** Software may shorten a buffer while it is in use. */
function atLeast0(n: number): number {
  return n < 0 ? 0 : n;
}
