// Runs a program on a machine until the machine ends, and says how.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Runner {
  readonly name: string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** The program as its users start it. */
export const ratite: Runner = {
  name: "ratite",
  command: [process.execPath, fileURLToPath(new URL("../../dist/bin/ratite-system-riscv64.js", import.meta.url))],
};

export interface Outcome {
  /** Exit status: 0 passed, else the number of the failed case; undefined when it had to be ended. */
  readonly status: number | undefined;
  /** What the program wrote: case and row of a failure. */
  readonly output: string;
}

const TIMEOUT_MS = 60_000;

export function execute(runner: Runner, elf: string, options: readonly string[]): Promise<Outcome> {
  const [program, ...leading] = runner.command;
  const board = ["-M", "virt", "-bios", "none", "-kernel", elf, "-monitor", "none", "-nographic"];
  return new Promise((resolve, reject) => {
    const child = spawn(program!, [...leading, ...board, ...options], {
      env: runner.env ?? process.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const note = (chunk: Buffer): void => void (output += chunk.toString("latin1"));
    child.stdout.on("data", note);
    child.stderr.on("data", note);
    const timer = setTimeout(() => child.kill("SIGKILL"), TIMEOUT_MS);
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(timer);
      resolve({ status: status ?? undefined, output: output.trim() });
    });
  });
}
