// Compiles bench/guest with the riscv64 cross compiler.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { firstLine } from "./emulators.ts";

/** In the order of the bits of KERNELS in main.c. */
export const KERNELS = ["int", "br", "mem", "fp", "rnd", "sp", "sys", "ctx", "lz"] as const;
export type Kernel = (typeof KERNELS)[number];

const SOURCES = ["start.S", "trap.S", "main.c", ...KERNELS.map((kernel) => `${kernel}.c`)];
const COMPILER = "riscv64-linux-gnu-gcc";
// Without the third line the compiler would turn the copies that are measured into calls of memcpy.
const FLAGS = [
  ..."-O2 -march=rv64gc -mabi=lp64d -mcmodel=medany -ffreestanding -nostdlib -static -fno-pic".split(" "),
  ..."-fno-stack-protector -Wall -Wextra -Werror -Tlink.ld -Wl,--build-id=none".split(" "),
  "-fno-tree-loop-distribute-patterns",
];

/** The guest of `bench:migrate`: what it does once it has filled so much memory. Throws as `GuestBuild`. */
export function buildMovedGuest(load: number, fillMib: number): Uint8Array {
  firstLine(COMPILER, ["--version"], "the Debian package gcc-riscv64-linux-gnu has it");
  const folder = mkdtempSync(join(tmpdir(), "ratite-bench-"));
  try {
    const program = join(folder, "move.elf");
    const cwd = fileURLToPath(new URL("../guest", import.meta.url));
    const defines = [`-DLOAD=${load}`, `-DFILL_MIB=${fillMib}`];
    execFileSync(COMPILER, [...FLAGS, ...defines, "move.c", "-o", program], { cwd, stdio: "inherit" });
    return readFileSync(program);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A program of bench/guest for a Linux guest, linked statically. Throws as `GuestBuild`. */
export function buildLinuxProgram(name: string): Uint8Array {
  firstLine(COMPILER, ["--version"], "the Debian package gcc-riscv64-linux-gnu has it");
  const folder = mkdtempSync(join(tmpdir(), "ratite-bench-"));
  try {
    const program = join(folder, name);
    const cwd = fileURLToPath(new URL("../guest", import.meta.url));
    const flags = ["-O2", "-static", "-Wall", "-Wextra", "-Werror"];
    execFileSync(COMPILER, [...flags, `${name}.c`, "-o", program], { cwd, stdio: "inherit" });
    return readFileSync(program);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Folder of the kernels, gone when disposed. */
export class GuestBuild implements Disposable {
  readonly compiler: string;
  readonly #folder: string;

  /** Throws an Error with a sentence for the user when the compiler is missing. */
  constructor() {
    this.compiler = firstLine(COMPILER, ["--version"], "the Debian package gcc-riscv64-linux-gnu has it");
    this.#folder = mkdtempSync(join(tmpdir(), "ratite-bench-"));
  }

  /** The path of an ELF file that runs one kernel. */
  build(kernel: Kernel, rounds: number): string {
    const elf = join(this.#folder, `${kernel}.elf`);
    const settings = [`-DROUNDS=${rounds}`, `-DKERNELS=${1 << KERNELS.indexOf(kernel)}`];
    const cwd = fileURLToPath(new URL("../guest", import.meta.url));
    execFileSync(COMPILER, [...FLAGS, ...settings, ...SOURCES, "-o", elf], { cwd, stdio: "inherit" });
    return elf;
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
