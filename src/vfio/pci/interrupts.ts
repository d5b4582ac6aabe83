// Interrupts of an assigned device: eventfds that the host signals become the guest's line or messages. Which kind is on
// follows what the guest enables; the order is QEMU's (hw/vfio/pci.c): the line goes before messages come.
import type { IrqLine } from "../../device/port.ts";
import { IommufdError, VfioPciIrq, type VfioDeviceClient } from "../../iommufd/index.ts";
import type { EventPort, OpenEvent } from "../port.ts";

export interface InterruptOptions {
  readonly client: VfioDeviceClient;
  readonly events: EventPort;
  readonly intx: IrqLine;
  readonly hasLine: boolean;
  readonly onMessage: (vector: number) => void;
  readonly onFailure: (what: string) => void;
}

export class AssignedInterrupts {
  readonly #options: InterruptOptions;
  #line: OpenEvent | undefined;
  /** Unmasks the line at its host; without it a call does. */
  #unmask: OpenEvent | undefined;
  #isLineHigh = false;
  /** Which of `VfioPciIrq` sends messages now. */
  #messages: number | undefined;
  readonly #vectors: (OpenEvent | undefined)[] = [];

  constructor(options: InterruptOptions) {
    this.#options = options;
  }

  /** Goes over to the line. */
  useLine(): void {
    this.#stopMessages();
    if (!this.#options.hasLine || this.#line !== undefined) return;
    const line = this.#open(() => this.#setLine(true));
    if (line === undefined) return;
    this.#line = line;
    this.#change({ index: VfioPciIrq.INTX, action: "trigger", eventFds: [line.fd] });
    const unmask = this.#open();
    if (unmask === undefined) return;
    if (this.#change({ index: VfioPciIrq.INTX, action: "unmask", eventFds: [unmask.fd] })) this.#unmask = unmask;
    else unmask.close();
  }

  /** Goes over to messages of a kind, with these vectors. */
  useMessages(index: typeof VfioPciIrq.MSI | typeof VfioPciIrq.MSIX, vectors: readonly number[]): void {
    this.#stopLine();
    this.#stopMessages();
    this.#messages = index;
    const count = Math.max(1, ...vectors.map((vector) => vector + 1));
    const eventFds = Array.from({ length: count }, (_, vector) =>
      vectors.includes(vector) ? this.#openVector(vector) : -1,
    );
    this.#change({ index, action: "trigger", eventFds });
  }

  /** A further vector of MSI-X; one that is there already is left alone. */
  addVector(vector: number): void {
    if (this.#messages !== VfioPciIrq.MSIX || this.#vectors[vector] !== undefined) return;
    const fd = this.#openVector(vector);
    if (fd < 0) return;
    this.#change({ index: VfioPciIrq.MSIX, start: vector, action: "trigger", eventFds: [fd] });
  }

  /**
   * The guest touched the device while its line was up: that may have been the acknowledgement. The line goes down, and
   * the host signals again if the device still asks.
   */
  acknowledge(): void {
    if (!this.#isLineHigh) return;
    this.#setLine(false);
    if (this.#unmask !== undefined) this.#unmask.signal();
    else this.#change({ index: VfioPciIrq.INTX, action: "unmask", count: 1 });
  }

  get isLineHigh(): boolean {
    return this.#isLineHigh;
  }

  /** As a guest left it that has not acknowledged it. */
  raiseLine(): void {
    if (this.#line !== undefined) this.#setLine(true);
  }

  close(): void {
    this.#stopMessages();
    this.#stopLine();
  }

  #setLine(level: boolean): void {
    this.#isLineHigh = level;
    this.#options.intx.set(level);
  }

  /** A descriptor, or -1: there are no more, and the guest goes without that message. */
  #openVector(vector: number): number {
    const event = this.#open(() => this.#options.onMessage(vector));
    this.#vectors[vector] = event;
    return event?.fd ?? -1;
  }

  #open(onSignalled?: () => void): OpenEvent | undefined {
    try {
      return this.#options.events.open(onSignalled);
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      this.#options.onFailure(error.message);
      return undefined;
    }
  }

  #stopLine(): void {
    if (this.#line === undefined) return;
    this.#change({ index: VfioPciIrq.INTX, action: "trigger", count: 0 });
    this.#line.close();
    this.#line = undefined;
    this.#unmask?.close();
    this.#unmask = undefined;
    this.#setLine(false);
  }

  #stopMessages(): void {
    if (this.#messages === undefined) return;
    this.#change({ index: this.#messages, action: "trigger", count: 0 });
    this.#messages = undefined;
    for (const event of this.#vectors) event?.close();
    this.#vectors.length = 0;
  }

  /** A host that refuses leaves the guest without that interrupt; the machine goes on. */
  #change(change: Parameters<VfioDeviceClient["setIrqs"]>[0]): boolean {
    try {
      this.#options.client.setIrqs(change);
      return true;
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      this.#options.onFailure(error.message);
      return false;
    }
  }
}
