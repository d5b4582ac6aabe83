// What the host's kernel does with a function's messages: gives out vectors, writes where messages go, masks what nobody
// listens to. A message that arrives is one of those; a write to any other place is DMA.
import { pciSpec, type PciFunction } from "../../device/pci/index.ts";
import { Errno } from "../../iommufd/index.ts";

const { Msi, MsiControl, Msix, MsixControl, MSIX_ENTRY_MASKED } = pciSpec;

/** The doorbell of the host's interrupt controller, and the number of a function's first message there. */
export const DOORBELL = 0xfee0_0000n;
const FIRST_MESSAGE = 0x40;

export interface MessageOptions {
  readonly pci: PciFunction;
  /** Where the device has to write to reach the doorbell, or a negative errno. */
  readonly doorbell: () => bigint | number;
  /** A vector fired. */
  readonly onVector: (vector: number) => void;
  /** True when this attempt to get vectors is to fail. */
  readonly failsNow: () => boolean;
}

export class HostMessages {
  readonly #options: MessageOptions;
  #kind: "none" | "msi" | "msix" = "none";
  #address = 0n;
  /** Vectors that have a message. */
  readonly #allocated = new Set<number>();
  readonly #unmasked = new Set<number>();

  constructor(options: MessageOptions) {
    this.#options = options;
  }

  /** Turns messages on with `count` vectors, all masked. Zero or a negative errno. */
  enable(kind: "msi" | "msix", count: number): number {
    // pci_alloc_irq_vectors: none is fewer than the least.
    if (count === 0) return -Errno.ERANGE;
    if (this.#options.failsNow()) return -Errno.ENOSPC;
    const address = this.#options.doorbell();
    if (typeof address === "number") return address;
    this.#address = address;
    this.#kind = kind;
    for (let vector = 0; vector < count; vector++) this.#allocated.add(vector);
    this.#program();
    return 0;
  }

  /** Gives a vector a message later (MSI-X alone). Zero or a negative errno. */
  allocate(vector: number): number {
    if (this.#allocated.has(vector)) return 0;
    if (this.#kind !== "msix") return -Errno.EINVAL;
    if (this.#options.failsNow()) return -Errno.ENOSPC;
    this.#allocated.add(vector);
    this.#writeEntry(vector);
    return 0;
  }

  disable(): void {
    this.#allocated.clear();
    this.#unmasked.clear();
    const { pci } = this.#options;
    if (this.#kind === "msi") this.#writeMsiControl(0);
    if (this.#kind === "msix") {
      for (let vector = 0; vector < pci.msix!.vectorCount; vector++) this.#writeEntry(vector);
      pci.config.write(pci.msix!.at + Msix.control, 2, 0);
    }
    this.#kind = "none";
  }

  unmask(vector: number): void {
    this.#unmasked.add(vector);
    this.#applyMask(vector);
  }

  mask(vector: number): void {
    this.#unmasked.delete(vector);
    this.#applyMask(vector);
  }

  /** Writes it all again, after a reset. */
  restore(): void {
    if (this.#kind !== "none") this.#program();
  }

  /** True when the write was a message of this function's. */
  arrived(address: bigint, data: number): boolean {
    const vector = data - FIRST_MESSAGE;
    if (this.#kind === "none" || address !== this.#address || !this.#allocated.has(vector)) return false;
    this.#options.onVector(vector);
    return true;
  }

  #program(): void {
    const { pci } = this.#options;
    if (this.#kind === "msi") {
      const { at, vectorCount } = pci.msi!;
      pci.config.write(at + Msi.addressLow, 4, Number(this.#address & 0xffff_ffffn));
      pci.config.write(at + Msi.addressHigh, 4, Number(this.#address >> 32n));
      pci.config.write(at + Msi.data, 2, FIRST_MESSAGE);
      for (let vector = 0; vector < vectorCount; vector++) this.#applyMask(vector);
      this.#writeMsiControl(MsiControl.enable | (this.vectorsLog2 << MsiControl.enabledShift));
    } else {
      for (let vector = 0; vector < pci.msix!.vectorCount; vector++) this.#writeEntry(vector);
      pci.config.write(pci.msix!.at + Msix.control, 2, MsixControl.enable);
    }
  }

  /** MSI has powers of two. */
  get vectorsLog2(): number {
    return this.#allocated.size === 0 ? 0 : Math.ceil(Math.log2(this.#allocated.size));
  }

  #writeMsiControl(value: number): void {
    const { config, msi } = this.#options.pci;
    config.write(msi!.at + Msi.control, 2, value);
  }

  #writeEntry(vector: number): void {
    const has = this.#allocated.has(vector);
    const low = has ? Number(this.#address & 0xffff_ffffn) : 0;
    const high = has ? Number(this.#address >> 32n) : 0;
    this.#writeTable(vector, [low, high, has ? FIRST_MESSAGE + vector : 0]);
    this.#applyMask(vector);
  }

  #writeTable(vector: number, words: readonly number[]): void {
    const { handler } = this.#options.pci.msix!.part;
    words.forEach((word, i) => handler!.write(vector * Msix.entryBytes + 4 * i, 4, word));
  }

  #applyMask(vector: number): void {
    const { pci } = this.#options;
    const open = this.#unmasked.has(vector);
    if (this.#kind === "msi") {
      const at = pci.msi!.at + Msi.mask;
      const old = pci.config.read(at, 4);
      pci.config.write(at, 4, open ? old & ~(1 << vector) : (old | (1 << vector)) >>> 0);
    } else if (this.#kind === "msix") {
      const at = vector * Msix.entryBytes + 12;
      pci.msix!.part.handler!.write(at, 4, open ? 0 : MSIX_ENTRY_MASKED);
    }
  }
}
