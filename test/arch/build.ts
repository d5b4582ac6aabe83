// Programs become ELF files: assembled and linked by the cross compiler of Debian, once for each content.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../support/tools.ts";
import type { Environment, Program } from "./programs.ts";

const folder = import.meta.dirname;
const envFolder = join(folder, "env");
const cache = join(tmpdir(), `ratite-arch-${process.getuid?.() ?? 0}`);

export const compiler = "riscv64-linux-gnu-gcc";
const march = "rv64gc_zba_zbb_zbc_zbs_zbkb_zbkx_zicbom_zicboz";
const flags = [
  `-march=${march}`,
  "-mabi=lp64d",
  "-mcmodel=medany",
  "-O1",
  "-ffreestanding",
  "-fno-pic",
  "-nostdlib",
  "-static",
];
const linking = ["-Wl,--build-id=none", "-Wl,--no-warn-rwx-segments", "-Wl,-z,max-page-size=4096"];
const levels: Readonly<Record<Environment, number>> = { machine: 0, sv39: 3, sv48: 4, sv57: 5 };

const environmentText = readdirSync(envFolder)
  .sort()
  .map((name) => readFileSync(join(envFolder, name), "utf8"))
  .join("\0");

/** The ELF file of a program in an environment; kept in a folder for temporary files, under a name made of its content. */
export function buildProgram(program: Program, environment: Environment): string {
  const source = program.source();
  const sources = environment === "machine" ? ["machine.S"] : ["paged.S", "pager.c"];
  const options = [...flags, ...(environment === "machine" ? [] : [`-DLEVELS=${levels[environment]}`])];
  const name = `${program.name}-${environment}`;
  const hash = createHash("sha256")
    .update([environmentText, source, ...options].join("\0"))
    .digest("hex");
  const elf = join(cache, `${name}-${hash.slice(0, 16)}.elf`);
  if (existsSync(elf)) return elf;
  mkdirSync(cache, { recursive: true });
  const text = join(cache, `${name}-${process.pid}.S`);
  const made = join(cache, `${name}-${process.pid}.elf`);
  writeFileSync(text, source);
  const inputs = [...sources, "finish.S"].map((file) => join(envFolder, file));
  run(compiler, [
    ...options,
    "-I",
    envFolder,
    "-T",
    join(envFolder, "link.ld"),
    ...linking,
    ...inputs,
    text,
    "-o",
    made,
  ]);
  renameSync(made, elf);
  return elf;
}
