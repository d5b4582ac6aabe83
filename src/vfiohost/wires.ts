// What a device model sees of the host: its ports, wired once the model is made.
import { assert, type TracePort } from "../base/index.ts";
import type { DmaPort, DmaStatus } from "../device/port.ts";
import type { PciPorts } from "../device/pci/index.ts";

/** DMA as the host carries it out. */
export interface HostDma {
  read(iova: bigint, into: Uint8Array): DmaStatus;
  write(iova: bigint, from: Uint8Array): DmaStatus;
}

/** Who hears the function's interrupts. */
export interface InterruptListener {
  lineChanged(level: boolean): void;
  /** True when the write was a message of the host's. */
  messageArrived(address: bigint, data: number): boolean;
}

export class DeviceWires {
  readonly ports: PciPorts;
  #dma: HostDma | undefined;
  #listener: InterruptListener | undefined;
  #isRunning: () => boolean = () => true;

  constructor(trace: TracePort) {
    const dma: DmaPort = {
      read: (at, into) => this.#running().read(at, into),
      write: (at, bytes) => this.#running().write(at, bytes),
      // Pages of callers are reached a page at a time.
      readWindow: () => undefined,
      writeWindow: () => undefined,
      fence: () => {},
    };
    this.ports = {
      intx: { set: (level) => this.#listener?.lineChanged(level) },
      msi: { send: (address, data) => this.#send(address, data) },
      dma,
      trace,
    };
  }

  /** `isRunning`: whether the device may begin DMA now. */
  connect(dma: HostDma, listener: InterruptListener, isRunning: () => boolean): void {
    assert(this.#dma === undefined, "a device is wired once");
    this.#dma = dma;
    this.#listener = listener;
    this.#isRunning = isRunning;
  }

  #running(): HostDma {
    assert(this.#isRunning(), "a device that was told to be quiet begins no DMA");
    return this.#dma!;
  }

  /** A message to any other place than the host's is a write to memory. */
  #send(address: bigint, data: number): void {
    if (this.#listener?.messageArrived(address, data) === true) return;
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, data, true);
    this.#dma?.write(address, bytes);
  }
}
