// QEMU's educational PCI device: a factorial that takes its time, interrupts on demand, DMA through a small buffer.
import type { Iova, Timer, TimerPort, TracePort } from "../../../base/index.ts";
import type { MmioHandler } from "../../../memory/port.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import { PciFunction, type Activity, type PciDevice, type PciPorts } from "../../pci/index.ts";
import { DmaStatus } from "../../port.ts";
import { eduInfo, type EduConfig } from "./config.ts";
import {
  BUFFER_ADDRESS,
  BUFFER_BYTES,
  DmaCommand,
  EDU_IDENTITY,
  IDENTIFICATION,
  Interrupt,
  Register as R,
  REGISTER_BAR,
  REGISTER_BAR_BYTES,
  Status,
} from "./spec.ts";
import { eduState, type EduState } from "./state.ts";

/** Drivers are to wait for the status, not to find it done. */
const FACTORIAL_NS = 10_000;
/** QEMU's. */
const DMA_NS = 100_000_000;
/** From here on a factorial is a multiple of 2^32. */
const LAST_FACTORIAL = 33;

export interface EduOptions extends EduConfig {
  /** As traces call it. */
  readonly name: string;
  readonly timers: TimerPort;
  readonly ports: PciPorts;
}

export class Edu implements PciDevice {
  readonly typeName: string = eduInfo.typeName;
  readonly pci: PciFunction;
  readonly stateDescription: DescriptionOf<EduState> = eduState;
  readonly #dmaMask: bigint;
  readonly #trace: TracePort;
  readonly #timers: TimerPort;
  readonly #factorialTimer: Timer;
  readonly #dmaTimer: Timer;
  readonly #buffer = new Uint8Array(BUFFER_BYTES);
  #activity: Activity = "running";
  #liveness = 0;
  #factorial = 0;
  #status = 0;
  #interruptStatus = 0;
  #source = 0n;
  #destination = 0n;
  #count = 0n;
  #command = 0n;
  /** What timers had left when the device was told to stand still. */
  #factorialLeftNs = 0;
  #dmaLeftNs = 0;

  constructor({ name, dmaMask, timers, ports }: EduOptions) {
    this.#dmaMask = dmaMask;
    this.#trace = ports.trace;
    this.#timers = timers;
    this.#factorialTimer = timers.create(`${name}.factorial`, () => this.#finishFactorial());
    this.#dmaTimer = timers.create(`${name}.dma`, () => this.#finishDma());
    const registers = { at: 0, lengthBytes: REGISTER_BAR_BYTES, handler: this.#handler() };
    this.pci = new PciFunction({
      name,
      identity: EDU_IDENTITY,
      bars: [{ index: REGISTER_BAR, kind: "memory", lengthBytes: REGISTER_BAR_BYTES, parts: [registers] }],
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
    this.#factorialTimer.disarm();
    this.#dmaTimer.disarm();
  }

  setActivity(activity: Activity): void {
    if ((activity === "running") === (this.#activity === "running")) return;
    if (activity === "running") {
      this.#activity = activity;
      this.#startTimers();
    } else {
      this.#noteTimers();
      this.#activity = activity;
      this.close();
    }
  }

  saveState(): EduState {
    this.#noteTimers();
    return {
      liveness: this.#liveness,
      factorial: this.#factorial,
      status: this.#status,
      interruptStatus: this.#interruptStatus,
      source: this.#source,
      destination: this.#destination,
      count: this.#count,
      command: this.#command,
      factorialLeftNs: BigInt(this.#factorialLeftNs),
      dmaLeftNs: BigInt(this.#dmaLeftNs),
      buffer: this.#buffer.slice(),
    };
  }

  loadState(state: EduState): void {
    this.close();
    this.#liveness = state.liveness;
    this.#factorial = state.factorial;
    this.#status = state.status & (Status.computing | Status.interruptWhenDone);
    this.#interruptStatus = state.interruptStatus;
    this.#source = state.source;
    this.#destination = state.destination;
    this.#count = state.count;
    this.#command = state.command;
    this.#factorialLeftNs = Number(BigInt.asUintN(40, state.factorialLeftNs));
    this.#dmaLeftNs = Number(BigInt.asUintN(40, state.dmaLeftNs));
    this.#buffer.set(state.buffer.subarray(0, BUFFER_BYTES));
    if (this.#activity === "running") this.#startTimers();
    this.pci.setIntx(this.#interruptStatus !== 0);
  }

  #resetDevice(): void {
    this.close();
    this.#liveness = 0;
    this.#factorial = 0;
    this.#status = 0;
    this.#interruptStatus = 0;
    this.#source = 0n;
    this.#destination = 0n;
    this.#count = 0n;
    this.#command = 0n;
    this.#buffer.fill(0);
  }

  get #isComputing(): boolean {
    return (this.#status & Status.computing) !== 0;
  }

  get #isMoving(): boolean {
    return (this.#command & DmaCommand.run) !== 0n;
  }

  #noteTimers(): void {
    if (this.#activity !== "running") return;
    const now = this.#timers.clock.nowNs();
    this.#factorialLeftNs = Math.max(0, (this.#factorialTimer.deadlineNs ?? now) - now);
    this.#dmaLeftNs = Math.max(0, (this.#dmaTimer.deadlineNs ?? now) - now);
  }

  #startTimers(): void {
    const now = this.#timers.clock.nowNs();
    if (this.#isComputing) this.#factorialTimer.arm(now + this.#factorialLeftNs);
    if (this.#isMoving) this.#dmaTimer.arm(now + this.#dmaLeftNs);
  }

  /** Begins what takes `durationNs`; a device that stands still begins it when it goes on. */
  #begin(timer: Timer, durationNs: number): void {
    if (this.#activity === "running") timer.arm(this.#timers.clock.nowNs() + durationNs);
    else if (timer === this.#dmaTimer) this.#dmaLeftNs = durationNs;
    else this.#factorialLeftNs = durationNs;
  }

  #handler(): MmioHandler {
    return {
      valid: { min: 4, max: 8 },
      impl: { min: 4, max: 8 },
      read: (at) => (at < R.source ? this.#readWord(at) : Number(BigInt.asUintN(32, this.#readWide(at)))),
      write: (at, _width, value) => (at < R.source ? this.#writeWord(at, value) : this.#writeWide(at, BigInt(value))),
      // The lower registers answer 32-bit accesses only.
      read64: (at) => (at < R.source ? 0xffff_ffff_ffff_ffffn : this.#readWide(at)),
      write64: (at, value) => (at < R.source ? undefined : this.#writeWide(at, value)),
    };
  }

  #readWord(at: number): number {
    switch (at) {
      case R.identification:
        return IDENTIFICATION;
      case R.liveness:
        return this.#liveness;
      case R.factorial:
        return this.#factorial;
      case R.status:
        return this.#status;
      case R.interruptStatus:
        return this.#interruptStatus;
      default:
        return 0xffff_ffff;
    }
  }

  #readWide(at: number): bigint {
    switch (at) {
      case R.source:
        return this.#source;
      case R.destination:
        return this.#destination;
      case R.count:
        return this.#count;
      case R.command:
        return this.#command;
      default:
        return 0xffff_ffff_ffff_ffffn;
    }
  }

  #writeWord(at: number, value: number): void {
    switch (at) {
      case R.liveness:
        this.#liveness = ~value >>> 0;
        return;
      case R.factorial:
        if (this.#isComputing) return;
        this.#factorial = value;
        this.#status |= Status.computing;
        return this.#begin(this.#factorialTimer, FACTORIAL_NS);
      case R.status:
        this.#status = (this.#status & Status.computing) | (value & Status.interruptWhenDone);
        return;
      case R.raise:
        return this.#raise(value);
      case R.acknowledge:
        this.#interruptStatus = (this.#interruptStatus & ~value) >>> 0;
        return this.pci.setIntx(this.#interruptStatus !== 0);
    }
  }

  #writeWide(at: number, value: bigint): void {
    if (this.#isMoving) return;
    switch (at) {
      case R.source:
        this.#source = value;
        return;
      case R.destination:
        this.#destination = value;
        return;
      case R.count:
        this.#count = value;
        return;
      case R.command:
        if ((value & DmaCommand.run) === 0n) return;
        this.#command = value;
        return this.#begin(this.#dmaTimer, DMA_NS);
    }
  }

  #raise(causes: number): void {
    this.#interruptStatus = (this.#interruptStatus | causes) >>> 0;
    if (this.#interruptStatus === 0) return;
    this.pci.setIntx(true);
    this.pci.notify(0);
  }

  #finishFactorial(): void {
    let product = this.#factorial > LAST_FACTORIAL ? 0 : 1;
    for (let n = Math.min(this.#factorial, LAST_FACTORIAL); n > 1; n--) product = Math.imul(product, n);
    this.#factorial = product >>> 0;
    this.#status &= ~Status.computing;
    if ((this.#status & Status.interruptWhenDone) !== 0) this.#raise(Interrupt.factorial);
  }

  #finishDma(): void {
    this.#move();
    this.#command &= ~DmaCommand.run;
    if ((this.#command & DmaCommand.interruptWhenDone) !== 0n) this.#raise(Interrupt.dma);
  }

  #move(): void {
    const toBus = (this.#command & DmaCommand.toBus) !== 0n;
    const inBuffer = (toBus ? this.#source : this.#destination) - BUFFER_ADDRESS;
    if (inBuffer < 0n || this.#count > BUFFER_BYTES || inBuffer + this.#count > BUFFER_BYTES) {
      this.#trace.guestError(this.pci.name, `DMA of ${this.#count} bytes does not fit into the buffer`);
      return;
    }
    const bytes = this.#buffer.subarray(Number(inBuffer), Number(inBuffer + this.#count));
    const address = ((toBus ? this.#destination : this.#source) & this.#dmaMask) as Iova;
    const status = toBus ? this.pci.dma.write(address, bytes) : this.pci.dma.read(address, bytes);
    if (status !== DmaStatus.ok) this.#trace.guestError(this.pci.name, `DMA fails at 0x${address.toString(16)}`);
  }
}
