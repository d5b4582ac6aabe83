// Registers of an assigned device that its host answers and its guest may write. They are no part of the device's own data:
// without this the guest would find what the target's host has there. QEMU leaves them so.
import { pciSpec } from "../../device/pci/index.ts";
import type { HostConfig } from "./host-config.ts";

const { CapabilityId, Exp, Header, Pm } = pciSpec;
/** PCI Express 5.0 §7.5.3.4: reads as 0, and must never be written by accident. */
const INITIATE_RESET = 0x8000;

interface Passed {
  readonly at: number;
  readonly widthBytes: 1 | 2;
  /** Bits that are not written. */
  readonly except?: number;
}

export class PassedRegisters {
  readonly #host: HostConfig;
  readonly #registers: readonly Passed[];

  /** Reads where the device has them. Throws IommufdError. */
  constructor(host: HostConfig) {
    this.#host = host;
    const within = (id: number, passed: readonly Passed[]): Passed[] => {
      const from = host.find(id);
      return from === undefined ? [] : passed.map((register) => ({ ...register, at: from + register.at }));
    };
    this.#registers = [
      { at: Header.cacheLineSize, widthBytes: 1 },
      { at: Header.latencyTimer, widthBytes: 1 },
      { at: Header.interruptLine, widthBytes: 1 },
      ...within(CapabilityId.pciExpress, [
        { at: Exp.deviceControl, widthBytes: 2, except: INITIATE_RESET },
        { at: Exp.deviceControl2, widthBytes: 2 },
      ]),
      // The last: in D3hot the device answers nothing else.
      ...within(CapabilityId.powerManagement, [{ at: Pm.control, widthBytes: 2 }]),
    ];
  }

  /** Two bytes each. */
  save(): Uint8Array {
    const bytes = new Uint8Array(2 * this.#registers.length);
    const view = new DataView(bytes.buffer);
    this.#registers.forEach(({ at, widthBytes }, i) => view.setUint16(2 * i, this.#host.read(at, widthBytes), true));
    return bytes;
  }

  /** Whether `saved` is of a device with the same registers, or of a time when none were saved. */
  fits(saved: Uint8Array): boolean {
    return saved.length === 0 || saved.length === 2 * this.#registers.length;
  }

  load(saved: Uint8Array): void {
    if (saved.length === 0) return;
    const view = new DataView(saved.buffer, saved.byteOffset, saved.length);
    this.#registers.forEach(({ at, widthBytes, except = 0 }, i) => {
      const wanted = view.getUint16(2 * i, true) & ~except;
      if (this.#host.read(at, widthBytes) !== wanted) this.#host.write(at, widthBytes, wanted);
    });
  }
}
