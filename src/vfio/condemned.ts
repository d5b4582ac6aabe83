// Objects of a context that nobody wants any more. What the host does not destroy at once is tried again; what is left goes
// with the context.
import { IommufdError, type IommufdClient } from "../iommufd/index.ts";

export class Condemned {
  readonly #calls: Pick<IommufdClient, "destroy">;
  readonly #ids = new Set<number>();

  constructor(calls: Pick<IommufdClient, "destroy">) {
    this.#calls = calls;
  }

  destroy(id: number): void {
    this.#ids.add(id);
    this.sweep();
  }

  /** Newest first: a page table before what it was made from. */
  sweep(): void {
    for (const id of [...this.#ids].reverse()) {
      try {
        this.#calls.destroy(id);
        this.#ids.delete(id);
      } catch (error) {
        if (!(error instanceof IommufdError)) throw error;
      }
    }
  }
}
