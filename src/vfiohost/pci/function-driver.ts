// A PCI function behind a device file: regions, configuration space, interrupts, reset
// (drivers/vfio/pci/vfio_pci_core.c of Linux 7.2). Whose DMA it is, a driver adds.
import { pciSpec, type PciDevice, type PciFunction } from "../../device/pci/index.ts";
import {
  Errno,
  VFIO_PCI_NUM_IRQS,
  VFIO_PCI_NUM_REGIONS,
  VFIO_PCI_OFFSET_SHIFT,
  VfioDeviceFlag,
  VfioDeviceInfo,
  VfioIrqInfo,
  VfioIrqInfoFlag,
  VfioNr,
  VfioPciIrq,
  VfioPciRegion,
  VfioRegionInfoFlag,
  type Caller,
  type HostMapping,
  type HostMemory,
  type IommufdContext,
  type MapRequest,
} from "../../iommufd/index.ts";
import type { HostCounters } from "../counters.ts";
import type { DriverEvents } from "../device.ts";
import { capabilityChain, type DeviceCall } from "../device-call.ts";
import type { DeviceDriver, RegionAnswer } from "../driver.ts";
import { readIrqRequest } from "../irq-request.ts";
import type { InterruptListener } from "../wires.ts";
import { atomicCompletion, findCapability } from "./capabilities.ts";
import { ConfigView } from "./config-view.ts";
import { PciInterrupts } from "./interrupts.ts";
import { HostMessages } from "./messages.ts";
import { accessBar, mappableAreas, msixMappable, sparseMmap } from "./regions.ts";

const { CapabilityId, Command, Header, Pm } = pciSpec;
const OFFSET_MASK = (1n << VFIO_PCI_OFFSET_SHIFT) - 1n;

export interface FunctionDriverOptions {
  readonly memory: HostMemory;
  readonly counters: HostCounters;
  readonly events: DriverEvents;
}

export abstract class FunctionDriver implements DeviceDriver, InterruptListener {
  readonly memory: HostMemory;
  readonly counters: HostCounters;
  protected readonly events: DriverEvents;
  readonly #device: PciDevice;
  readonly #messages: HostMessages;
  readonly #interrupts: PciInterrupts;
  #view: ConfigView | undefined;
  /** The function as it was when it was opened. */
  #saved: Uint8Array | undefined;

  constructor(device: PciDevice, options: FunctionDriverOptions) {
    this.memory = options.memory;
    this.counters = options.counters;
    this.events = options.events;
    this.#device = device;
    this.#messages = new HostMessages({
      pci: device.pci,
      doorbell: () => this.doorbell(),
      onVector: (vector) => this.#interrupts.vectorFired(vector),
      failsNow: () => options.memory.failAt("irq"),
    });
    this.#interrupts = new PciInterrupts(device.pci, this.#messages, options.counters);
  }

  abstract bind(context: IommufdContext): number;
  abstract unbind(): void;
  abstract attach(ptId: number): number;
  abstract detach(): void;
  /** Where the device has to write to reach the host's interrupt controller, or a negative errno. */
  protected abstract doorbell(): bigint | number;

  get pci(): PciFunction {
    return this.#device.pci;
  }

  /** Whether memory BARs can be reached; while the device is open. */
  get memoryEnabled(): boolean {
    return this.#view?.memoryEnabled ?? false;
  }

  lineChanged(level: boolean): void {
    this.#interrupts.lineChanged(level);
  }

  messageArrived(address: bigint, data: number): boolean {
    return this.#messages.arrived(address, data);
  }

  notify(which: "error" | "request"): boolean {
    return this.#interrupts.notify(which);
  }

  open(): number {
    const { config } = this.pci;
    if (this.memory.failAt("open")) return -Errno.ENODEV;
    const command = config.read(Header.command, 2) & ~Command.busMaster;
    config.write(Header.command, 2, command | Command.memory | Command.io);
    const rc = this.resetFunction();
    if (rc < 0) return rc;
    this.#saved = config.save();
    this.#view = new ConfigView(this.pci, this.#effects());
    return 0;
  }

  close(): void {
    this.#powerUp();
    this.#interrupts.close();
    this.#view = undefined;
    this.#device.reset();
    this.#restoreConfig(this.#saved!);
    this.#saved = undefined;
    this.events.onReset();
  }

  /** Resets the device behind the function; what the host set up in configuration space stays. Zero or -EAGAIN. */
  resetFunction(): number {
    if (this.memory.failAt("reset")) return -Errno.EAGAIN;
    this.resetNow();
    return 0;
  }

  resetNow(): void {
    this.memoryChanged(false);
    this.#powerUp();
    const saved = this.pci.config.save();
    this.#device.reset();
    this.#restoreConfig(saved);
    this.#messages.restore();
    this.events.onReset();
    this.memoryChanged(this.memoryEnabled);
  }

  /** Memory BARs can be reached from now on, or cannot; told more often than it changes. */
  protected memoryChanged(_reachable: boolean): void {}

  ioctl(call: DeviceCall, nr: number): number {
    switch (nr) {
      case VfioNr.DEVICE_GET_INFO:
        return this.#getInfo(call);
      case VfioNr.DEVICE_GET_IRQ_INFO:
        return this.#getIrqInfo(call);
      case VfioNr.DEVICE_SET_IRQS: {
        const request = readIrqRequest(call, (index) => this.#irqCount(index));
        return typeof request === "number" ? request : this.#interrupts.set(request);
      }
      case VfioNr.DEVICE_RESET:
        return this.resetFunction();
      default:
        return -Errno.ENOTTY;
    }
  }

  #getInfo(call: DeviceCall): number {
    const request = call.request(VfioDeviceInfo, VfioDeviceInfo.offsets.cap_offset);
    if (typeof request === "number") return request;
    const capability = atomicCompletion(this.pci);
    const info = {
      argsz: request.argsz,
      flags: VfioDeviceFlag.PCI | VfioDeviceFlag.RESET,
      num_regions: VFIO_PCI_NUM_REGIONS,
      num_irqs: VFIO_PCI_NUM_IRQS,
      cap_offset: 0,
    };
    const headBytes = VfioDeviceInfo.lengthBytes;
    if (capability !== undefined) {
      const chain = capabilityChain([capability], headBytes);
      info.flags |= VfioDeviceFlag.CAPS;
      if (request.argsz < headBytes + chain.length) {
        info.argsz = headBytes + chain.length;
      } else {
        if (call.write(headBytes, chain) < 0) return -Errno.EFAULT;
        info.cap_offset = headBytes;
      }
    }
    return call.reply(VfioDeviceInfo, info, Math.min(request.argsz, headBytes));
  }

  #irqCount(index: number): number {
    switch (index) {
      case VfioPciIrq.INTX:
        return this.#view!.hasInterruptPin ? 1 : 0;
      case VfioPciIrq.MSI:
        return this.pci.msi?.vectorCount ?? 0;
      case VfioPciIrq.MSIX:
        return this.pci.msix?.vectorCount ?? 0;
      case VfioPciIrq.ERR:
        return this.pci.isExpress ? 1 : 0;
      default:
        return index === VfioPciIrq.REQ ? 1 : 0;
    }
  }

  #getIrqInfo(call: DeviceCall): number {
    const request = call.request(VfioIrqInfo, VfioIrqInfo.lengthBytes);
    if (typeof request === "number") return request;
    const { argsz, index } = request;
    if (index >= VFIO_PCI_NUM_IRQS || (index === VfioPciIrq.ERR && !this.pci.isExpress)) return -Errno.EINVAL;
    let flags: number = VfioIrqInfoFlag.EVENTFD;
    if (index === VfioPciIrq.INTX) flags |= VfioIrqInfoFlag.MASKABLE | VfioIrqInfoFlag.AUTOMASKED;
    // The host's interrupt controller gives out single MSI-X vectors at any time.
    else if (index !== VfioPciIrq.MSIX) flags |= VfioIrqInfoFlag.NORESIZE;
    return call.reply(VfioIrqInfo, { argsz, index, flags, count: this.#irqCount(index) });
  }

  region(index: number): RegionAnswer | number {
    const offset = BigInt(index) << VFIO_PCI_OFFSET_SHIFT;
    const readWrite = VfioRegionInfoFlag.READ | VfioRegionInfoFlag.WRITE;
    const none = { flags: 0, sizeBytes: 0, offset, capabilities: [] };
    if (index === VfioPciRegion.CONFIG) return { ...none, flags: readWrite, sizeBytes: this.pci.config.lengthBytes };
    if (index === VfioPciRegion.ROM) return none;
    if (index >= VfioPciRegion.ROM) return -Errno.EINVAL;
    const bar = this.pci.bar(index);
    if (bar === undefined) return none;
    const areas = mappableAreas(bar);
    if (areas.length === 0) return { ...none, flags: readWrite, sizeBytes: bar.lengthBytes };
    return {
      flags: readWrite | VfioRegionInfoFlag.MMAP,
      sizeBytes: bar.lengthBytes,
      offset,
      capabilities: [sparseMmap(areas), ...(this.pci.msix?.bar === index ? [msixMappable] : [])],
    };
  }

  read(caller: Caller, offset: bigint, va: bigint, lengthBytes: number): number {
    return this.#access(caller, offset, va, lengthBytes, false);
  }

  write(caller: Caller, offset: bigint, va: bigint, lengthBytes: number): number {
    return this.#access(caller, offset, va, lengthBytes, true);
  }

  #access(caller: Caller, offset: bigint, va: bigint, lengthBytes: number, write: boolean): number {
    const index = Number(offset >> VFIO_PCI_OFFSET_SHIFT);
    const at = Number(offset & OFFSET_MASK);
    if (index === VfioPciRegion.CONFIG) {
      const view = this.#view!;
      if (!write) return view.read(caller, at, va, lengthBytes);
      const done = view.write(caller, at, va, lengthBytes);
      this.memoryChanged(this.memoryEnabled);
      return done;
    }
    const bar = index < VfioPciRegion.ROM ? this.pci.bar(index) : undefined;
    if (bar === undefined) return -Errno.EINVAL;
    const { memoryEnabled } = this;
    return accessBar(this.pci, bar, { caller, at, va, lengthBytes, write, memoryEnabled });
  }

  mmap({ offset, lengthBytes, shared }: MapRequest): HostMapping | number {
    const bar = this.pci.bar(Number(offset >> VFIO_PCI_OFFSET_SHIFT));
    if (!shared || bar === undefined) return -Errno.EINVAL;
    const from = Number(offset & OFFSET_MASK);
    const area = mappableAreas(bar).find((a) => from >= a.at && from + lengthBytes <= a.at + a.bytes.length);
    if (area === undefined) return -Errno.EINVAL;
    return { bytes: area.bytes.subarray(from - area.at, from - area.at + lengthBytes), release: () => {} };
  }

  #effects(): ConstructorParameters<typeof ConfigView>[1] {
    const interrupts = this.#interrupts;
    return {
      interruptDisabled: (disabled) => interrupts.disableLine(disabled),
      // As with the kernel, a reset that fails is not told to who wrote the bit.
      resetFunction: () => void this.resetFunction(),
      get usesMsi() {
        return interrupts.usesMsi;
      },
      get msiVectorsLog2() {
        return interrupts.msiVectorsLog2;
      },
    };
  }

  #powerUp(): void {
    const at = findCapability(this.pci, CapabilityId.powerManagement);
    if (at !== undefined) this.pci.config.write(at + Pm.control, 1, 0);
  }

  /** Writes saved configuration space back; the command register last, when addresses are in place. */
  #restoreConfig(saved: Uint8Array): void {
    const { config } = this.pci;
    const value = (at: number, widthBytes: number): number => {
      let bits = 0;
      for (let i = widthBytes - 1; i >= 0; i--) bits = bits * 256 + saved[at + i]!;
      return bits;
    };
    for (const { at, widthBytes } of config.registers) {
      if (at !== Header.command && at !== Header.status) config.write(at, widthBytes, value(at, widthBytes));
    }
    config.write(Header.command, 2, value(Header.command, 2));
  }
}
