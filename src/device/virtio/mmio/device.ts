// Virtio over MMIO, version 2 (VIRTIO 1.2 §4.2): a slot with registers and one interrupt, empty or with one device.
// Version 1, which QEMU shows unless force-legacy=off is given, is not offered: every driver of virtio 1.x takes 2.
import type { TracePort } from "../../../base/index.ts";
import type { MmioHandler } from "../../../memory/port.ts";
import type { IrqLine, MmioDevice } from "../../port.ts";
import type { VirtioDevice, VirtioTransport } from "../device.ts";
import { VirtioError } from "../errors.ts";
import type { SplitQueue } from "../queue.ts";
import { CONFIG_OFFSET, Interrupt, LENGTH_BYTES, MAGIC, Register, VENDOR, VERSION } from "./spec.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import { virtioMmioState, type VirtioMmioState } from "./state.ts";

/** `reset()` and `close()` of the slot reach the device in it; the two states are saved apart. */
export class VirtioMmio implements MmioDevice, VirtioTransport {
  readonly typeName = "virtio-mmio";
  readonly stateDescription: DescriptionOf<VirtioMmioState> = virtioMmioState;
  readonly mmioLengthBytes: number = LENGTH_BYTES;
  readonly mmio: MmioHandler;
  readonly #irq: IrqLine;
  readonly #trace: TracePort;
  #plugged: VirtioDevice | undefined;
  #deviceFeaturesSel = 0;
  #driverFeaturesSel = 0;
  #queueSel = 0;
  #interruptStatus = 0;

  constructor(options: { irq: IrqLine; trace: TracePort }) {
    this.#irq = options.irq;
    this.#trace = options.trace;
    this.mmio = {
      valid: { min: 1, max: 8 },
      impl: { min: 1, max: 4 },
      read: (offset, width) => this.#read(offset, width),
      write: (offset, width, value) => this.#write(offset, width, value),
    };
  }

  /** The device in this slot. */
  get device(): VirtioDevice | undefined {
    return this.#plugged;
  }

  /** Puts a device into the slot, before the machine starts. Throws VirtioError `inUse` when one is there. */
  plug(device: VirtioDevice): void {
    if (this.#plugged !== undefined) {
      throw new VirtioError("inUse", `The virtio-mmio slot already holds a ${this.#plugged.typeName}`);
    }
    this.#plugged = device;
    device.plugInto(this);
  }

  notifyUsed(_queueIndex: number): void {
    this.#setInterrupt(this.#interruptStatus | Interrupt.usedBuffer);
  }

  notifyConfig(): void {
    this.#setInterrupt(this.#interruptStatus | Interrupt.configChange);
  }

  reset(): void {
    this.#plugged?.reset();
    this.#resetRegisters();
  }

  close(): void {
    this.#plugged?.close();
  }

  saveState(): VirtioMmioState {
    return {
      deviceFeaturesSel: this.#deviceFeaturesSel,
      driverFeaturesSel: this.#driverFeaturesSel,
      queueSel: this.#queueSel,
      interruptStatus: this.#interruptStatus,
    };
  }

  loadState(values: VirtioMmioState): void {
    this.#deviceFeaturesSel = values.deviceFeaturesSel;
    this.#driverFeaturesSel = values.driverFeaturesSel;
    this.#queueSel = values.queueSel;
    this.#setInterrupt(values.interruptStatus & (Interrupt.usedBuffer | Interrupt.configChange));
  }

  #resetRegisters(): void {
    this.#deviceFeaturesSel = 0;
    this.#driverFeaturesSel = 0;
    this.#queueSel = 0;
    this.#setInterrupt(0);
  }

  #setInterrupt(status: number): void {
    this.#interruptStatus = status;
    this.#irq.set(status !== 0);
  }

  #read(offset: number, width: 1 | 2 | 4): number {
    const device = this.#plugged;
    if (offset >= CONFIG_OFFSET) return device?.readConfig(offset - CONFIG_OFFSET, width) ?? 0;
    if (width !== 4) {
      this.#trace.guestError(this.typeName, `read of ${width} bytes at register 0x${offset.toString(16)}`);
      return 0;
    }
    switch (offset) {
      case Register.magicValue:
        return MAGIC;
      case Register.version:
        return VERSION;
      case Register.vendorId:
        return VENDOR;
    }
    // §4.2.2: an empty slot shows device ID 0, and nothing else matters.
    return device === undefined ? 0 : this.#readDevice(device, offset);
  }

  #readDevice(device: VirtioDevice, offset: number): number {
    switch (offset) {
      case Register.deviceId:
        return device.deviceId;
      case Register.deviceFeatures:
        return device.deviceFeatureWord(this.#deviceFeaturesSel);
      case Register.queueNumMax:
        return device.queues[this.#queueSel]?.maxSize ?? 0;
      case Register.queueReady:
        return device.queues[this.#queueSel]?.isReady === true ? 1 : 0;
      case Register.interruptStatus:
        return this.#interruptStatus;
      case Register.status:
        return device.status;
      case Register.shmLenLow:
      case Register.shmLenHigh:
      case Register.shmBaseLow:
      case Register.shmBaseHigh:
        // No device here has a shared memory region.
        return 0xffff_ffff;
      case Register.configGeneration:
        return device.configGeneration;
      default:
        this.#trace.guestError(this.typeName, `read of register 0x${offset.toString(16)}`);
        return 0;
    }
  }

  #write(offset: number, width: 1 | 2 | 4, value: number): void {
    const device = this.#plugged;
    if (device === undefined) return;
    if (offset >= CONFIG_OFFSET) return device.writeConfig(offset - CONFIG_OFFSET, width, value);
    if (width !== 4) {
      this.#trace.guestError(this.typeName, `write of ${width} bytes at register 0x${offset.toString(16)}`);
      return;
    }
    switch (offset) {
      case Register.deviceFeaturesSel:
        this.#deviceFeaturesSel = value;
        return;
      case Register.driverFeatures:
        return device.writeDriverFeatureWord(this.#driverFeaturesSel, value);
      case Register.driverFeaturesSel:
        this.#driverFeaturesSel = value;
        return;
      case Register.queueSel:
        this.#queueSel = value;
        return;
      case Register.queueNotify:
        return device.notify(value);
      case Register.interruptAck:
        return this.#setInterrupt(this.#interruptStatus & ~value);
      case Register.status:
        device.writeStatus(value);
        if (device.status === 0) this.#setInterrupt(0);
        return;
      case Register.shmSel:
        return;
      default: {
        const queue = device.queues[this.#queueSel];
        if (queue === undefined || !writeQueue(queue, offset, value)) {
          this.#trace.guestError(
            this.typeName,
            `write of 0x${value.toString(16)} to register 0x${offset.toString(16)}`,
          );
        }
      }
    }
  }
}

/** Writes a register of the selected queue; false when it is none, or may not be written while the queue is in use. */
function writeQueue(queue: SplitQueue, offset: number, value: number): boolean {
  if (offset === Register.queueReady) {
    queue.setReady((value & 1) !== 0);
    return true;
  }
  if (queue.isReady) return false;
  switch (offset) {
    case Register.queueNum:
      queue.size = value;
      return true;
    case Register.queueDescLow:
      queue.descriptorArea = withLow(queue.descriptorArea, value);
      return true;
    case Register.queueDescHigh:
      queue.descriptorArea = withHigh(queue.descriptorArea, value);
      return true;
    case Register.queueDriverLow:
      queue.driverArea = withLow(queue.driverArea, value);
      return true;
    case Register.queueDriverHigh:
      queue.driverArea = withHigh(queue.driverArea, value);
      return true;
    case Register.queueDeviceLow:
      queue.deviceArea = withLow(queue.deviceArea, value);
      return true;
    case Register.queueDeviceHigh:
      queue.deviceArea = withHigh(queue.deviceArea, value);
      return true;
    default:
      return false;
  }
}

function withLow(address: bigint, low: number): bigint {
  return ((address >> 32n) << 32n) | BigInt(low);
}

function withHigh(address: bigint, high: number): bigint {
  return (BigInt(high) << 32n) | (address & 0xffff_ffffn);
}
