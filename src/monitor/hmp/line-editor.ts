// A line as it is typed at a terminal: what keys do to it, and what is sent back so that the terminal shows it. Editing is at
// its end; earlier lines come back with the arrows.

const HISTORY_LINES = 100;
/** Longer lines are no commands (readline.h: READLINE_CMD_BUF_SIZE). */
const MOST_CHARACTERS = 4095;
const ESCAPE = "\u001b";

export interface LineEditorParts {
  readonly echo: (text: string) => void;
  readonly line: (line: string) => void;
  /** What may complete the word at the line's end, all that there is to say before it given. */
  readonly complete: (before: string, word: string) => readonly string[];
}

export class LineEditor {
  readonly #parts: LineEditorParts;
  readonly #history: string[] = [];
  #at = 0;
  #line = "";
  #escape = "";
  #wasReturn = false;

  constructor(parts: LineEditorParts) {
    this.#parts = parts;
  }

  /** What stands there, to be shown again. */
  get line(): string {
    return this.#line;
  }

  take(text: string): void {
    for (const key of text) this.#key(key);
  }

  #key(key: string): void {
    const wasReturn = this.#wasReturn;
    this.#wasReturn = key === "\r";
    if (this.#escape !== "") return this.#inEscape(key);
    switch (key) {
      case ESCAPE:
        this.#escape = key;
        return;
      case "\n":
        if (wasReturn) return;
        return this.#enter();
      case "\r":
        return this.#enter();
      case "\b":
      case "\u007f":
        return this.#erase(1);
      case "\u0015":
        return this.#erase(this.#line.length);
      case "\u0017":
        return this.#erase(/\S*\s*$/.exec(this.#line)![0].length);
      case "\t":
        return this.#complete();
      case "\u0010":
        return this.#recall(-1);
      case "\u000e":
        return this.#recall(1);
      default:
        if (key >= " " && this.#line.length < MOST_CHARACTERS) this.#add(key);
    }
  }

  /** `ESC [ A` and `ESC O A`; other sequences mean nothing. */
  #inEscape(key: string): void {
    this.#escape += key;
    if (this.#escape.length === 2 && (key === "[" || key === "O")) return;
    if (this.#escape.length > 2 && /[\d;]/.test(key)) return;
    this.#escape = "";
    if (key === "A") this.#recall(-1);
    else if (key === "B") this.#recall(1);
  }

  #enter(): void {
    const line = this.#line;
    this.#line = "";
    this.#parts.echo("\r\n");
    if (line.trim() !== "" && line !== this.#history.at(-1)) this.#history.push(line);
    if (this.#history.length > HISTORY_LINES) this.#history.shift();
    this.#at = this.#history.length;
    this.#parts.line(line);
  }

  #add(text: string): void {
    this.#line += text;
    this.#parts.echo(text);
  }

  #erase(count: number): void {
    const erased = Math.min(count, this.#line.length);
    this.#line = this.#line.slice(0, this.#line.length - erased);
    this.#parts.echo("\b \b".repeat(erased));
  }

  #recall(by: number): void {
    const at = this.#at + by;
    if (at < 0 || at > this.#history.length) return;
    this.#erase(this.#line.length);
    this.#at = at;
    this.#add(this.#history[at] ?? "");
  }

  #complete(): void {
    const word = /\S*$/.exec(this.#line)![0];
    const before = this.#line.slice(0, this.#line.length - word.length);
    const found = this.#parts.complete(before, word);
    const [only] = found;
    if (only !== undefined && found.length === 1) this.#add(`${only.slice(word.length)} `);
    else if (found.length > 1) this.#parts.echo(`\r\n${found.join("  ")}\r\n(qemu) ${this.#line}`);
  }
}
