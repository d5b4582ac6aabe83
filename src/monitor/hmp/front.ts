// The monitor for people on a character device: a prompt, a line, what it prints.
import type { CharBackend, CharEvent, CharFront } from "../../chardev/port.ts";
import type { MonitorContext } from "../context.ts";
import { BoundedOutput } from "../output.ts";
import type { Command } from "../schema/command.ts";
import { hmpTable } from "./commands/index.ts";
import { runLine } from "./interpreter.ts";
import { LineEditor } from "./line-editor.ts";

const CHUNK_BYTES = 4096;
const PROMPT = "(qemu) ";

export interface HmpFrontOptions {
  readonly context: MonitorContext;
  readonly commands: ReadonlyMap<string, Command>;
  readonly onFailure: (error: unknown) => void;
  /** In a mux that it does not have at first: it says nothing until it has. */
  readonly isHidden: boolean;
}

export class HmpFront implements CharFront {
  readonly #options: HmpFrontOptions;
  readonly #back: CharBackend;
  readonly #output: BoundedOutput;
  #editor: LineEditor;
  #isShown: boolean;
  #isOpen = false;
  #hasGreeted = false;
  /** What a hidden monitor would have said. */
  #unseen = "";
  #isBusy = false;
  /** Keys that came while a command ran. */
  #waiting = "";

  constructor(back: CharBackend, options: HmpFrontOptions) {
    this.#options = options;
    this.#back = back;
    this.#output = new BoundedOutput(back);
    this.#isShown = !options.isHidden;
    this.#editor = this.#newEditor();
    back.attach(this);
  }

  /** While a command runs, nothing is read. */
  room(): number {
    return this.#isBusy || this.#output.isFull ? 0 : CHUNK_BYTES;
  }

  receive(bytes: Uint8Array): void {
    this.#waiting += new TextDecoder().decode(bytes);
    this.#read();
  }

  writable(): void {
    this.#output.flush();
  }

  event(event: CharEvent): void {
    if (event === "opened") this.#open();
    else if (event === "closed") this.#end();
    else if (event === "focusIn") this.#show();
    else if (event === "focusOut") this.#isShown = false;
  }

  close(): void {
    this.#end();
    this.#back.attach(undefined);
  }

  #newEditor(): LineEditor {
    return new LineEditor({
      echo: (text) => this.#say(text),
      line: (line) => void this.#run(line),
      complete: (before, word) => completions(before, word),
    });
  }

  #open(): void {
    this.#end();
    this.#isOpen = true;
    if (this.#isShown) this.#greet();
  }

  #end(): void {
    this.#isOpen = false;
    this.#hasGreeted = false;
    this.#editor = this.#newEditor();
    this.#waiting = "";
    this.#unseen = "";
    this.#output.clear();
  }

  #greet(): void {
    this.#hasGreeted = true;
    const { productVersion } = this.#options.context;
    this.#say(`Ratite ${productVersion} monitor - type 'help' for more information\r\n${PROMPT}`);
  }

  /** Where it was hidden, the terminal is wherever the guest has left it. */
  #show(): void {
    const wasShown = this.#isShown;
    this.#isShown = true;
    if (wasShown || !this.#isOpen) return;
    if (!this.#hasGreeted) return this.#greet();
    const unseen = this.#unseen;
    this.#unseen = "";
    this.#say(`\r\n${unseen}${this.#isBusy ? "" : `${PROMPT}${this.#editor.line}`}`);
  }

  #read(): void {
    while (!this.#isBusy && this.#waiting !== "") {
      const key = this.#waiting[0]!;
      this.#waiting = this.#waiting.slice(1);
      this.#editor.take(key);
    }
  }

  async #run(line: string): Promise<void> {
    const { context, commands, onFailure } = this.#options;
    this.#isBusy = true;
    try {
      this.#tell(await runLine(line, { context, qmp: () => commands, mayWait: true }));
    } catch (error) {
      onFailure(error);
    }
    this.#isBusy = false;
    if (!this.#isOpen) return;
    if (this.#isShown) this.#say(PROMPT);
    this.#read();
    this.#back.frontReady();
  }

  /** What a command printed is kept for when it can be seen. */
  #tell(text: string): void {
    if (this.#isShown) this.#say(text);
    else this.#unseen += text;
  }

  #say(text: string): void {
    if (this.#isOpen) this.#output.send(new TextEncoder().encode(text));
  }
}

function completions(before: string, word: string): readonly string[] {
  const words = before.trim();
  const { commands, infos } = hmpTable;
  const names = words === "" || words === "help" ? commands : words === "info" || words === "help info" ? infos : [];
  return names.flatMap(({ name }) => name.split("|")).filter((name) => name.startsWith(word));
}
