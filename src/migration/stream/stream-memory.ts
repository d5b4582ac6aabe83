// hot: bench/migrate.ts
// Memory of a stream's own, where frames are made and looked at. Bytes come to it in one copy and stay what they are, so that
// a checksum is of what is sent, whatever the guest writes meanwhile.
import { alignUp, assert } from "../../base/index.ts";
import { kernelsOver, type Kernels } from "./kernels.ts";

const WASM_PAGE_BYTES = 65536;
const MOST_WASM_PAGES = 2048;

export class StreamMemory {
  readonly #memory: WebAssembly.Memory;
  readonly #kernels: Kernels;
  #bytes: Uint8Array;
  #view: DataView;

  constructor(lengthBytes: number) {
    this.#memory = new WebAssembly.Memory({ initial: wasmPages(lengthBytes), maximum: MOST_WASM_PAGES });
    this.#kernels = kernelsOver(this.#memory);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }

  /** All of it, as `view`; others after `grow`. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get view(): DataView {
    return this.#view;
  }

  /** Makes room for so many bytes; what there is stays. */
  grow(lengthBytes: number): void {
    const more = wasmPages(lengthBytes) - this.#bytes.length / WASM_PAGE_BYTES;
    if (more <= 0) return;
    this.#memory.grow(more);
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#view = new DataView(this.#memory.buffer);
  }

  /** Puts at `field` XXH64 of the bytes from `at` on, among which the 8 at `field` count as zeroes. */
  seal(at: number, lengthBytes: number, field: number): void {
    this.#view.setUint32(field, 0);
    this.#view.setUint32(field + 4, 0);
    this.#kernels.hash(at, lengthBytes, field);
  }

  /** Whether `seal` would put there what is there. */
  isSealed(at: number, lengthBytes: number, field: number): boolean {
    const low = this.#view.getUint32(field);
    const high = this.#view.getUint32(field + 4);
    this.seal(at, lengthBytes, field);
    return this.#view.getUint32(field) === low && this.#view.getUint32(field + 4) === high;
  }
}

function wasmPages(lengthBytes: number): number {
  const pages = alignUp(lengthBytes, WASM_PAGE_BYTES) / WASM_PAGE_BYTES;
  assert(pages <= MOST_WASM_PAGES, "a stream's memory holds the largest frame", lengthBytes);
  return pages;
}
