// The host's PCI buses: which functions there are, which are reset together, and where the host's firmware put their BARs.
import { assert } from "../../base/index.ts";
import { pciSpec, type PciFunction } from "../../device/pci/index.ts";

const { Header } = pciSpec;

export interface PciAddress {
  readonly segment: number;
  readonly bus: number;
  readonly devfn: number;
}

/** Of `0000:01:00.0`; undefined when it is none. */
export function parsePciAddress(name: string): PciAddress | undefined {
  const match = /^([0-9a-f]{4}):([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/.exec(name);
  if (match === null) return undefined;
  const [segment, bus, device, fn] = match.slice(1).map((digits) => Number.parseInt(digits, 16));
  return { segment: segment!, bus: bus!, devfn: device! * 8 + fn! };
}

// Windows as a PC's firmware has them: ports, memory below 4 GiB, memory above all RAM.
const PORTS_AT = 0x1000;
const LOW_AT = 0xc000_0000;
const LOW_END = 0xfec0_0000;
const HIGH_AT = 0x38_0000_0000_00n;

export class HostBus<D extends { readonly address: PciAddress }> {
  readonly #devices: D[] = [];
  #ports = PORTS_AT;
  #low = LOW_AT;
  #high = HIGH_AT;

  add(device: D, pci: PciFunction): void {
    this.#devices.push(device);
    for (const bar of pci.bars) {
      const at = Header.bar0 + 4 * bar.index;
      const base = this.#place(bar.kind, bar.is64, bar.lengthBytes);
      pci.config.write(at, 4, Number(base & 0xffff_ffffn));
      if (bar.is64) pci.config.write(at + 4, 4, Number(base >> 32n));
    }
  }

  /** Every function that a reset of the device's bus resets too; undefined on a root bus, which has no such reset. */
  resetTogether(device: D): readonly D[] | undefined {
    const { segment, bus } = device.address;
    if (bus === 0) return undefined;
    return this.#devices
      .filter((d) => d.address.segment === segment && d.address.bus === bus)
      .sort((a, b) => a.address.devfn - b.address.devfn);
  }

  #place(kind: "memory" | "io", is64: boolean, lengthBytes: number): bigint {
    if (kind === "io") {
      const at = alignUp(this.#ports, lengthBytes);
      this.#ports = at + lengthBytes;
      return BigInt(at);
    }
    if (is64) {
      const length = BigInt(lengthBytes);
      const at = ((this.#high + length - 1n) / length) * length;
      this.#high = at + length;
      return at;
    }
    const at = alignUp(this.#low, Math.max(lengthBytes, 4096));
    this.#low = at + lengthBytes;
    assert(this.#low <= LOW_END, "the host's memory window has room", this.#low);
    return BigInt(at);
  }
}

function alignUp(n: number, to: number): number {
  return Math.ceil(n / to) * to;
}
