// `ratite-system-riscv64`: QEMU's command line.
import { errorLine } from "./errors.ts";
import { parseQemuOptions } from "./qemu-options/parse.ts";
import { runMachine } from "./run-machine.ts";

const PROGRAM = "ratite-system-riscv64";

/** Resolves with the exit status: 1 for a mistake in the options or a file, else the machine's. */
export async function systemMain(args: readonly string[]): Promise<number> {
  const line = (text: string): void => void process.stderr.write(`${PROGRAM}: ${text}\n`);
  try {
    const parsed = parseQemuOptions(args);
    if (parsed.kind === "information") {
      process.stdout.write(parsed.text);
      return 0;
    }
    return await runMachine(parsed.plan, { line });
  } catch (error) {
    process.stderr.write(`${errorLine(PROGRAM, error)}\n`);
    return 1;
  }
}
