// Virtio over PCI (VIRTIO 1.2 §4.1): a function whose BAR has the common configuration, notifications, interrupt status
// and the device's own configuration; capabilities say where. The legacy interface is not offered.
import type { TracePort } from "../../../base/index.ts";
import type { MmioHandler } from "../../../memory/port.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import { PciFunction, type PciPorts } from "../../pci/index.ts";
import { QEMU_SUBSYSTEM } from "../../pci/spec.ts";
import type { Device, DmaPort } from "../../port.ts";
import type { VirtioDevice, VirtioTransport } from "../device.ts";
import { VirtioError } from "../errors.ts";
import type { SplitQueue } from "../queue.ts";
import { addCapabilities } from "./capabilities.ts";
import {
  Common,
  COMMON_BYTES,
  DEVICE_ID_BASE,
  InterruptStatus,
  MODERN_BAR,
  MODERN_BAR_BYTES,
  MSIX_BAR,
  MSIX_BAR_BYTES,
  NOTIFY_MULTIPLIER,
  NO_VECTOR,
  REVISION_ID,
  Structure,
  STRUCTURE_BYTES,
  VENDOR_ID,
} from "./spec.ts";
import { virtioPciState, type VirtioPciState } from "./state.ts";

export interface VirtioPciOptions {
  /** As an operator knows it: `virtio-blk-pci`. */
  readonly typeName: string;
  readonly name: string;
  /** Virtio device ID (§5). */
  readonly deviceId: number;
  readonly classCode: number;
  /** MSI-X vectors; 0: none. */
  readonly vectors: number;
  /** Behind a root port a device is an endpoint of PCI Express; on the root bus it is conventional, as in QEMU. */
  readonly isEndpoint: boolean;
  readonly ports: PciPorts;
}

/** `reset()`, `close()` and `drain()` reach the device in it; the states of both and of the function are saved apart. */
export class VirtioPci implements Device, VirtioTransport {
  readonly typeName: string;
  readonly pci: PciFunction;
  readonly stateDescription: DescriptionOf<VirtioPciState> = virtioPciState;
  readonly #trace: TracePort;
  readonly #vectors: number;
  #plugged: VirtioDevice | undefined;
  #deviceFeaturesSel = 0;
  #driverFeaturesSel = 0;
  #queueSel = 0;
  #interruptStatus = 0;
  #configVector: number = NO_VECTOR;
  #queueVectors: number[] = [];

  constructor(options: VirtioPciOptions) {
    const { typeName, name, deviceId, classCode, vectors, isEndpoint, ports } = options;
    this.typeName = typeName;
    this.#trace = ports.trace;
    this.#vectors = vectors;
    const part = (at: number, handler: MmioHandler) => ({ at, lengthBytes: STRUCTURE_BYTES, handler });
    const msix = { vectorCount: vectors, bar: MSIX_BAR, barOffset: 0, lengthBytes: MSIX_BAR_BYTES };
    this.pci = new PciFunction({
      name,
      identity: {
        ...{ vendorId: VENDOR_ID, deviceId: DEVICE_ID_BASE + deviceId, revisionId: REVISION_ID, classCode },
        ...QEMU_SUBSYSTEM,
      },
      bars: [
        ...(vectors > 0 ? [{ index: MSIX_BAR, kind: "memory" as const, lengthBytes: MSIX_BAR_BYTES, parts: [] }] : []),
        {
          index: MODERN_BAR,
          kind: "memory",
          lengthBytes: MODERN_BAR_BYTES,
          widthBits: 64,
          prefetchable: true,
          parts: [
            part(Structure.common, this.#common()),
            part(Structure.interrupt, this.#interrupt()),
            part(Structure.device, this.#device()),
            part(Structure.notify, this.#notify()),
          ],
        },
      ],
      interruptPin: 1,
      ...(vectors > 0 ? { msix } : {}),
      ...(isEndpoint ? { express: "endpoint", powerManagement: true } : {}),
      ports,
      onReset: () => {
        this.#plugged?.reset();
        this.#resetRegisters();
      },
    });
    addCapabilities(this.pci);
  }

  /** Memory as the function reaches it, for the device that is going to be plugged in. */
  get dma(): DmaPort {
    return this.pci.dma;
  }

  /** The device in it, which has saved state of its own. */
  get backend(): VirtioDevice | undefined {
    return this.#plugged;
  }

  /** Puts a device in, before the machine starts. Throws VirtioError `inUse` when one is there. */
  plug(device: VirtioDevice): void {
    if (this.#plugged !== undefined) {
      throw new VirtioError("inUse", `${this.pci.name} already holds a ${this.#plugged.typeName}`);
    }
    this.#plugged = device;
    this.#queueVectors = device.queues.map(() => NO_VECTOR);
    device.plugInto(this);
  }

  notifyUsed(queueIndex: number): void {
    this.#signal(InterruptStatus.queue, this.#queueVectors[queueIndex] ?? NO_VECTOR);
  }

  notifyConfig(): void {
    this.#signal(InterruptStatus.config, this.#configVector);
  }

  reset(): void {
    this.pci.reset();
  }

  close(): void {
    this.#plugged?.close();
  }

  async drain(): Promise<void> {
    await this.#plugged?.drain();
  }

  saveState(): VirtioPciState {
    return {
      deviceFeaturesSel: this.#deviceFeaturesSel,
      driverFeaturesSel: this.#driverFeaturesSel,
      queueSel: this.#queueSel,
      interruptStatus: this.#interruptStatus,
      configVector: this.#configVector,
      queueVectors: [...this.#queueVectors],
    };
  }

  /** Throws VirtioError `badState`. */
  loadState(values: VirtioPciState): void {
    if (values.queueVectors.length !== this.#queueVectors.length) {
      const message = `The saved state has vectors of ${values.queueVectors.length} queues; here are ${this.#queueVectors.length}`;
      throw new VirtioError("badState", message, { subject: this.typeName });
    }
    this.#deviceFeaturesSel = values.deviceFeaturesSel;
    this.#driverFeaturesSel = values.driverFeaturesSel;
    this.#queueSel = values.queueSel;
    this.#interruptStatus = values.interruptStatus & (InterruptStatus.queue | InterruptStatus.config);
    this.#configVector = this.#known(values.configVector);
    this.#queueVectors = values.queueVectors.map((vector) => this.#known(vector));
    this.pci.setIntx(this.#interruptStatus !== 0);
  }

  #resetRegisters(): void {
    this.#deviceFeaturesSel = 0;
    this.#driverFeaturesSel = 0;
    this.#queueSel = 0;
    this.#configVector = NO_VECTOR;
    this.#queueVectors.fill(NO_VECTOR);
    this.#setInterruptStatus(0);
  }

  /** §4.1.5.1.2: one that there is not reads back as none. */
  #known(vector: number): number {
    return vector < this.#vectors ? vector : NO_VECTOR;
  }

  #setInterruptStatus(status: number): void {
    this.#interruptStatus = status;
    this.pci.setIntx(status !== 0);
  }

  #signal(cause: number, vector: number): void {
    if (!this.pci.usesMessages) this.#setInterruptStatus(this.#interruptStatus | cause);
    else if (vector !== NO_VECTOR) this.pci.notify(vector);
  }

  #common(): MmioHandler {
    return {
      read: (offset, width) => (offset >= COMMON_BYTES ? 0 : this.#readCommon(offset, width)),
      write: (offset, width, value) => {
        if (offset < COMMON_BYTES) this.#writeCommon(offset, width, value);
      },
    };
  }

  /** §4.1.4.5: reading it acknowledges. */
  #interrupt(): MmioHandler {
    return {
      read: (offset) => {
        if (offset !== 0) return 0;
        const status = this.#interruptStatus;
        this.#setInterruptStatus(0);
        return status;
      },
      write: () => undefined,
    };
  }

  #device(): MmioHandler {
    return {
      read: (offset, width) => this.#plugged?.readConfig(offset, width) ?? 0,
      write: (offset, width, value) => this.#plugged?.writeConfig(offset, width, value),
    };
  }

  #notify(): MmioHandler {
    return {
      read: () => 0,
      write: (offset) => this.#plugged?.notify(Math.floor(offset / NOTIFY_MULTIPLIER)),
    };
  }

  get #queue(): SplitQueue | undefined {
    return this.#plugged?.queues[this.#queueSel];
  }

  #readCommon(offset: number, width: number): number {
    const device = this.#plugged;
    const queue = this.#queue;
    switch (offset) {
      case Common.deviceFeatureSelect:
        return this.#deviceFeaturesSel;
      case Common.deviceFeature:
        return device?.deviceFeatureWord(this.#deviceFeaturesSel) ?? 0;
      case Common.driverFeatureSelect:
        return this.#driverFeaturesSel;
      case Common.driverFeature:
        return device?.driverFeatureWord(this.#driverFeaturesSel) ?? 0;
      case Common.configVector:
        return this.#configVector;
      case Common.queueCount:
        return device?.queues.length ?? 0;
      case Common.status:
        return device?.status ?? 0;
      case Common.configGeneration:
        return (device?.configGeneration ?? 0) & 0xff;
      case Common.queueSelect:
        return this.#queueSel;
      case Common.queueVector:
        return this.#queueVectors[this.#queueSel] ?? NO_VECTOR;
      case Common.queueSize:
        return queue?.size ?? 0;
      case Common.queueEnable:
        return queue?.isReady === true ? 1 : 0;
      case Common.queueNotifyOffset:
        return queue === undefined ? 0 : this.#queueSel;
      default:
        return queue === undefined ? 0 : this.#readArea(queue, offset, width);
    }
  }

  #readArea(queue: SplitQueue, offset: number, width: number): number {
    const half = (area: bigint): number => Number(BigInt.asUintN(32, offset % 8 === 0 ? area : area >> 32n));
    switch (offset) {
      case Common.queueDescriptorLow:
      case Common.queueDescriptorHigh:
        return half(queue.descriptorArea);
      case Common.queueDriverLow:
      case Common.queueDriverHigh:
        return half(queue.driverArea);
      case Common.queueDeviceLow:
      case Common.queueDeviceHigh:
        return half(queue.deviceArea);
      default:
        this.#trace.guestError(this.typeName, `read of ${width} bytes at 0x${offset.toString(16)}`);
        return 0;
    }
  }

  #writeCommon(offset: number, width: number, value: number): void {
    const device = this.#plugged;
    if (device === undefined) return;
    switch (offset) {
      case Common.deviceFeatureSelect:
        this.#deviceFeaturesSel = value;
        return;
      case Common.driverFeatureSelect:
        this.#driverFeaturesSel = value;
        return;
      case Common.driverFeature:
        return device.writeDriverFeatureWord(this.#driverFeaturesSel, value);
      case Common.configVector:
        this.#configVector = this.#known(value & 0xffff);
        return;
      case Common.status:
        device.writeStatus(value & 0xff);
        // §4.1.4.3.1: what resets the device resets its transport.
        if (device.status === 0) this.#resetRegisters();
        return;
      case Common.queueSelect:
        this.#queueSel = value & 0xffff;
        return;
      default: {
        const queue = this.#queue;
        if (queue === undefined || !this.#writeQueue(queue, offset, value)) {
          this.#trace.guestError(this.typeName, `write of ${width} bytes at 0x${offset.toString(16)}`);
        }
      }
    }
  }

  /** False when there is no such register, or it may not be written while the queue is in use. */
  #writeQueue(queue: SplitQueue, offset: number, value: number): boolean {
    if (offset === Common.queueVector) {
      this.#queueVectors[queue.index] = this.#known(value & 0xffff);
      return true;
    }
    if (offset === Common.queueEnable) {
      // §4.1.4.3.2: a driver never writes 0.
      if ((value & 1) !== 0) queue.setReady(true);
      return true;
    }
    if (queue.isReady) return false;
    switch (offset) {
      case Common.queueSize:
        queue.size = value & 0xffff;
        return true;
      case Common.queueDescriptorLow:
      case Common.queueDescriptorHigh:
        queue.descriptorArea = withHalf(queue.descriptorArea, offset, value);
        return true;
      case Common.queueDriverLow:
      case Common.queueDriverHigh:
        queue.driverArea = withHalf(queue.driverArea, offset, value);
        return true;
      case Common.queueDeviceLow:
      case Common.queueDeviceHigh:
        queue.deviceArea = withHalf(queue.deviceArea, offset, value);
        return true;
      default:
        return false;
    }
  }
}

/** An area's address with the half that stands at `offset` replaced. */
function withHalf(address: bigint, offset: number, half: number): bigint {
  const isLow = offset % 8 === 0;
  return isLow ? ((address >> 32n) << 32n) | BigInt(half) : (BigInt(half) << 32n) | (address & 0xffff_ffffn);
}
