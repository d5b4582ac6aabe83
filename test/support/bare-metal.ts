// For tests: machine-mode programs in C or assembly, run on the reference QEMU and on this machine.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReferenceQemu } from "./reference-qemu.ts";
import { run } from "./tools.ts";

export const crossCompiler = "riscv64-linux-gnu-gcc";

/** Enters `main` with a stack and the FPU on; whatever traps before `main` sets mtvec ends the machine with failure 1. */
const start = `
  .text
  .globl _start, finish
_start:
  la t0, failed
  csrw mtvec, t0
  li t0, 0x6000
  csrs mstatus, t0
  la sp, stack_top
  call main
finish:
  li t0, 0x100000
  li t1, 0x5555
  sw t1, 0(t0)
1: j 1b
  .balign 4
failed:
  li t0, 0x100000
  li t1, 0x13333
  sw t1, 0(t0)
1: j 1b
  .bss
  .balign 16
  .space 0x4000
stack_top:
`;

/** Declarations for programs in C: the serial port. */
export const preludeInC: string = `#include <stdint.h>
static void putByte(uint8_t byte) { *(volatile uint8_t *)0x10000000 = byte; }
static void putDoubleWord(uint64_t value) { for (int i = 0; i < 8; i++) putByte(value >> (8 * i)); }
`;

/** Compiles a program for 0x80000000 in `folder`: C with a function `main`, or whole in assembly. */
export function buildProgram(folder: string, source: { c: string } | { assembly: string }, march = "rv64gc"): string {
  const elf = join(folder, "program.elf");
  const files = "c" in source ? { "start.S": start, "main.c": source.c } : { "start.S": source.assembly };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  const flags = `-O1 -march=${march} -mabi=lp64d -mcmodel=medany -ffreestanding -nostdlib -static -fno-pic`.split(" ");
  const placed = ["-Wl,-Ttext=0x80000000", "-Wl,--build-id=none", "-Wl,-n"];
  run(crossCompiler, [...flags, ...placed, ...Object.keys(files), "-o", elf], { cwd: folder });
  return elf;
}

export interface BareRun {
  readonly elf: string;
  readonly cpu: string;
  /** Further options of the machine. */
  readonly options?: readonly string[];
  readonly folder: string;
}

const TIMEOUT_MS = 60_000;

function common({ elf, cpu, options = [] }: BareRun, output: string): string[] {
  const board = ["-M", "virt", "-m", "128M", "-bios", "none", "-cpu", cpu, "-kernel", elf];
  return [...board, "-display", "none", "-monitor", "none", "-serial", `file:${output}`, ...options];
}

/** What the program sent to the serial port on QEMU. */
export function runOnReference(qemu: ReferenceQemu, bare: BareRun): Buffer {
  const output = join(bare.folder, "reference.out");
  const [program, ...args] = qemu.command;
  // Without it QEMU makes an audio back end, for which it may load modules of another version.
  execFileSync(program, [...args, "-nodefaults", ...common(bare, output)], { env: qemu.env, timeout: TIMEOUT_MS });
  return readFileSync(output);
}

const ratite = fileURLToPath(new URL("../../dist/bin/ratite-system-riscv64.js", import.meta.url));

/** What it sends here. */
export function runHere(bare: BareRun): Buffer {
  const output = join(bare.folder, "here.out");
  execFileSync(process.execPath, [ratite, ...common(bare, output)], { timeout: TIMEOUT_MS });
  return readFileSync(output);
}
