// For tests: firmware of Debian's packages opensbi and u-boot-qemu, where it is installed.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { referenceRoot } from "./reference-qemu.ts";

/** A file, or why there is none. */
export type FoundFile = { readonly path: string } | { readonly missing: string };

const OPENSBI = "usr/lib/riscv64-linux-gnu/opensbi/generic";

/** M-mode firmware: the system's, else the one that `npm run reference:qemu` unpacked. */
export function openSbi(file: "fw_dynamic.bin" | "fw_dynamic.elf" | "fw_jump.bin" | "fw_jump.elf"): FoundFile {
  const candidates = ["/", referenceRoot()].map((root) => join(root, OPENSBI, file));
  return firstOf(candidates, "Debian's package opensbi is not installed; npm run reference:qemu fetches one, too");
}

/** U-Boot for the board: in supervisor mode behind an SBI, or in machine mode. */
export function uBoot(mode: "supervisor" | "machine", file: "u-boot.bin" | "uboot.elf"): FoundFile {
  const folder = mode === "supervisor" ? "qemu-riscv64_smode" : "qemu-riscv64";
  return firstOf([join("/usr/lib/u-boot", folder, file)], "Debian's package u-boot-qemu is not installed");
}

function firstOf(candidates: readonly string[], missing: string): FoundFile {
  const path = candidates.find((candidate) => existsSync(candidate));
  return path === undefined ? { missing } : { path };
}
