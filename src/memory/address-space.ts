// An address space: a region tree made flat, with accesses for harts, devices and loaders.
import { assert } from "../base/index.ts";
import { FlatTable, SectionKind } from "./flat-table.ts";
import { differenceOf, type MemoryListener, type MemorySection, renderFlatView } from "./flat-view.ts";
import { HartBus } from "./hart-bus.ts";
import { type CpuBus, type DirtySource, MemTx } from "./port.ts";
import type { MemoryRegion } from "./region.ts";
import type { DerivedView } from "./transaction.ts";
import type { World } from "./world.ts";

/** How `transfer` treats what it meets. */
type Transfer =
  | { readonly kind: "read"; readonly into: Uint8Array }
  | { readonly kind: "write"; readonly bytes: Uint8Array; readonly source: DirtySource; readonly evenRom: boolean };

/**
 * Addresses are numbers; those at or past the root's end belong to nobody.
 *
 *     const root = containerRegion("system", 2 ** 53);
 *     root.add(ramRegion(ram), 0x8000_0000);
 *     const space = new AddressSpace("memory", root, world);
 */
export class AddressSpace implements DerivedView {
  readonly name: string;
  readonly root: MemoryRegion;
  readonly world: World;
  #sections: readonly MemorySection[] = [];
  #table: FlatTable = new FlatTable([]);
  readonly #listeners: MemoryListener[] = [];
  readonly #changeListeners: Set<() => void> = new Set();
  readonly #detach: () => void;
  #telling = false;

  constructor(name: string, root: MemoryRegion, world: World) {
    this.name = name;
    this.root = root;
    this.world = world;
    this.#detach = root.addView(this);
    this.update();
  }

  /** The flat view, ascending. */
  get sections(): readonly MemorySection[] {
    return this.#sections;
  }

  get table(): FlatTable {
    return this.#table;
  }

  /** The section that holds `gpa`. */
  sectionAt(gpa: number): MemorySection | undefined {
    const i = this.#table.find(gpa);
    return i === -1 ? undefined : this.#sections[i];
  }

  /** Accesses of a hart; its stores are reported as those of the source `sourceName`. */
  bus(sourceName: string): CpuBus {
    return new HartBus(this, this.world.notes.source(sourceName));
  }

  /**
   * Fills `into` from `gpa` on. Bytes that nobody answers are zero, and the first failure is the result; the rest is
   * read all the same, as QEMU does.
   */
  read(gpa: number, into: Uint8Array): MemTx {
    return this.#transfer(gpa, into.length, { kind: "read", into });
  }

  /** Writes `bytes` at `gpa` as `source`. ROM is a decode error. The rest is written all the same. */
  write(gpa: number, bytes: Uint8Array, source: DirtySource): MemTx {
    return this.#transfer(gpa, bytes.length, { kind: "write", bytes, source, evenRom: false });
  }

  /** As `write`, for whoever loads images: ROM is written too. */
  load(gpa: number, bytes: Uint8Array, source: DirtySource): MemTx {
    return this.#transfer(gpa, bytes.length, { kind: "write", bytes, source, evenRom: true });
  }

  /** Offset in the WebAssembly memory of a run that lies in one RAM (or, to read, ROM) section; -1 when it does not. */
  directOffset(gpa: number, lengthBytes: number, forWriting: boolean): number {
    const table = this.#table;
    const i = table.find(gpa);
    if (i === -1 || gpa + lengthBytes > table.ends[i]!) return -1;
    const kind = table.kinds[i]!;
    if (kind === SectionKind.mmio || (kind === SectionKind.rom && forWriting)) return -1;
    return table.bases[i]! + (gpa - table.starts[i]!);
  }

  /** The listener is told of the view as it is (as an addition), then of each change; when ended, of its removal. */
  addListener(listener: MemoryListener): () => void {
    assert(!this.#telling, "listeners do not come or go while a change is told", this.name);
    this.#listeners.push(listener);
    tell(listener, [], this.#sections);
    return () => {
      const at = this.#listeners.indexOf(listener);
      if (at === -1) return;
      assert(!this.#telling, "listeners do not come or go while a change is told", this.name);
      this.#listeners.splice(at, 1);
      tell(listener, this.#sections, []);
    };
  }

  /** Called after each change of the flat view. */
  addChangeListener(onChanged: () => void): () => void {
    this.#changeListeners.add(onChanged);
    return () => this.#changeListeners.delete(onChanged);
  }

  /** Called at the end of a transaction that touched the tree. */
  update(): void {
    const before = this.#sections;
    const after = renderFlatView(this.root);
    const { removed, added } = differenceOf(before, after);
    if (removed.length === 0 && added.length === 0) return;
    this.#sections = after;
    this.#table = new FlatTable(after);
    this.#telling = true;
    for (const listener of this.#listeners) tell(listener, removed, added);
    for (const onChanged of this.#changeListeners) onChanged();
    this.#telling = false;
  }

  /** Stops following the region tree; idempotent. */
  close(): void {
    this.#detach();
  }

  #transfer(gpa: number, lengthBytes: number, transfer: Transfer): MemTx {
    assert(gpa >= 0, "an address is not negative", gpa);
    let result: MemTx = MemTx.ok;
    let done = 0;
    while (done < lengthBytes) {
      const table = this.#table;
      const at = gpa + done;
      const i = table.firstEndingAfter(at);
      const start = i === table.count ? Infinity : table.starts[i]!;
      let n: number;
      let status: MemTx = MemTx.decodeError;
      if (at < start) {
        n = Math.min(start - at, lengthBytes - done);
        if (transfer.kind === "read") transfer.into.fill(0, done, done + n);
      } else {
        n = Math.min(table.ends[i]! - at, lengthBytes - done);
        const offset = table.bases[i]! + (at - start);
        if (table.kinds[i] === SectionKind.mmio) {
          n = table.ports[i]!.bulkWidth(offset, n);
          status = this.#transferMmio(table, i, offset, n, done, transfer);
        } else {
          status = this.#transferRam(table.kinds[i]!, offset, n, done, transfer);
        }
      }
      if (result === MemTx.ok) result = status;
      done += n;
    }
    return result;
  }

  #transferRam(kind: number, offset: number, n: number, done: number, transfer: Transfer): MemTx {
    const { u8, notes } = this.world;
    if (transfer.kind === "read") {
      transfer.into.set(u8.subarray(offset, offset + n), done);
      return MemTx.ok;
    }
    if (kind === SectionKind.rom && !transfer.evenRom) return MemTx.decodeError;
    u8.set(transfer.bytes.subarray(done, done + n), offset);
    notes.noteWrite(transfer.source, offset, n);
    return MemTx.ok;
  }

  #transferMmio(table: FlatTable, i: number, offset: number, n: number, done: number, transfer: Transfer): MemTx {
    const port = table.ports[i]!;
    if (transfer.kind === "read") {
      const status = port.read(offset, n);
      for (let k = 0; k < n; k++) {
        const byte = k < 4 ? port.low >>> (k * 8) : port.high >>> ((k - 4) * 8);
        transfer.into[done + k] = status === MemTx.ok ? byte : 0;
      }
      return status;
    }
    let low = 0;
    let high = 0;
    for (let k = 0; k < n; k++) {
      const byte = transfer.bytes[done + k]!;
      if (k < 4) low |= byte << (k * 8);
      else high |= byte << ((k - 4) * 8);
    }
    return port.write(offset, n, low >>> 0, high >>> 0);
  }
}

function tell(listener: MemoryListener, removed: readonly MemorySection[], added: readonly MemorySection[]): void {
  listener.begin?.();
  for (const section of removed) listener.regionDel?.(section);
  for (const section of added) listener.regionAdd?.(section);
  listener.commit?.();
}
