// A machine in a process of its own: `ratite-system-riscv64`, its monitor and its console.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Socket } from "node:net";
import { join } from "node:path";
import { Expecter, type ExpectMatch } from "../../chardev/index.ts";
import { packageRoot } from "../../host/node/index.ts";
import { CliError } from "../errors.ts";
import { connectWhenThere, QmpClient } from "./qmp-client.ts";

const PROMPT = /root@ratite:\S*# /;
const PROMPT_OR_PANIC = /root@ratite:\S*# |Kernel panic - not syncing: ([^\r\n]*)[\r\n]/;
/** A host may be busy with other things. */
const BOOT_MS = 1_800_000;
const COMMAND_MS = 600_000;

export interface MachineProcessOptions {
  /** Names its sockets in `folder`. */
  readonly name: string;
  readonly folder: string;
  /** QEMU's options, without monitor and console. */
  readonly options: readonly string[];
  /** Default: the package's own. */
  readonly program?: string;
  /** Ends it, also while it comes up. */
  readonly signal?: AbortSignal;
}

const ownProgram = (): string => join(packageRoot(), "dist/bin/ratite-system-riscv64.js");

export class MachineProcess {
  readonly name: string;
  readonly qmp: QmpClient;
  readonly #child: ChildProcess;
  readonly #console: Socket;
  readonly #errors: { text: string };
  readonly #expecter = new Expecter();
  #newest = "";

  /** Rejects with CliError that has what the machine said, when it does not come up. */
  static async start(given: MachineProcessOptions): Promise<MachineProcess> {
    const { name, folder, options, program = ownProgram(), signal } = given;
    signal?.throwIfAborted();
    const [monitor, console] = [join(folder, `${name}.qmp`), join(folder, `${name}.console`)];
    const wiring = [`-qmp`, `unix:${monitor},server=on,wait=off`, "-serial", `unix:${console},server=on,wait=off`];
    const args = [program, ...options, "-display", "none", ...wiring];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
    const errors = { text: "" };
    child.stderr.setEncoding("utf8").on("data", (text: string) => (errors.text = (errors.text + text).slice(-4000)));
    const closed = once(child, "close");
    const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
    const abort = (): void => void child.kill("SIGKILL");
    signal?.addEventListener("abort", abort, { once: true });
    try {
      const consoleSocket = await connectWhenThere(console, isAlive);
      const qmp = await QmpClient.open(await connectWhenThere(monitor, isAlive), monitor);
      return new MachineProcess(name, child, { qmp, console: consoleSocket, errors });
    } catch (error) {
      child.kill("SIGKILL");
      await closed;
      signal?.throwIfAborted();
      if (errors.text === "") throw error;
      throw new CliError("machineFailed", saidText(errors.text), { subject: name, cause: error });
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  private constructor(
    name: string,
    child: ChildProcess,
    ends: { readonly qmp: QmpClient; readonly console: Socket; readonly errors: { text: string } },
  ) {
    this.name = name;
    this.qmp = ends.qmp;
    this.#child = child;
    this.#console = ends.console;
    this.#errors = ends.errors;
    this.#console.on("data", (bytes: Buffer) => {
      this.#expecter.feed(bytes);
      this.#newest = (this.#newest + bytes.toString("latin1")).slice(-500);
    });
    this.#console.on("error", () => undefined);
    child.once("exit", (code, signal) => this.#expecter.end(`its process ended (${signal ?? code})${this.said}`));
  }

  /** What the program wrote to standard error. */
  get said(): string {
    return this.#errors.text === "" ? "" : `: ${saidText(this.#errors.text)}`;
  }

  /** The last whole line on its console that is not blank. */
  get newestLine(): string {
    const lines = this.#newest.split(/[\r\n]+/).slice(0, -1);
    // Colours and the like are nothing for a status line.
    const newest = lines.reverse().find((line) => line.trim() !== "");
    return newest?.replaceAll(/[^\x20-\x7e]+(\[[\d;]*\w)?/g, "") ?? "";
  }

  /** Resolves at the guest's first prompt, with the echo off. Rejects with CliError when the kernel panics. */
  async booted(): Promise<void> {
    const { groups } = await this.#expect(PROMPT_OR_PANIC, BOOT_MS);
    const [panic] = groups;
    if (panic !== undefined) {
      throw new CliError("guestFailed", `The kernel panics: ${panic}`, { subject: this.name });
    }
    this.#console.write("stty -echo\n");
    await this.#expect(PROMPT, COMMAND_MS);
  }

  /** Resolves when the guest's shell answers; of one that was at its prompt, with the echo off, when it was saved. */
  async answers(): Promise<void> {
    await this.run("true");
  }

  /** Runs one line in the guest's shell; what it printed. Rejects when its exit status is not 0. */
  async run(line: string): Promise<string> {
    // What follows a prompt at once can be taken for the answer to the shell's question where its cursor is.
    this.#console.write(` ${line}; echo status=$?\n`);
    const { before, text } = await this.#expect(/status=\d+/, COMMAND_MS);
    await this.#expect(PROMPT, COMMAND_MS);
    const output = before.replaceAll("\r", "").trim();
    if (text !== "status=0") {
      throw new CliError("guestFailed", `"${line}" ended with ${text}: ${output}`, { subject: this.name });
    }
    return output;
  }

  /** Resolves when its console has printed this since what was waited for last. Rejects when it does not, in good time. */
  async prints(pattern: RegExp): Promise<ExpectMatch> {
    return this.#expect(pattern, COMMAND_MS);
  }

  /** Ends it, however it is. */
  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.kill();
    const gone = once(this.#child, "exit");
    this.kill();
    await gone;
  }

  /** The same without waiting for it to be gone. */
  kill(): void {
    this.qmp.close();
    this.#console.destroy();
    this.#child.kill("SIGKILL");
  }

  #expect(pattern: RegExp, limitMs: number): Promise<ExpectMatch> {
    return this.#expecter.expect(pattern, { signal: AbortSignal.timeout(limitMs) });
  }
}

/** What the program wrote to standard error, without its name before each line. */
function saidText(text: string): string {
  return text.trim().replaceAll(/^ratite-system-riscv64: /gm, "");
}
