// Tokens of one text to a value, with QEMU's error messages (qobject/json-parser.c).
import type { JsonValue } from "./value.ts";
import type { Token } from "./lexer.ts";

/** A value, or what is wrong, as it stands after "JSON parse error, ". */
export type ParseResult = { readonly value: JsonValue } | { readonly error: string };

class ParseFailure extends Error {}

const UINT64_MAX = 2n ** 64n - 1n;
const INT64_MIN = -(2n ** 63n);

export function parseTokens(tokens: readonly Token[]): ParseResult {
  const parser = new Parser(tokens);
  try {
    return { value: parser.value() };
  } catch (error) {
    if (error instanceof ParseFailure) return { error: error.message };
    throw error;
  }
}

/** The streamer limits nesting, so that recursion ends. */
class Parser {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  value(): JsonValue {
    const token = this.#next();
    switch (token.kind) {
      case "structural":
        if (token.text === "{") return this.#object();
        if (token.text === "[") return this.#array();
        throw new ParseFailure("expecting value");
      case "string":
        return unquote(token.text);
      case "integer":
        return integer(token.text);
      case "float":
        return Number(token.text);
      case "keyword":
        return keyword(token.text);
      case "error":
        throw new ParseFailure(`stray '${token.text}'`);
    }
  }

  #object(): JsonValue {
    const members = new Map<string, JsonValue>();
    if (this.#skip("}")) return {};
    for (;;) {
      const key = this.#next();
      if (key.kind !== "string") throw new ParseFailure("key is not a string in object");
      const name = unquote(key.text);
      if (!this.#skip(":")) throw new ParseFailure("missing : in object pair");
      const value = this.value();
      if (members.has(name)) throw new ParseFailure("duplicate key");
      members.set(name, value);
      if (this.#skip("}")) return fromEntries(members);
      if (!this.#skip(",")) throw new ParseFailure("expected separator in dict");
    }
  }

  #array(): JsonValue {
    const items: JsonValue[] = [];
    if (this.#skip("]")) return items;
    for (;;) {
      items.push(this.value());
      if (this.#skip("]")) return items;
      if (!this.#skip(",")) throw new ParseFailure("expected separator in list");
    }
  }

  #next(): Token {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new ParseFailure("premature EOI");
    this.#at += 1;
    return token;
  }

  #skip(text: string): boolean {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw new ParseFailure("premature EOI");
    if (token.kind !== "structural" || token.text !== text) return false;
    this.#at += 1;
    return true;
  }
}

/** `__proto__` is a name like any other. */
function fromEntries(members: ReadonlyMap<string, JsonValue>): JsonValue {
  const object = Object.create(null) as Record<string, JsonValue>;
  for (const [name, value] of members) object[name] = value;
  return object;
}

function integer(text: string): number | bigint {
  const exact = BigInt(text);
  if (exact < INT64_MIN || exact > UINT64_MAX) return Number(text);
  const near = Number(text);
  return Number.isSafeInteger(near) ? near : exact;
}

function keyword(text: string): JsonValue {
  if (text === "true") return true;
  if (text === "false") return false;
  if (text === "null") return null;
  throw new ParseFailure(`invalid keyword '${text}'`);
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

function unquote(token: string): string {
  let text = "";
  for (let i = 1; i < token.length - 1; i++) {
    const unit = token[i]!;
    if (unit !== "\\") {
      text += unit;
      continue;
    }
    i += 1;
    const letter = token[i]!;
    if (letter === "u") {
      const digits = token.slice(i + 1, i + 5);
      if (!/^[0-9a-fA-F]{4}$/.test(digits))
        throw new ParseFailure(`invalid hex escape '\\u${digits.slice(0, -1)}' in string`);
      text += String.fromCharCode(Number.parseInt(digits, 16));
      i += 4;
      continue;
    }
    const plain = ESCAPES[letter];
    if (plain === undefined) throw new ParseFailure(`invalid escape '\\${letter}' in string`);
    text += plain;
  }
  if (!isWellFormed(text)) throw new ParseFailure("invalid Unicode sequence in string");
  return text;
}

function isWellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}
