// Dotted keys as plain data: `a.b.0=c` is `{ a: { b: ["c"] } }`. Also the JSON form of an option.
import { OptionError } from "./errors.ts";

export type OptionLeaf = string | number | boolean | null;
export type OptionValue = OptionLeaf | readonly OptionValue[] | OptionTree;
export interface OptionTree {
  readonly [key: string]: OptionValue;
}

/** Nesting beyond this is refused: nobody writes it, and it bounds recursion. */
const DEPTH_LIMIT = 32;

interface Branch {
  readonly children: Map<string, string | Branch>;
}

/** Throws OptionError `badSyntax` when a key is both a value and a prefix, or when a list has gaps. */
export function nestKeys(
  entries: readonly { readonly key: string; readonly value: string }[],
  subject: string,
): OptionTree {
  const root: Branch = { children: new Map() };
  for (const { key, value } of entries) put(root, key, value, subject);
  return listify(root, "", subject) as OptionTree;
}

function put(root: Branch, key: string, value: string, subject: string): void {
  const path = key.split(".");
  if (path.length > DEPTH_LIMIT) {
    throw new OptionError("badSyntax", `Parameter '${key}' nests deeper than ${DEPTH_LIMIT}`, { subject });
  }
  let branch = root;
  path.forEach((name, depth) => {
    const old = branch.children.get(name);
    const isLeaf = depth === path.length - 1;
    if (old !== undefined && (typeof old === "string") !== isLeaf) {
      const prefix = path.slice(0, depth + 1).join(".");
      throw new OptionError("badSyntax", `Parameters '${prefix}.*' used inconsistently`, { subject });
    }
    if (isLeaf) {
      branch.children.set(name, value);
    } else {
      const next = (old as Branch | undefined) ?? { children: new Map() };
      branch.children.set(name, next);
      branch = next;
    }
  });
}

function listify(branch: Branch, prefix: string, subject: string): OptionValue {
  const names = [...branch.children.keys()];
  const indexes = names.filter((name) => /^[0-9]+$/.test(name));
  const values = new Map<string, OptionValue>();
  for (const [name, child] of branch.children) {
    values.set(name, typeof child === "string" ? child : listify(child, `${prefix}${name}.`, subject));
  }
  if (indexes.length === 0) return objectOf(values);
  if (indexes.length !== names.length) {
    throw new OptionError("badSyntax", `Parameters '${prefix}*' used inconsistently`, { subject });
  }
  const byIndex = new Map([...values].map(([name, value]) => [Number(name), value]));
  return Array.from({ length: names.length }, (_, index) => {
    const value = byIndex.get(index);
    if (value === undefined) throw new OptionError("badSyntax", `Parameter '${prefix}${index}' missing`, { subject });
    return value;
  });
}

/** Own, enumerable members whatever their name: `__proto__` from an operator stays a plain key. */
function objectOf(values: ReadonlyMap<string, OptionValue>): OptionTree {
  return Object.fromEntries(values);
}

/** Throws OptionError `badSyntax` with the parser's reason when `text` is not a JSON object. */
export function parseJsonObject(text: string, subject: string): OptionTree {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OptionError("badSyntax", `JSON parse error: ${reason}`, { subject, cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new OptionError("badSyntax", "A JSON object is expected", { subject });
  }
  return value as OptionTree;
}
