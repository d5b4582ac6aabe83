// hot: bench/memory.ts
// The flat view as sorted typed arrays, for look-ups that do not allocate.
import { assert } from "../base/index.ts";
import type { MemorySection } from "./flat-view.ts";
import type { MmioPort } from "./mmio-port.ts";

/** What a section is, to an access. */
export const SectionKind = { ram: 0, rom: 1, mmio: 2 } as const;
export type SectionKind = (typeof SectionKind)[keyof typeof SectionKind];

export class FlatTable {
  readonly count: number;
  readonly starts: Float64Array;
  readonly ends: Float64Array;
  readonly kinds: Uint8Array;
  /** Offset of the section's first byte: in the WebAssembly memory for RAM and ROM, in the region for MMIO. */
  readonly bases: Float64Array;
  /** Indexed like the rest; only meaningful where the kind is `mmio`. */
  readonly ports: readonly (MmioPort | undefined)[];
  #last = 0;

  constructor(sections: readonly MemorySection[]) {
    this.count = sections.length;
    this.starts = new Float64Array(this.count);
    this.ends = new Float64Array(this.count);
    this.kinds = new Uint8Array(this.count);
    this.bases = new Float64Array(this.count);
    const ports: (MmioPort | undefined)[] = [];
    sections.forEach((section, i) => {
      const { content } = section.region;
      this.starts[i] = section.start;
      this.ends[i] = section.start + section.lengthBytes;
      if (content.kind === "mmio") {
        this.kinds[i] = SectionKind.mmio;
        this.bases[i] = section.offsetInRegion;
        ports.push(content.port);
      } else {
        assert(section.block !== undefined, "a section is RAM, ROM or MMIO", section.region.name);
        this.kinds[i] = section.readOnly ? SectionKind.rom : SectionKind.ram;
        this.bases[i] = section.block.offset + section.offsetInRegion;
        ports.push(undefined);
      }
    });
    this.ports = ports;
  }

  /** Index of the section that holds `address`, or -1. */
  find(address: number): number {
    const { starts, ends } = this;
    const last = this.#last;
    if (last < this.count && address >= starts[last]! && address < ends[last]!) return last;
    const i = this.firstEndingAfter(address);
    if (i === this.count || address < starts[i]!) return -1;
    this.#last = i;
    return i;
  }

  /** Index of the first section whose end lies beyond `address`; `count` when there is none. */
  firstEndingAfter(address: number): number {
    const { ends } = this;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ends[middle]! > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
