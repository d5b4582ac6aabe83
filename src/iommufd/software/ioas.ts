// The IOAS object: an I/O address space with a number, and the page tables made for it.
import { IommufdObject } from "./objects.ts";
import type { HostMemory } from "./host-memory.ts";
import { assert } from "../../base/index.ts";
import { IoAddressSpace } from "./io-address-space.ts";
import { TOP } from "./iova-allocator.ts";
import type { PagingHwpt } from "./hw-page-table.ts";

export class Ioas extends IommufdObject {
  readonly type = "ioas" as const;
  readonly space: IoAddressSpace;
  /** In the order of creation: the automatic choice tries them so. */
  readonly hwpts: PagingHwpt[] = [];
  readonly #onGone: (ioas: Ioas) => void;

  constructor(memory: HostMemory, onGone: (ioas: Ioas) => void) {
    super();
    this.space = new IoAddressSpace(memory);
    this.#onGone = onGone;
  }

  override snapshot(): object {
    return this.space.snapshot();
  }

  override destroy(): void {
    this.#onGone(this);
    const { rc } = this.space.unmap(0n, TOP);
    assert(rc === 0, "an unused address space can be emptied", rc);
    this.space.unreserve(undefined);
    assert(this.space.reserved.isEmpty, "an unused address space has no reservations");
  }
}
