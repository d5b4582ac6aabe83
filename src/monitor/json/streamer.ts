// A stream of JSON texts without anything between them but space: a text ends where its brackets close.
import { JsonLexer, type Token } from "./lexer.ts";
import { parseTokens, type ParseResult } from "./parser.ts";

/** More than any command needs, less than would fill memory (qobject/json-streamer.c). */
const MAX_TOKENS = 2 ** 21;
const MAX_DEPTH = 1024;

export class JsonStreamer {
  readonly #lexer = new JsonLexer((token) => this.#token(token));
  readonly #emit: (result: ParseResult) => void;
  #tokens: Token[] = [];
  #braces = 0;
  #brackets = 0;
  constructor(emit: (result: ParseResult) => void) {
    this.#emit = emit;
  }

  push(bytes: Uint8Array): void {
    this.#lexer.push(bytes);
  }

  /** The peer has gone; half a text is an error. */
  end(): void {
    this.#lexer.end();
    if (this.#tokens.length > 0) this.#finish();
  }

  #token(token: Token): void {
    if (token.kind === "error") {
      this.#reset();
      this.#emit({ error: `stray '${token.text}'` });
      return;
    }
    if (token.kind === "structural") this.#nest(token.text);
    this.#tokens.push(token);
    const problem = this.#limit();
    if (problem !== undefined) {
      this.#reset();
      this.#emit({ error: problem });
      return;
    }
    // A bracket too many ends the text too; the parser then says what it is.
    if ((this.#braces === 0 && this.#brackets === 0) || this.#braces < 0 || this.#brackets < 0) this.#finish();
  }

  #nest(text: string): void {
    if (text === "{") this.#braces += 1;
    else if (text === "}") this.#braces -= 1;
    else if (text === "[") this.#brackets += 1;
    else if (text === "]") this.#brackets -= 1;
  }

  #limit(): string | undefined {
    if (this.#tokens.length > MAX_TOKENS) return "token count limit exceeded";
    return this.#braces + this.#brackets > MAX_DEPTH ? "nesting depth limit exceeded" : undefined;
  }

  #finish(): void {
    const tokens = this.#tokens;
    this.#reset();
    this.#emit(parseTokens(tokens));
  }

  #reset(): void {
    this.#tokens = [];
    this.#braces = 0;
    this.#brackets = 0;
  }
}
