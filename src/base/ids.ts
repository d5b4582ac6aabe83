// Names of things: identifiers as QEMU accepts them, generated ones, and UUIDs.

/** Letters, digits, `-`, `.` and `_`, starting with a letter: what an operator may call a device, a chardev or a node. */
export function isIdentifier(text: string): boolean {
  return /^[A-Za-z][A-Za-z0-9._-]*$/.test(text);
}

/** Gives out ids that an operator cannot have taken: `#block0`, `#block1`. */
export class IdPool {
  readonly #next = new Map<string, number>();

  next(prefix: string): string {
    const n = this.#next.get(prefix) ?? 0;
    this.#next.set(prefix, n + 1);
    return `#${prefix}${n}`;
  }
}

/** The 16 bytes of `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` in the order written (RFC 9562), or undefined. */
export function parseUuid(text: string): Uint8Array | undefined {
  if (!/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)) return undefined;
  const digits = text.replaceAll("-", "");
  return Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}

export function formatUuid(bytes: Uint8Array): string {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
