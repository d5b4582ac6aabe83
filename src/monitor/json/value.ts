// JSON as QMP has it: integers are exact to 64 bits, so those past 2^53 are bigints.

export type JsonValue =
  | null
  | boolean
  | string
  | number
  | bigint
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

export type JsonObject = { readonly [name: string]: JsonValue };

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** One line; members that are undefined are left out, infinities and NaN are an assertion of the caller's. */
export function jsonText(value: JsonValue): string {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "string") return asciiString(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => jsonText(item)).join(", ")}]`;
  const members = Object.entries(value as JsonObject).filter(([, member]) => (member as unknown) !== undefined);
  return `{${members.map(([name, member]) => `${asciiString(name)}: ${jsonText(member)}`).join(", ")}}`;
}

/** QEMU writes ASCII only, so that no terminal or locale can spoil it. */
function asciiString(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`,
  );
}
