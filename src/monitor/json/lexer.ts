// Bytes to tokens, with QEMU's way back after garbage: skip to a structural character, a line end or another control
// character, or to a byte that UTF-8 does not have (docs/interop/qmp-spec.rst, "Client implementation notes").

export type TokenKind = "structural" | "string" | "integer" | "float" | "keyword" | "error";

export interface Token {
  readonly kind: TokenKind;
  /** As it came; of an error, as much as tells what it was. */
  readonly text: string;
}

/** Longer tokens are refused, so that a peer cannot fill memory with one. */
export const MAX_TOKEN_BYTES: number = 64 * 2 ** 20;

type State = "between" | "string" | "escape" | "number" | "keyword" | "recovery";

const STRUCTURAL = new Set("{}[]:,");
const LETTER = /[a-z]/;
const NUMBER_PART = /[-+.eE0-9]/;
const INTEGER = /^-?(0|[1-9][0-9]*)$/;
const FLOAT = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$/;

export class JsonLexer {
  readonly #emit: (token: Token) => void;
  readonly #decoder = new Utf8();
  #state: State = "between";
  #quote = "";
  #text = "";

  constructor(emit: (token: Token) => void) {
    this.#emit = emit;
  }

  push(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (byte >= 0xfe) this.#resync(`\\x${byte.toString(16).toUpperCase()}`);
      else for (const unit of this.#decoder.push(byte)) this.#take(unit);
    }
  }

  /** The stream ended: what is half there is an error. */
  end(): void {
    if (this.#state === "number" || this.#state === "keyword") this.#finishWord();
    else if (this.#state === "string" || this.#state === "escape") this.#fail(this.#text);
    this.#state = "between";
  }

  #take(unit: string): void {
    switch (this.#state) {
      case "between":
        return this.#begin(unit);
      case "string":
        return this.#inString(unit);
      case "escape":
        this.#state = "string";
        return this.#append(unit);
      case "number":
        if (NUMBER_PART.test(unit)) return this.#append(unit);
        this.#finishWord();
        return this.#take(unit);
      case "keyword":
        if (LETTER.test(unit)) return this.#append(unit);
        this.#finishWord();
        return this.#take(unit);
      case "recovery":
        if (!STRUCTURAL.has(unit) && (unit >= " " || unit === "\t")) return;
        this.#state = "between";
        return this.#begin(unit);
    }
  }

  #begin(unit: string): void {
    this.#text = unit;
    if (unit === " " || unit === "\t" || unit === "\n" || unit === "\r") return;
    if (STRUCTURAL.has(unit)) return this.#emit({ kind: "structural", text: unit });
    if (unit === '"' || unit === "'") {
      this.#quote = unit;
      this.#state = "string";
    } else if (unit === "-" || (unit >= "0" && unit <= "9")) this.#state = "number";
    else if (LETTER.test(unit)) this.#state = "keyword";
    else this.#fail(unit < " " ? `\\x${unit.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}` : unit);
  }

  #inString(unit: string): void {
    if (unit < " ") {
      this.#fail(this.#text);
      this.#take(unit);
      return;
    }
    this.#append(unit);
    if (unit === "\\") this.#state = "escape";
    else if (unit === this.#quote) {
      this.#state = "between";
      this.#emit({ kind: "string", text: this.#text });
    }
  }

  #append(unit: string): void {
    this.#text += unit;
    if (this.#text.length > MAX_TOKEN_BYTES) this.#fail("token size limit exceeded");
  }

  #finishWord(): void {
    const text = this.#text;
    const kind = this.#state;
    this.#state = "between";
    if (kind === "keyword") this.#emit({ kind: "keyword", text });
    else if (INTEGER.test(text)) this.#emit({ kind: "integer", text });
    else if (FLOAT.test(text)) this.#emit({ kind: "float", text });
    else this.#fail(text);
  }

  #fail(text: string): void {
    this.#state = "recovery";
    this.#text = "";
    this.#emit({ kind: "error", text: text.slice(0, 64) });
  }

  /** A byte with which clients force the parser into a known state. */
  #resync(text: string): void {
    this.#decoder.reset();
    this.#state = "between";
    this.#emit({ kind: "error", text });
  }
}

/** UTF-8 a byte at a time; what is not UTF-8 becomes U+FFFD. */
class Utf8 {
  #pending: number[] = [];

  push(byte: number): string {
    if (this.#pending.length === 0 && byte < 0x80) return String.fromCharCode(byte);
    this.#pending.push(byte);
    const wanted = lengthOf(this.#pending[0]!);
    const isContinuation = (byte & 0xc0) === 0x80;
    if (this.#pending.length === 1 ? wanted > 1 : isContinuation && this.#pending.length < wanted) return "";
    const bytes = this.#pending;
    this.#pending = [];
    if (bytes.length > 1 && !isContinuation) return `\ufffd${this.push(byte)}`;
    return decode(bytes);
  }

  reset(): void {
    this.#pending = [];
  }
}

function lengthOf(lead: number): number {
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 1;
}

const LEAST = [0, 0, 0x80, 0x800, 0x1_0000];

function decode(bytes: readonly number[]): string {
  const n = bytes.length;
  if (n === 1) return "\ufffd";
  let code = bytes[0]! & (0x7f >> n);
  for (const byte of bytes.slice(1)) code = (code << 6) | (byte & 0x3f);
  const isSurrogate = code >= 0xd800 && code < 0xe000;
  return code < LEAST[n]! || code > 0x10_ffff || isSurrogate ? "\ufffd" : String.fromCodePoint(code);
}
