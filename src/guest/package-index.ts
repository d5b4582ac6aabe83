// A Debian package index: stanzas of "Field: value" lines (deb-control(5)), and what plans need of them.
import type { PackageRecord } from "./port.ts";

/**
 * The records of wanted packages. The text may hold tens of thousands of stanzas, so only wanted ones are taken apart.
 * A stanza without a path, a size or a hash names nothing that could be fetched, and is skipped.
 */
export function parsePackageIndex(text: string, suite: string, wanted: (name: string) => boolean): PackageRecord[] {
  const records: PackageRecord[] = [];
  for (let at = 0; at < text.length;) {
    const blank = text.indexOf("\n\n", at);
    const end = blank < 0 ? text.length : blank;
    const name = text.startsWith("Package: ", at) ? text.slice(at + 9, lineEnd(text, at)).trim() : undefined;
    if (name !== undefined && wanted(name)) {
      const record = toRecord(parseStanza(text.slice(at, end)), suite);
      if (record !== undefined) records.push(record);
    }
    at = end + 2;
  }
  return records;
}

/** Field names in lower case; continuation lines are joined with a space. */
export function parseStanza(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last: string | undefined;
  for (const line of text.split("\n")) {
    if (/^[ \t]/.test(line)) {
      if (last !== undefined) fields.set(last, `${fields.get(last)} ${line.trim()}`);
      continue;
    }
    const colon = line.indexOf(":");
    if (colon <= 0) continue;
    last = line.slice(0, colon).toLowerCase();
    fields.set(last, line.slice(colon + 1).trim());
  }
  return fields;
}

/** Names in a Depends field, without versions, architectures or alternatives after the first. */
export function dependencyNames(depends: string): string[] {
  const names = depends.split(",").map((part) => /^\s*([a-z0-9][a-z0-9+.-]*)/.exec(part)?.[1]);
  return names.filter((name) => name !== undefined);
}

function toRecord(fields: Map<string, string>, suite: string): PackageRecord | undefined {
  const [name, version, path] = [fields.get("package"), fields.get("version"), fields.get("filename")];
  const [size, sha256] = [fields.get("size"), fields.get("sha256")?.toLowerCase()];
  if (name === undefined || version === undefined || path === undefined) return undefined;
  if (!/^[\w.+~@%:/-]+$/.test(path) || path.split("/").includes("..") || path.startsWith("/")) return undefined;
  if (size === undefined || !/^\d{1,12}$/.test(size) || !/^[0-9a-f]{64}$/.test(sha256 ?? "")) return undefined;
  const depends = [fields.get("pre-depends"), fields.get("depends")].filter((d) => d !== undefined).join(", ");
  return { name, version, path, lengthBytes: Number(size), sha256: sha256!, depends, suite };
}

function lineEnd(text: string, at: number): number {
  const end = text.indexOf("\n", at);
  return end < 0 ? text.length : end;
}
