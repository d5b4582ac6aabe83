// Streamed parts on their way in.
import { MigrationError } from "./errors.ts";
import { calling } from "./outgoing-streams.ts";
import type { StreamedPart } from "./port.ts";
import type { MachineFacts } from "./stream/machine-facts.ts";

export class IncomingStreams {
  readonly #parts: ReadonlyMap<string, StreamedPart>;
  readonly #begun = new Set<string>();
  readonly #ended = new Set<string>();
  /** Parts whose initial data has not all come. */
  readonly #awaited = new Set<string>();

  constructor(parts: ReadonlyMap<string, StreamedPart>) {
    this.#parts = parts;
  }

  begin(facts: MachineFacts): void {
    for (const { name, precopy } of facts.streams) {
      const part = this.#parts.get(name)!;
      this.#begun.add(name);
      calling(name, part, () => part.beginLoad());
      if (precopy) this.#awaited.add(name);
    }
  }

  take(name: string, bytes: Uint8Array): void {
    const part = this.#open(name);
    calling(name, part, () => part.write(bytes));
  }

  /** The part has no more. */
  close(name: string): void {
    this.#open(name);
    this.#ended.add(name);
  }

  /** True when this was the last one that initial data was awaited of. */
  initialCame(name: string): boolean {
    this.#open(name);
    return this.#awaited.delete(name) && this.#awaited.size === 0;
  }

  /** Everything is here: parts check it, and take it over. */
  end(): void {
    for (const name of this.#begun) {
      if (!this.#ended.has(name))
        throw new MigrationError("badStream", `The stream ended inside the data of "${name}"`);
      const part = this.#parts.get(name)!;
      calling(name, part, () => part.endLoad());
    }
  }

  abandon(): void {
    for (const name of this.#begun) this.#parts.get(name)!.abandonLoad();
  }

  #open(name: string): StreamedPart {
    if (!this.#begun.has(name)) {
      throw new MigrationError("badStream", `The stream has data of "${name}", which it did not announce`);
    }
    if (this.#ended.has(name)) throw new MigrationError("badStream", `The stream has data of "${name}" after its end`);
    return this.#parts.get(name)!;
  }
}
