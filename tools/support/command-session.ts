// Drives the shell of a guest that `ratite run` boots, as its user would: by the terminal of the program.
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("../../dist/bin/ratite.js", import.meta.url));
const PROMPT = /root@ratite:\S*# /;
const BOOT_LIMIT_MS = 300_000;
const COMMAND_LIMIT_MS = 240_000;

export class CommandSession implements AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #ended: Promise<unknown[]>;
  #output = "";
  #told = "";
  #wake: () => void = () => {};

  /** Boots; `words` follow `ratite run`. Rejects with the last output when there is no shell in time. */
  static async boot(words: readonly string[]): Promise<CommandSession> {
    const session = new CommandSession(words);
    await session.#shell();
    return session;
  }

  private constructor(words: readonly string[]) {
    this.#child = spawn(process.execPath, [PROGRAM, "run", ...words], { stdio: ["pipe", "pipe", "pipe"] });
    this.#ended = once(this.#child, "close");
    this.#child.stdout.setEncoding("latin1").on("data", (text: string) => {
      this.#output += text;
      this.#wake();
    });
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => (this.#told += text));
    this.#child.on("close", () => this.#wake());
    // A program that has ended says so by its status.
    this.#child.stdin.on("error", () => {});
  }

  /** What the program itself has said. */
  get told(): string {
    return this.#told;
  }

  /** Runs one line; what it printed. Rejects when its exit status is not 0. */
  async run(line: string): Promise<string> {
    this.#child.stdin.write(`${line}; echo status=$?\n`);
    const { before, text } = await this.#expect(/status=\d+/, COMMAND_LIMIT_MS);
    await this.#expect(PROMPT, COMMAND_LIMIT_MS);
    const printed = before.replaceAll("\r", "").trim();
    if (text !== "status=0") throw new Error(`"${line}" ended with ${text}:\n${printed}`);
    return printed;
  }

  async reboot(): Promise<void> {
    this.#child.stdin.write("reboot\n");
    await this.#expect(/Linux version/, COMMAND_LIMIT_MS);
    await this.#shell();
  }

  /** Rejects when the program does not end with status 0. */
  async powerOff(): Promise<void> {
    this.#child.stdin.write("poweroff\n");
    const limit = setTimeout(() => this.#child.kill("SIGKILL"), COMMAND_LIMIT_MS);
    const [code, signal] = await this.#ended;
    clearTimeout(limit);
    if (code !== 0) throw new Error(`ratite ended with ${String(code ?? signal)}:\n${this.#told}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }

  /** Without echo, what comes back is what a command printed. */
  async #shell(): Promise<void> {
    await this.#expect(PROMPT, BOOT_LIMIT_MS);
    this.#child.stdin.write("stty -echo\n");
    await this.#expect(PROMPT, COMMAND_LIMIT_MS);
  }

  async #expect(pattern: RegExp, limitMs: number): Promise<{ readonly before: string; readonly text: string }> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      const match = pattern.exec(this.#output);
      if (match !== null) {
        const before = this.#output.slice(0, match.index);
        this.#output = this.#output.slice(match.index + match[0].length);
        return { before, text: match[0] };
      }
      const leftMs = endMs - performance.now();
      const isOver = this.#child.exitCode !== null || this.#child.signalCode !== null;
      if (isOver || leftMs <= 0) {
        const what = isOver ? "the program ended" : `nothing in ${limitMs / 1000} s`;
        throw new Error(`${what}, waiting for ${String(pattern)}:\n${this.#told}\n${this.#output.slice(-2000)}`);
      }
      await this.#news(leftMs);
    }
  }

  #news(limitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, limitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
