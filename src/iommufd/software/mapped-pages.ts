// The pages behind one MAP call, shared by every area that was copied from it. A page is pinned while some page table or
// access uses it, and counted once however many do.
import { assert } from "../../base/index.ts";
import type { Caller, CallerMemory, FileBacking, PageRun } from "../port.ts";
import { Errno } from "../uapi/index.ts";
import { payerOf, type AccountMode, type Payer } from "./accounting.ts";
import type { DmaBuf } from "./dma-buf.ts";
import { PAGE_SIZE } from "./frames.ts";
import type { HostMemory } from "./host-memory.ts";

const CHUNK = 512;
/** Pages that are pinned at once, so that a mapping of absurd length fails at its first bad page. */
const BATCH = 0x1_0000;

interface Chunk {
  readonly frames: Float64Array;
  readonly uses: Uint32Array;
}

interface Shown {
  dropTranslations(): void;
}

interface Imported {
  /** Areas that stand in page tables. */
  readonly shown: Set<Shown>;
  readonly onRevoke: () => void;
}

/** Where the pages come from; `start` is page aligned. */
export type PageSource =
  | { readonly kind: "user"; readonly memory: CallerMemory; readonly start: bigint }
  | { readonly kind: "file"; readonly file: FileBacking; readonly start: bigint }
  | { readonly kind: "dmabuf"; readonly buffer: DmaBuf; readonly start: bigint };

export class MappedPages {
  readonly source: PageSource;
  readonly pageCount: number;
  readonly writable: boolean;
  payer: Payer;
  pinnedPages = 0;
  /** A dma-buf whose exporter took it back: it never comes back to these pages. */
  revoked = false;
  readonly #memory: HostMemory;
  /** Made with the first pin: most areas of a lazy IOAS have none. */
  #chunks: Map<number, Chunk> | undefined;
  #references = 1;
  /** A dma-buf's only. */
  readonly #imported: Imported | undefined;

  constructor(
    memory: HostMemory,
    caller: Caller,
    source: PageSource,
    pageCount: number,
    writable: boolean,
    mode: AccountMode,
  ) {
    this.#memory = memory;
    this.source = source;
    this.pageCount = pageCount;
    this.writable = writable;
    this.payer = payerOf(caller, mode);
    if (source.kind === "dmabuf") {
      const shown = new Set<Shown>();
      const onRevoke = (): void => {
        if (this.revoked) return;
        for (const area of shown) area.dropTranslations();
        this.revoked = true;
      };
      this.#imported = { shown, onRevoke };
      source.buffer.get();
      source.buffer.attach(onRevoke);
    }
  }

  get references(): number {
    return this.#references;
  }

  get(): this {
    this.#references++;
    return this;
  }

  put(): void {
    this.#references--;
    if (this.#references > 0) return;
    assert(this.pinnedPages === 0, "pages without owners are not pinned", this.pinnedPages);
    if (this.source.kind === "file") this.source.file.close?.();
    if (this.source.kind === "dmabuf") {
      this.source.buffer.detach(this.#imported!.onRevoke);
      this.source.buffer.put();
    }
  }

  /** Keeps a dma-buf's area informed while it stands in page tables. */
  show(area: Shown): void {
    this.#imported?.shown.add(area);
  }

  hide(area: Shown): void {
    this.#imported?.shown.delete(area);
  }

  /** Adds a user of pages [first, last], pinning those that had none. Zero, -EFAULT, -EINVAL or -ENOMEM; then nothing changed. */
  use(first: number, last: number): number {
    let pinned = 0;
    let at = first;
    while (at <= last) {
      if (this.#usesOf(at) > 0) {
        at++;
        continue;
      }
      const end = this.#lastUnused(at, Math.min(last, at + BATCH - 1));
      const rc = this.#pin(at, end - at + 1);
      if (rc < 0) {
        this.#unpinUnused(first, at - 1);
        return rc;
      }
      pinned += end - at + 1;
      at = end + 1;
    }
    const rc = this.#memory.failAt("account") ? -Errno.ENOMEM : this.#memory.accounting.charge(this.payer, pinned);
    if (rc < 0) {
      this.#unpinUnused(first, last);
      return rc;
    }
    this.pinnedPages += pinned;
    this.#eachChunk(first, last, ({ uses }, from, to) => {
      for (let i = from; i <= to; i++) uses[i]!++;
    });
    return 0;
  }

  release(first: number, last: number): void {
    let unpinned = 0;
    this.#eachChunk(first, last, (chunk, from, to) => {
      for (let i = from; i <= to; i++) chunk.uses[i]!--;
      unpinned += this.#unpinUnusedOf(chunk, from, to);
    });
    if (unpinned === 0) return;
    this.pinnedPages -= unpinned;
    if (this.pinnedPages === 0) this.#chunks = undefined;
    this.#memory.accounting.uncharge(this.payer, unpinned);
  }

  /** Frame of a page in use; for a dma-buf, of any page. */
  frame(index: number): number {
    if (this.source.kind === "dmabuf")
      return this.source.buffer.firstFrame + Number(this.source.start) / PAGE_SIZE + index;
    return this.#chunks!.get(Math.floor(index / CHUNK))!.frames[index % CHUNK]!;
  }

  #usesOf(index: number): number {
    return this.#chunks?.get(Math.floor(index / CHUNK))?.uses[index % CHUNK] ?? 0;
  }

  /** Where the pages without users that begin at `first` end, at most at `last`. */
  #lastUnused(first: number, last: number): number {
    for (let at = first; at <= last;) {
      const uses = this.#chunks?.get(Math.floor(at / CHUNK))?.uses;
      const end = Math.min(last, at - (at % CHUNK) + CHUNK - 1);
      if (uses !== undefined) {
        for (let i = at; i <= end; i++) if (uses[i % CHUNK] !== 0) return i - 1;
      }
      at = end + 1;
    }
    return last;
  }

  #pin(first: number, count: number): number {
    if (this.#memory.failAt("pin")) return -Errno.EFAULT;
    if (this.#memory.frames.pinnedPages + count > this.#memory.frames.capacityPages) return -Errno.ENOMEM;
    let runs: readonly PageRun[] | undefined;
    const source = this.source;
    if (source.kind === "user") {
      runs = source.memory.pages(source.start + BigInt(first) * BigInt(PAGE_SIZE), count, this.writable);
      if (runs === undefined) return -Errno.EFAULT;
    } else if (source.kind === "file") {
      const offset = Number(source.start) + first * PAGE_SIZE;
      if (offset + count * PAGE_SIZE > Math.ceil(source.file.lengthBytes / PAGE_SIZE) * PAGE_SIZE) return -Errno.EINVAL;
      runs = [{ backing: source.file, offset, pageCount: count }];
    } else {
      return -Errno.EINVAL;
    }
    let index = first;
    for (const run of runs) {
      let frame = this.#memory.frames.pin(run.backing, run.offset, run.pageCount);
      const end = index + run.pageCount - 1;
      for (let n = Math.floor(index / CHUNK); n <= Math.floor(end / CHUNK); n++) this.#makeChunk(n);
      this.#eachChunk(index, end, ({ frames }, from, to) => {
        for (let i = from; i <= to; i++) frames[i] = frame++;
      });
      index = end + 1;
    }
    return 0;
  }

  /** Undoes `#pin` for the pages of [first, last] that nobody uses. */
  #unpinUnused(first: number, last: number): void {
    this.#eachChunk(first, last, (chunk, from, to) => void this.#unpinUnusedOf(chunk, from, to));
    if (this.pinnedPages === 0) this.#chunks = undefined;
  }

  /** Unpins pages without users, run by run; how many. */
  #unpinUnusedOf({ frames, uses }: Chunk, from: number, to: number): number {
    let unpinned = 0;
    for (let i = from; i <= to;) {
      if (uses[i]! > 0) {
        i++;
        continue;
      }
      const start = i++;
      while (i <= to && uses[i] === 0 && frames[i] === frames[start]! + (i - start)) i++;
      this.#memory.frames.unpin(frames[start]!, i - start);
      unpinned += i - start;
    }
    return unpinned;
  }

  /** Visits the chunks of pages [first, last] that exist, with places in them. */
  #eachChunk(first: number, last: number, visit: (chunk: Chunk, from: number, to: number) => void): void {
    if (this.#chunks === undefined) return;
    for (let at = first; at <= last;) {
      const number = Math.floor(at / CHUNK);
      const from = at % CHUNK;
      const to = Math.min(CHUNK - 1, from + (last - at));
      const chunk = this.#chunks.get(number);
      if (chunk !== undefined) visit(chunk, from, to);
      at += to - from + 1;
    }
  }

  #makeChunk(number: number): void {
    const chunks = (this.#chunks ??= new Map<number, Chunk>());
    if (chunks.has(number)) return;
    const length = Math.min(CHUNK, this.pageCount - number * CHUNK);
    chunks.set(number, { frames: new Float64Array(length), uses: new Uint32Array(length) });
  }
}
