// The two programs that a benchmark compares, and the same machine described to both.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

export interface Emulator {
  readonly name: string;
  readonly version: string;
  readonly program: string;
  /** Before the machine's own options. */
  readonly options: readonly string[];
}

const RATITE = fileURLToPath(new URL("../../dist/bin/ratite-system-riscv64.js", import.meta.url));

/** What is measured of Ratite: the accelerator, and options of Node. */
export interface RatiteChoice {
  readonly accelerator: string;
  readonly nodeOptions?: readonly string[];
  /** The program; the built one without it. */
  readonly program?: string;
}

/** The built command line, run by this Node. Throws an Error with a sentence for the user when it is not built. */
export function ratite({ accelerator, nodeOptions = [], program = RATITE }: RatiteChoice): Emulator {
  if (!existsSync(program)) throw new Error(`${program} is not there; npm run build makes it`);
  const options = [...nodeOptions, program, "-accel", accelerator];
  const version = firstLine(process.execPath, [...options, "-version"]);
  return { name: "Ratite", version: `${version}, -accel ${accelerator}`, program: process.execPath, options };
}

/** Throws an Error with a sentence for the user when there is no such program. */
export function qemu(program: string): Emulator {
  const version = firstLine(program, ["-version"], "the Debian package qemu-system-misc has qemu-system-riscv64");
  return { name: "QEMU", version, program, options: [] };
}

/** One hart, a console on standard output, nothing that one of the two has by default and the other has not. */
export function machineOptions(memory: string): string[] {
  return ["-M", "virt", "-m", memory, "-smp", "1", "-nographic", "-nic", "none", "-no-reboot"];
}

export function firstLine(program: string, args: readonly string[], would = ""): string {
  try {
    return execFileSync(program, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).split("\n")[0]!;
  } catch (cause) {
    const isMissing = (cause as { code?: unknown }).code === "ENOENT";
    const text = `${program} ${isMissing ? "is not installed" : "did not run"}${would && `; ${would}`}`;
    throw isMissing ? new Error(text) : new Error(text, { cause });
  }
}
