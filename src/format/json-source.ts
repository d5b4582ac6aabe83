// JSON (RFC 8259) whose values remember where they stand, so that what is wrong with one can be told by line and column.
import { FormatError } from "./errors.ts";

export interface JsonPlace {
  /** Both from 1; a column counts UTF-16 units. */
  readonly line: number;
  readonly column: number;
}

export interface JsonMember {
  readonly key: string;
  readonly keyPlace: JsonPlace;
  readonly value: JsonNode;
}

export type JsonNode = { readonly place: JsonPlace } & (
  | { readonly kind: "object"; readonly members: readonly JsonMember[] }
  | { readonly kind: "array"; readonly items: readonly JsonNode[] }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "null" }
);

const MAX_DEPTH = 64;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[A-Za-z_$][\w$]*/y;
/** Up to what ends it, or cannot stand in it. */
const PLAIN_TEXT = /[^"\\\p{Cc}]*/uy;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** Parses a whole text; throws FormatError (`corrupt`, `truncated`, `tooLarge`) whose message begins with the place. */
export function parseJsonSource(text: string): JsonNode {
  const parser = new Parser(text);
  const node = parser.value(0);
  parser.end();
  return node;
}

/** "line 3, column 7". */
export function placeText(place: JsonPlace): string {
  return `line ${place.line}, column ${place.column}`;
}

class Parser {
  readonly #text: string;
  #at = 0;
  /** The place of `#at` is worked out from the last one asked for: places are asked for in ascending order. */
  #line = 1;
  #lineStart = 0;
  #scanned = 0;

  constructor(text: string) {
    this.#text = text.startsWith("\ufeff") ? ` ${text.slice(1)}` : text;
  }

  value(depth: number): JsonNode {
    this.#space();
    const place = this.#place();
    const first = this.#text[this.#at];
    if (depth > MAX_DEPTH) throw this.#wrong(`Values are nested deeper than ${MAX_DEPTH} levels`, "tooLarge");
    if (first === "{") return { place, kind: "object", members: this.#members(depth) };
    if (first === "[") return { place, kind: "array", items: this.#items(depth) };
    if (first === '"') return { place, kind: "string", value: this.#string() };
    if (first === "-" || (first !== undefined && first >= "0" && first <= "9")) {
      return { place, kind: "number", value: this.#number() };
    }
    const word = this.#match(WORD);
    if (word === "true" || word === "false") return { place, kind: "boolean", value: word === "true" };
    if (word === "null") return { place, kind: "null" };
    this.#at -= word.length;
    throw this.#unexpected("a value");
  }

  end(): void {
    this.#space();
    if (this.#at < this.#text.length) throw this.#unexpected("the end");
  }

  #members(depth: number): JsonMember[] {
    const members: JsonMember[] = [];
    this.#at++;
    if (this.#takes("}")) return members;
    for (;;) {
      this.#space();
      const keyPlace = this.#place();
      if (this.#text[this.#at] !== '"') throw this.#unexpected('a name in double quotes, or "}"');
      const key = this.#string();
      if (members.some((m) => m.key === key)) throw this.#wrong(`"${key}" is given twice`, "corrupt", keyPlace);
      this.#expect(":");
      members.push({ key, keyPlace, value: this.value(depth + 1) });
      if (this.#takes("}")) return members;
      this.#expect(",", '"," or "}"');
    }
  }

  #items(depth: number): JsonNode[] {
    const items: JsonNode[] = [];
    this.#at++;
    if (this.#takes("]")) return items;
    for (;;) {
      items.push(this.value(depth + 1));
      if (this.#takes("]")) return items;
      this.#expect(",", '"," or "]"');
    }
  }

  #string(): string {
    this.#at++;
    let value = "";
    for (;;) {
      value += this.#match(PLAIN_TEXT);
      const next = this.#text[this.#at];
      if (next === '"') {
        this.#at++;
        return value;
      }
      // Control characters past ASCII's are plain text in JSON.
      if (next !== undefined && next >= "\u007f") {
        value += next;
        this.#at++;
        continue;
      }
      if (next !== "\\") throw this.#unexpected("the rest of a text and its closing quote");
      this.#at++;
      value += this.#escape();
    }
  }

  #escape(): string {
    const letter = this.#text[this.#at] ?? "";
    const plain = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
    if (plain !== undefined) {
      this.#at++;
      return plain;
    }
    const digits = this.#text.slice(this.#at + 1, this.#at + 5);
    if (letter !== "u" || !/^[0-9a-fA-F]{4}$/.test(digits)) throw this.#unexpected('an escape such as \\" or \\u0041');
    this.#at += 5;
    return String.fromCharCode(parseInt(digits, 16));
  }

  #number(): number {
    const digits = this.#match(NUMBER);
    if (digits === "" || /[\w.]/.test(this.#text[this.#at] ?? "")) {
      this.#at += digits.length === 0 ? 0 : -digits.length;
      throw this.#wrong('Numbers are decimal; write 0x… addresses in quotes, as "0x1000"', "corrupt");
    }
    const value = Number(digits);
    if (!Number.isFinite(value)) throw this.#wrong(`${digits} is past what a number can hold`, "tooLarge");
    return value;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #takes(mark: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== mark) return false;
    this.#at++;
    return true;
  }

  #expect(mark: string, wanted = `"${mark}"`): void {
    if (!this.#takes(mark)) throw this.#unexpected(wanted);
  }

  #space(): void {
    while (" \t\r\n".includes(this.#text[this.#at] ?? "?")) this.#at++;
  }

  #place(): JsonPlace {
    for (; this.#scanned < this.#at; this.#scanned++) {
      if (this.#text[this.#scanned] !== "\n") continue;
      this.#line++;
      this.#lineStart = this.#scanned + 1;
    }
    return { line: this.#line, column: this.#at - this.#lineStart + 1 };
  }

  #unexpected(wanted: string): FormatError {
    const rest = this.#text.slice(this.#at);
    if (rest === "") return this.#wrong(`The text ends where ${wanted} should stand`, "truncated");
    const shown = /^[\w$]+/.exec(rest)?.[0].slice(0, 20) ?? rest[0]!;
    if (rest.startsWith("//") || rest.startsWith("/*")) {
      return this.#wrong("JSON has no comments; leave it out", "corrupt");
    }
    const code = shown.charCodeAt(0);
    const found = code < 0x20 ? `a control character (code ${code})` : JSON.stringify(shown);
    return this.#wrong(`Found ${found} where ${wanted} should stand`, "corrupt");
  }

  #wrong(message: string, code: "corrupt" | "truncated" | "tooLarge", place: JsonPlace = this.#place()): FormatError {
    return new FormatError(code, `${placeText(place)}: ${message}`);
  }
}
