// The machine's physical world: one WebAssembly memory of fixed size that holds guest RAM, hart state, TLBs,
// decode caches and dirty bitmaps. First everything is reserved, then the memory is made.
import { alignUp, assert, isPowerOfTwo } from "../base/index.ts";
import { DirtyNotes } from "./dirty-notes.ts";
import { MemoryError } from "./errors.ts";
import { PAGE_BYTES, PAGE_SHIFT } from "./page-set.ts";
import type { RamBackend, RamBlock } from "./port.ts";
import { anonymousRam, PlannedRam } from "./ram.ts";

const WASM_PAGE_BYTES = 65536;

/** The largest world: one WebAssembly page short of 4 GiB, so that offset + length never wraps in 32 bits. */
export const MAX_WORLD_BYTES: number = 2 ** 32 - WASM_PAGE_BYTES;
/** The most guest RAM of one machine; the rest of the world is for the machine's own structures. */
export const MAX_RAM_BYTES: number = 3.5 * 2 ** 30;

export interface RamOptions {
  readonly readOnly?: boolean;
  /** Anonymous when absent. */
  readonly backend?: RamBackend;
}

export interface WorldOptions {
  /** Whether other threads may look at the memory; where the platform can, by default. */
  readonly shared?: boolean;
}

export interface World {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly lengthBytes: number;
  /** Views of the whole memory, valid as long as the world: it never grows. */
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  /** RAM and ROM blocks in the order of their offsets, which is the order of their planning. */
  readonly blocks: readonly RamBlock[];
  readonly notes: DirtyNotes;
  /** Closes the backends of all blocks; idempotent. */
  close(): void;
}

/**
 *     const plan = new WorldPlan();
 *     const tlb = plan.reserve("hart 0 tlb", 65536, 4096);
 *     const ram = plan.ram("virt.ram", 256 * 2 ** 20);
 *     const world = plan.create();      // ram.bytes and the bytes at `tlb` exist from here on
 */
export class WorldPlan {
  // Offset 0 is given to nobody, so that it can mean "none".
  #end = PAGE_BYTES;
  #ramBytes = 0;
  #created = false;
  readonly #blocks: PlannedRam[] = [];

  /** Sets `lengthBytes` zeroed bytes aside and returns their offset in the memory. `name` appears in errors. */
  reserve(name: string, lengthBytes: number, alignBytes: number = 16): number {
    assert(!this.#created, "a world is planned before it is made", name);
    assert(isPowerOfTwo(alignBytes), "an alignment is a power of two", name, alignBytes);
    assert(Number.isSafeInteger(lengthBytes) && lengthBytes >= 0, "a length is a safe integer", name, lengthBytes);
    const offset = alignUp(this.#end, alignBytes);
    this.#end = offset + lengthBytes;
    this.#checkRoom(name);
    return offset;
  }

  /**
   * Plans a block of guest memory. Its offset and bytes may be used after `create`.
   * Throws `MemoryError` when the length is not a positive multiple of 4096, or RAM in all is beyond the limit.
   */
  ram(name: string, lengthBytes: number, options: RamOptions = {}): RamBlock {
    assert(!this.#created, "a world is planned before it is made", name);
    if (!Number.isSafeInteger(lengthBytes) || lengthBytes <= 0 || lengthBytes % PAGE_BYTES !== 0) {
      throw new MemoryError(
        "badLength",
        `Memory "${name}" has ${lengthBytes} bytes; a positive multiple of 4096 would do`,
        {
          subject: name,
        },
      );
    }
    if (this.#ramBytes + lengthBytes > MAX_RAM_BYTES) {
      throw new MemoryError(
        "tooMuchRam",
        `Memory "${name}" brings guest memory to ${mebibytes(this.#ramBytes + lengthBytes)}; ` +
          `a machine can have at most ${mebibytes(MAX_RAM_BYTES)}`,
        { subject: name },
      );
    }
    this.#ramBytes += lengthBytes;
    this.#checkRoom(name);
    const block = new PlannedRam(name, lengthBytes, options.readOnly ?? false, options.backend ?? anonymousRam());
    this.#blocks.push(block);
    return block;
  }

  /** Makes the memory. Throws `MemoryError` when the platform refuses it. */
  create(options: WorldOptions = {}): World {
    assert(!this.#created, "a world is made once");
    this.#created = true;
    // Blocks lie together behind the other reservations, and the page flags behind the blocks that they describe.
    const ramStart = alignUp(this.#end, PAGE_BYTES);
    const ramEnd = ramStart + this.#ramBytes;
    const pageCount = ramEnd >>> PAGE_SHIFT;
    const notesBytes = DirtyNotes.lengthBytes(pageCount);
    const lengthBytes = alignUp(ramEnd + notesBytes, WASM_PAGE_BYTES);
    const { memory, shared } = makeMemory(lengthBytes / WASM_PAGE_BYTES, options.shared);
    const u8 = new Uint8Array(memory.buffer);
    const notes = new DirtyNotes(memory.buffer, { offset: ramEnd, firstPage: ramStart >>> PAGE_SHIFT, pageCount });

    const blocks = this.#blocks;
    let at = ramStart;
    try {
      for (const block of blocks) {
        block.place(at, u8.subarray(at, at + block.lengthBytes));
        at += block.lengthBytes;
      }
    } catch (error) {
      for (const block of blocks) block.backend.close();
      throw error;
    }
    return {
      memory,
      shared,
      lengthBytes,
      u8,
      u32: new Uint32Array(memory.buffer),
      view: new DataView(memory.buffer),
      blocks,
      notes,
      close(): void {
        for (const block of blocks) block.backend.close();
      },
    };
  }

  #checkRoom(name: string): void {
    const ramEnd = alignUp(this.#end, PAGE_BYTES) + this.#ramBytes;
    const needed = ramEnd + DirtyNotes.lengthBytes(ramEnd / PAGE_BYTES);
    if (needed > MAX_WORLD_BYTES) {
      throw new MemoryError(
        "worldFull",
        `With "${name}" the machine's memory needs ${mebibytes(needed)}; at most ${mebibytes(MAX_WORLD_BYTES)} can be had: ` +
          "less guest memory or fewer harts would do",
        { subject: name },
      );
    }
  }
}

function makeMemory(pages: number, wanted: boolean | undefined): { memory: WebAssembly.Memory; shared: boolean } {
  // A page without cross-origin isolation has no SharedArrayBuffer, and a shared memory would be of no use to it.
  const shared = wanted ?? typeof SharedArrayBuffer === "function";
  try {
    return { memory: new WebAssembly.Memory({ initial: pages, maximum: pages, shared }), shared };
  } catch (cause) {
    throw new MemoryError(
      "hostRefused",
      `The host refused a memory of ${mebibytes(pages * WASM_PAGE_BYTES)}; less guest memory, or a higher limit of address space, would do`,
      { cause },
    );
  }
}

function mebibytes(lengthBytes: number): string {
  return `${Math.ceil(lengthBytes / 2 ** 20)} MiB`;
}
