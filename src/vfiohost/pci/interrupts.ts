// Interrupts of a PCI device as VFIO hands them out: eventfds for the line, for messages, for errors and for "give the
// device back". Behaviour: drivers/vfio/pci/vfio_pci_intrs.c of Linux 7.2.
import { pciSpec, type PciFunction } from "../../device/pci/index.ts";
import {
  Errno,
  VfioIrqSetFlag,
  VfioPciIrq,
  VFIO_PCI_NUM_IRQS,
  type Caller,
  type EventFd,
} from "../../iommufd/index.ts";
import type { HostCounters } from "../counters.ts";
import { isSet, type IrqRequest } from "../irq-request.ts";
import type { HostMessages } from "./messages.ts";

const { Command, Header, Status } = pciSpec;
const { DATA_NONE, DATA_BOOL, DATA_EVENTFD, ACTION_MASK, ACTION_UNMASK, ACTION_TRIGGER } = VfioIrqSetFlag;
const ACTIONS = ACTION_MASK | ACTION_UNMASK | ACTION_TRIGGER;
const NONE = VFIO_PCI_NUM_IRQS;

interface Line {
  trigger: EventFd | undefined;
  masked: boolean;
  /** An eventfd that unmasks. */
  unmask: { readonly event: EventFd; readonly end: () => void } | undefined;
}

export class PciInterrupts {
  readonly #pci: PciFunction;
  readonly #messages: HostMessages;
  readonly #counters: HostCounters;
  /** Which of `VfioPciIrq` is on; `NONE` when none is. */
  #type: number = NONE;
  #line: Line | undefined;
  #lineLevel = false;
  /** The user turned the line off in configuration space. */
  #lineDisabled = false;
  readonly #vectors = new Map<number, EventFd>();
  readonly #single: { error: EventFd | undefined; request: EventFd | undefined } = {
    error: undefined,
    request: undefined,
  };
  /** log2 of the vectors that MSI was last turned on with; it outlives that. */
  #msiVectorsLog2 = 0;

  constructor(pci: PciFunction, messages: HostMessages, counters: HostCounters) {
    this.#pci = pci;
    this.#messages = messages;
    this.#counters = counters;
  }

  get usesMsi(): boolean {
    return this.#type === VfioPciIrq.MSI;
  }

  get msiVectorsLog2(): number {
    return this.#msiVectorsLog2;
  }

  /** SET_IRQS, after the checks that need no state. */
  set(request: IrqRequest): number {
    const action = request.flags & ACTIONS;
    if (request.index === VfioPciIrq.INTX) {
      if (action === ACTION_MASK) return this.#maskLine(request);
      if (action === ACTION_UNMASK) return this.#unmaskLine(request);
      if (action === ACTION_TRIGGER) return this.#setLine(request);
    } else if (action === ACTION_TRIGGER) {
      if (request.index === VfioPciIrq.MSI || request.index === VfioPciIrq.MSIX) return this.#setMessages(request);
      if (request.index === VfioPciIrq.ERR && this.#pci.isExpress) return this.#setSingle("error", request);
      if (request.index === VfioPciIrq.REQ) return this.#setSingle("request", request);
    }
    return -Errno.ENOTTY;
  }

  /** The level that the function drives. */
  lineChanged(level: boolean): void {
    this.#lineLevel = level;
    if (level) this.#lineFired();
  }

  /** The interrupt disable bit of the user's view. */
  disableLine(disabled: boolean): void {
    this.#lineDisabled = disabled;
    if (disabled) this.#mask();
    else if (this.#unmask()) this.#signalLine();
  }

  vectorFired(vector: number): void {
    this.#vectors.get(vector)?.signal();
  }

  /** Tells the user; false when nobody listens. */
  notify(which: "error" | "request"): boolean {
    this.#single[which]?.signal();
    return this.#single[which] !== undefined;
  }

  /** The device is closed: all off, nothing held. */
  close(): void {
    if (this.#type === VfioPciIrq.INTX) this.#disableLine();
    else if (this.#type !== NONE) this.#disableMessages();
    this.#lineDisabled = false;
    for (const which of ["error", "request"] as const) this.#replaceSingle(which, undefined);
  }

  // The line

  #mask(): void {
    if (this.#type !== VfioPciIrq.INTX) {
      this.#drive(false);
    } else if (!this.#line!.masked) {
      this.#drive(false);
      this.#line!.masked = true;
    }
  }

  /** True when an interrupt is pending: then it stays masked, and is to be signalled again. */
  #unmask(): boolean {
    if (this.#type !== VfioPciIrq.INTX) {
      this.#drive(true);
      return false;
    }
    const line = this.#line!;
    if (!line.masked || this.#lineDisabled) return false;
    const pending = this.#isPending();
    line.masked = pending;
    if (!pending) this.#drive(true);
    return pending;
  }

  /** Level triggered: masked until the user has dealt with it. */
  #lineFired(): void {
    if (this.#line === undefined || this.#line.masked || !this.#isPending()) return;
    this.#line.masked = true;
    this.#drive(false);
    this.#signalLine();
  }

  #signalLine(): void {
    if (this.#type === VfioPciIrq.INTX && !this.#lineDisabled) this.#line!.trigger?.signal();
  }

  #isPending(): boolean {
    return (this.#pci.config.read(Header.status, 2) & Status.interrupt) !== 0;
  }

  #drive(on: boolean): void {
    const command = this.#pci.config.read(Header.command, 2);
    const bit = Command.interruptDisable;
    this.#pci.config.write(Header.command, 2, on ? command & ~bit : command | bit);
  }

  #maskLine({ start, count, flags, data }: IrqRequest): number {
    if (this.#type !== VfioPciIrq.INTX || start !== 0 || count !== 1) return -Errno.EINVAL;
    if ((flags & DATA_EVENTFD) !== 0) return -Errno.ENOTTY;
    if ((flags & DATA_NONE) !== 0 || data[0] !== 0) this.#mask();
    return 0;
  }

  #unmaskLine({ start, count, flags, data, caller, fd }: IrqRequest): number {
    if (this.#type !== VfioPciIrq.INTX || start !== 0 || count !== 1) return -Errno.EINVAL;
    const line = this.#line!;
    if ((flags & DATA_EVENTFD) !== 0) {
      if (fd(0) >= 0) return this.#unmaskBy(line, caller, fd(0));
      this.#endUnmask(line);
    } else if (((flags & DATA_NONE) !== 0 || data[0] !== 0) && this.#unmask()) {
      this.#signalLine();
    }
    return 0;
  }

  #unmaskBy(line: Line, caller: Caller, fd: number): number {
    const event = this.#counters.holdEventFd(caller, fd);
    if (typeof event === "number") return event;
    if (line.unmask !== undefined) {
      event.release();
      return -Errno.EBUSY;
    }
    const end = event.listen(() => {
      if (this.#unmask()) this.#signalLine();
    });
    line.unmask = { event, end };
    return 0;
  }

  #endUnmask(line: Line): void {
    line.unmask?.end();
    line.unmask?.event.release();
    line.unmask = undefined;
  }

  #setLine({ start, count, flags, data, caller, fd }: IrqRequest): number {
    const isLine = this.#type === VfioPciIrq.INTX;
    if (isLine && count === 0 && (flags & DATA_NONE) !== 0) {
      this.#disableLine();
      return 0;
    }
    if (!(isLine || this.#type === NONE) || start !== 0 || count !== 1) return -Errno.EINVAL;
    if ((flags & DATA_EVENTFD) !== 0) {
      const trigger = fd(0) >= 0 ? this.#counters.holdEventFd(caller, fd(0)) : undefined;
      if (typeof trigger === "number") return trigger;
      if (isLine) {
        this.#line!.trigger?.release();
        this.#line!.trigger = trigger;
      } else {
        this.#enableLine(trigger);
      }
      return 0;
    }
    if (!isLine) return -Errno.EINVAL;
    if ((flags & DATA_NONE) !== 0 || data[0] !== 0) this.#signalLine();
    return 0;
  }

  #enableLine(trigger: EventFd | undefined): void {
    this.#line = { trigger, masked: this.#lineDisabled, unmask: undefined };
    this.#type = VfioPciIrq.INTX;
    this.#drive(!this.#lineDisabled);
    if (this.#lineLevel) this.#lineFired();
  }

  #disableLine(): void {
    const line = this.#line!;
    this.#endUnmask(line);
    line.trigger?.release();
    this.#line = undefined;
    this.#type = NONE;
  }

  // Messages

  #setMessages({ index, start, count, flags, data, caller, fd }: IrqRequest): number {
    const isOn = this.#type === index;
    if (isOn && count === 0 && (flags & DATA_NONE) !== 0) {
      this.#disableMessages();
      return 0;
    }
    if (!isOn && this.#type !== NONE) return -Errno.EINVAL;
    if ((flags & DATA_EVENTFD) !== 0) {
      if (isOn) return this.#setVectors(caller, start, count, fd);
      const kind = index === VfioPciIrq.MSIX ? "msix" : "msi";
      let rc = this.#messages.enable(kind, start + count);
      if (rc < 0) return rc;
      this.#type = index;
      if (kind === "msi") this.#msiVectorsLog2 = this.#messages.vectorsLog2;
      rc = this.#setVectors(caller, start, count, fd);
      if (rc < 0) this.#disableMessages();
      return rc;
    }
    if (!isOn) return -Errno.EINVAL;
    for (let i = 0; i < count; i++) {
      if ((flags & DATA_NONE) !== 0 || (isSet(flags, DATA_BOOL) && data[i] !== 0)) this.vectorFired(start + i);
    }
    return 0;
  }

  #setVectors(caller: Caller, start: number, count: number, fd: (i: number) => number): number {
    for (let i = 0; i < count; i++) {
      const rc = this.#setVector(caller, start + i, fd(i));
      if (rc === 0) continue;
      for (let vector = start; vector <= start + i; vector++) this.#clearVector(vector);
      return rc;
    }
    return 0;
  }

  #setVector(caller: Caller, vector: number, fd: number): number {
    this.#clearVector(vector);
    if (fd < 0) return 0;
    const rc = this.#messages.allocate(vector);
    if (rc < 0) return rc;
    const event = this.#counters.holdEventFd(caller, fd);
    if (typeof event === "number") return event;
    this.#vectors.set(vector, event);
    this.#messages.unmask(vector);
    return 0;
  }

  #clearVector(vector: number): void {
    const event = this.#vectors.get(vector);
    if (event === undefined) return;
    this.#messages.mask(vector);
    this.#vectors.delete(vector);
    event.release();
  }

  #disableMessages(): void {
    for (const vector of [...this.#vectors.keys()]) this.#clearVector(vector);
    this.#messages.disable();
    this.#type = NONE;
  }

  // Errors and requests

  #setSingle(which: "error" | "request", { start, count, flags, data, caller, fd }: IrqRequest): number {
    if (start !== 0 || count > 1) return -Errno.EINVAL;
    const held = this.#single[which];
    if ((flags & DATA_NONE) !== 0) {
      if (held === undefined) return -Errno.EINVAL;
      if (count === 0) this.#replaceSingle(which, undefined);
      else held.signal();
      return 0;
    }
    if (count === 0) return -Errno.EINVAL;
    if ((flags & DATA_BOOL) !== 0) {
      if (data[0] !== 0) held?.signal();
      return 0;
    }
    if (fd(0) < -1) return -Errno.EINVAL;
    const event = fd(0) === -1 ? undefined : this.#counters.holdEventFd(caller, fd(0));
    if (typeof event === "number") return event;
    this.#replaceSingle(which, event);
    return 0;
  }

  #replaceSingle(which: "error" | "request", event: EventFd | undefined): void {
    this.#single[which]?.release();
    this.#single[which] = event;
  }
}
