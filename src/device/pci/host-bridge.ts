// A host bridge after QEMU's generic PCI Express one (gpex): configuration space mapped into memory (ECAM, PCI Express 5.0
// §7.2.2), and itself as function 00.0, without capabilities.
import type { MmioHandler } from "../../memory/port.ts";
import type { DescriptionOf } from "../../state/index.ts";
import type { IrqLine, MmioDevice } from "../port.ts";
import { PciBus, type BusUpstream } from "./bus.ts";
import { PciFunction, type PciFunctionState } from "./function.ts";
import { EXTENDED_CONFIG_BYTES, QEMU_SUBSYSTEM } from "./spec.ts";

const BUS_SHIFT = 20;
const FUNCTION_SHIFT = 12;
/** 256 buses. */
const ECAM_BYTES = 256 * 2 ** BUS_SHIFT;

export interface PciHostBridgeOptions {
  /** The root bus's name. */
  readonly busName: string;
  readonly upstream: BusUpstream;
  /** What INTA to INTD of slot 0 drive. */
  readonly lines: readonly IrqLine[];
}

export class PciHostBridge implements MmioDevice {
  readonly typeName = "gpex-pcihost";
  readonly mmioLengthBytes: number = ECAM_BYTES;
  readonly mmio: MmioHandler;
  readonly bus: PciBus;
  readonly stateDescription: DescriptionOf<PciFunctionState>;
  readonly #root: PciFunction;

  constructor({ busName, upstream, lines }: PciHostBridgeOptions) {
    this.bus = new PciBus({ name: busName, upstream, lines, number: () => 0 });
    this.#root = new PciFunction({
      name: "gpex-root",
      identity: { vendorId: 0x1b36, deviceId: 0x0008, classCode: 0x06_00_00, ...QEMU_SUBSYSTEM },
      bars: [],
      ports: this.bus.ports(0, "gpex-root"),
      onReset: () => undefined,
    });
    this.stateDescription = this.#root.stateDescription;
    this.bus.plug(0, this.#root);
    this.mmio = {
      read: (offset, width) => this.#read(offset, width),
      write: (offset, width, value) => this.#write(offset, width, value),
    };
  }

  reset(): void {
    this.#root.reset();
  }

  saveState(): PciFunctionState {
    return this.#root.saveState();
  }

  loadState(state: PciFunctionState): void {
    this.#root.loadState(state);
  }

  #read(offset: number, width: number): number {
    const bus = this.bus.find(offset >>> BUS_SHIFT);
    if (bus === undefined) return 2 ** (8 * width) - 1;
    return bus.readConfig((offset >>> FUNCTION_SHIFT) & 0xff, offset % EXTENDED_CONFIG_BYTES, width);
  }

  #write(offset: number, width: number, value: number): void {
    const bus = this.bus.find(offset >>> BUS_SHIFT);
    bus?.writeConfig((offset >>> FUNCTION_SHIFT) & 0xff, offset % EXTENDED_CONFIG_BYTES, width, value);
  }
}
