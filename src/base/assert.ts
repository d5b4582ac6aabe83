// Assertions: the third kind of wrong, ours. They name the invariant and stop the machine.

/** Raised when one of our own invariants is broken; never caused by a guest, a file or an operator. */
export class InvariantError extends Error {
  override readonly name = "InvariantError";
  readonly details: readonly unknown[];

  constructor(invariant: string, details: readonly unknown[]) {
    super(details.length === 0 ? invariant : `${invariant} (${details.map(show).join(", ")})`);
    this.details = details;
  }
}

/** Stops when `condition` is false; `invariant` is the sentence that was expected to hold. */
export function assert(condition: boolean, invariant: string, ...details: unknown[]): asserts condition {
  if (!condition) throw new InvariantError(invariant, details);
}

/** Marks a path that the types say cannot be taken. */
export function unreachable(value: never): never {
  throw new InvariantError("unreachable", [value]);
}

function show(value: unknown): string {
  if (typeof value === "bigint") return `0x${value.toString(16)}`;
  return typeof value === "string" ? value : (JSON.stringify(value) ?? typeof value);
}
