// RAM blocks, and the backend that every platform has.
import { assert } from "../base/index.ts";
import { PAGE_BYTES } from "./page-set.ts";
import type { RamBackend, RamBlock } from "./port.ts";

/** Plain bytes of the WebAssembly memory; the platform gives pages when they are first touched: all at once where that is asked for. */
export function anonymousRam({ preallocated = false }: { readonly preallocated?: boolean } = {}): RamBackend {
  let attached: Uint8Array | undefined;
  return {
    kind: "anonymous",
    attach(bytes): void {
      assert(attached === undefined, "a RAM backend serves one block");
      attached = bytes;
      if (preallocated) for (let at = 0; at < bytes.length; at += PAGE_BYTES) bytes[at] = 0;
    },
    discard(offsetBytes, lengthBytes): void {
      attached?.fill(0, offsetBytes, offsetBytes + lengthBytes);
    },
    close(): void {
      attached = undefined;
    },
  };
}

/** A block of a world that may still be planned: its bytes exist once the world does. */
export class PlannedRam implements RamBlock {
  readonly name: string;
  readonly lengthBytes: number;
  readonly readOnly: boolean;
  readonly backend: RamBackend;
  #placed: { offset: number; bytes: Uint8Array } | undefined;

  constructor(name: string, lengthBytes: number, readOnly: boolean, backend: RamBackend) {
    this.name = name;
    this.lengthBytes = lengthBytes;
    this.readOnly = readOnly;
    this.backend = backend;
  }

  get offset(): number {
    assert(this.#placed !== undefined, "the world of a RAM block is made before the block is used", this.name);
    return this.#placed.offset;
  }

  get bytes(): Uint8Array {
    assert(this.#placed !== undefined, "the world of a RAM block is made before the block is used", this.name);
    return this.#placed.bytes;
  }

  place(offset: number, bytes: Uint8Array): void {
    this.#placed = { offset, bytes };
    this.backend.attach(bytes);
  }
}
