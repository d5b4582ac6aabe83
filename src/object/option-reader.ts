// Reads the parameters of one option by type, and refuses what nobody asked for: nothing is accepted and ignored.
import { OptionError } from "./errors.ts";
import { unknownParameter, type ParsedOptions } from "./options.ts";
import { convert, type PropertyType } from "./properties.ts";

export class OptionReader {
  readonly #options: ParsedOptions;
  readonly #asked = new Set<string>();

  constructor(options: ParsedOptions) {
    this.#options = options;
  }

  get subject(): string {
    return this.#options.subject;
  }

  /** The parameter's value, or undefined when it was not given. */
  optional<T>(key: string, type: PropertyType<T>): T | undefined {
    this.#asked.add(key);
    const value = this.#options.isJson ? this.#options.tree[key] : this.#options.get(key);
    return value === undefined ? undefined : convert(type, key, value, this.subject);
  }

  orElse<T>(key: string, type: PropertyType<T>, otherwise: T): T {
    return this.optional(key, type) ?? otherwise;
  }

  /** Throws OptionError `missingParameter` when the parameter was not given. */
  required<T>(key: string, type: PropertyType<T>): T {
    const value = this.optional(key, type);
    if (value === undefined) {
      throw new OptionError("missingParameter", `Parameter '${key}' is missing`, { subject: this.subject });
    }
    return value;
  }

  /** What has not been asked for yet, as key and value: for options that hand the rest on as properties. */
  rest(): Record<string, string | number | boolean> {
    const rest: Record<string, string | number | boolean> = {};
    for (const key of this.#unasked()) {
      this.#asked.add(key);
      const value = this.#options.isJson ? this.#options.tree[key] : this.#options.get(key);
      if (typeof value === "object" || value === undefined) {
        throw new OptionError("badValue", `Parameter '${key}' expects a plain value`, { subject: this.subject });
      }
      rest[key] = value;
    }
    return rest;
  }

  /** Call last. Throws OptionError `unknownParameter` for a parameter that nobody asked for. */
  end(): void {
    for (const key of this.#unasked()) throw unknownParameter(key, [...this.#asked], this.subject);
  }

  #unasked(): string[] {
    const given = this.#options.isJson
      ? Object.keys(this.#options.tree)
      : this.#options.entries.map((entry) => entry.key);
    return [...new Set(given)].filter((key) => !this.#asked.has(key));
  }
}
