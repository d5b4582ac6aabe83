// hot: bench/memory.ts
// What one hart sees of an address space.
import type { AddressSpace } from "./address-space.ts";
import { type FlatTable, SectionKind } from "./flat-table.ts";
import { type CpuBus, type DirtySource, MemTx } from "./port.ts";

/** Made by `AddressSpace.bus`. */
export class HartBus implements CpuBus {
  low: number = 0;
  high: number = 0;
  readonly #space: AddressSpace;
  readonly #source: DirtySource;
  readonly #view: DataView;

  constructor(space: AddressSpace, source: DirtySource) {
    this.#space = space;
    this.#source = source;
    this.#view = space.world.view;
  }

  ramPage(gpaPage: number): number {
    const { table } = this.#space;
    const i = table.find(gpaPage);
    if (i === -1 || table.kinds[i] === SectionKind.mmio || gpaPage + 4096 > table.ends[i]!) return -1;
    const offset = table.bases[i]! + (gpaPage - table.starts[i]!);
    // An alias may show a block at an address that is not congruent to the block's pages.
    return (offset & 4095) === 0 ? offset : -1;
  }

  isRamWritable(gpaPage: number): boolean {
    const { table } = this.#space;
    const i = table.find(gpaPage);
    return i !== -1 && table.kinds[i] === SectionKind.ram && gpaPage + 4096 <= table.ends[i]!;
  }

  addChangeListener(onChanged: () => void): () => void {
    return this.#space.addChangeListener(onChanged);
  }

  load(gpa: number, width: number): MemTx {
    const { table } = this.#space;
    const i = table.find(gpa);
    if (i === -1) {
      this.low = 0;
      this.high = 0;
      return MemTx.decodeError;
    }
    if (gpa + width > table.ends[i]!) return this.#loadAcross(table, gpa, width);
    const offset = table.bases[i]! + (gpa - table.starts[i]!);
    if (table.kinds[i] === SectionKind.mmio) {
      const port = table.ports[i]!;
      const status = port.read(offset, width);
      this.low = status === MemTx.ok ? port.low : 0;
      this.high = status === MemTx.ok ? port.high : 0;
      return status;
    }
    const view = this.#view;
    this.high = 0;
    if (width === 8) {
      this.low = view.getUint32(offset, true);
      this.high = view.getUint32(offset + 4, true);
    } else if (width === 4) this.low = view.getUint32(offset, true);
    else if (width === 2) this.low = view.getUint16(offset, true);
    else this.low = view.getUint8(offset);
    return MemTx.ok;
  }

  store(gpa: number, width: number, low: number, high: number): MemTx {
    const { table } = this.#space;
    const i = table.find(gpa);
    if (i === -1) return MemTx.decodeError;
    if (gpa + width > table.ends[i]!) return this.#storeAcross(table, gpa, width, low, high);
    const offset = table.bases[i]! + (gpa - table.starts[i]!);
    const kind = table.kinds[i]!;
    if (kind === SectionKind.mmio) return table.ports[i]!.write(offset, width, low, high);
    // QEMU's TCG drops a hart's store to ROM (TLB_DISCARD_WRITE); there is no fault.
    if (kind === SectionKind.rom) return MemTx.ok;
    const view = this.#view;
    if (width === 8) {
      view.setUint32(offset, low, true);
      view.setUint32(offset + 4, high, true);
    } else if (width === 4) view.setUint32(offset, low, true);
    else if (width === 2) view.setUint16(offset, low, true);
    else view.setUint8(offset, low);
    this.#space.world.notes.noteWrite(this.#source, offset, width);
    return MemTx.ok;
  }

  /** An access over the end of a section is made of aligned parts, each inside one section, low part first. */
  #loadAcross(table: FlatTable, gpa: number, width: number): MemTx {
    let low = 0;
    let high = 0;
    let status: MemTx = MemTx.ok;
    let done = 0;
    while (done < width && status === MemTx.ok) {
      const at = gpa + done;
      const i = table.find(at);
      if (i === -1) {
        status = MemTx.decodeError;
        break;
      }
      const part = partWidth(at, Math.min(width - done, table.ends[i]! - at));
      status = this.load(at, part);
      const shift = done * 8;
      if (shift < 32) low |= this.low << shift;
      if (shift >= 32) high |= this.low << (shift - 32);
      else if (shift > 0) high |= this.low >>> (32 - shift);
      done += part;
    }
    this.low = status === MemTx.ok ? low >>> 0 : 0;
    this.high = status === MemTx.ok ? high >>> 0 : 0;
    return status;
  }

  #storeAcross(table: FlatTable, gpa: number, width: number, low: number, high: number): MemTx {
    let status: MemTx = MemTx.ok;
    let done = 0;
    while (done < width && status === MemTx.ok) {
      const at = gpa + done;
      const i = table.find(at);
      if (i === -1) {
        status = MemTx.decodeError;
        break;
      }
      const part = partWidth(at, Math.min(width - done, table.ends[i]! - at));
      const shift = done * 8;
      const value = shift === 0 ? low : shift < 32 ? (low >>> shift) | (high << (32 - shift)) : high >>> (shift - 32);
      status = this.store(at, part, value >>> 0, 0);
      done += part;
    }
    return status;
  }
}

/** The widest aligned access at `at` of at most `limit` bytes. */
function partWidth(at: number, limit: number): number {
  let width = 4;
  while (width > limit || (at & (width - 1)) !== 0) width >>>= 1;
  return width;
}
