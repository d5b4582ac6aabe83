// Page tables for tests, and a hart under them.
import { assemble } from "./assemble.ts";
import { ramBase, type BareMachine } from "./bare-machine.ts";

/** Bits of a page table entry (privileged spec §10.4.1). */
export const Pte = { V: 1n, R: 2n, W: 4n, X: 8n, U: 16n, A: 64n, D: 128n } as const;

/** Where `mapPage` puts the tables, root first. */
export const tables: number = ramBase + 0x10000;
export const pte = (address: number, bits: bigint): bigint => (BigInt(address / 4096) << 10n) | bits;

/** Three levels of tables, with one leaf for the page at virtual `va`. */
export function mapPage(m: BareMachine, va: bigint, physical: number, bits: bigint, levels = 3): void {
  for (let level = levels - 1; level >= 0; level--) {
    const table = tables + (levels - 1 - level) * 0x1000;
    const index = Number((va >> BigInt(12 + 9 * level)) & 511n);
    m.write64(table + index * 8, level === 0 ? pte(physical, bits) : pte(table + 0x1000, Pte.V));
  }
}

/** Puts the hart into a lower mode under the tables, with all of memory open to it and traps going to M-mode at ramBase. */
export function enterPaged(m: BareMachine, va: bigint, mode: 8n | 9n | 10n = 8n, privilege: "S" | "U" = "S"): void {
  m.load(ramBase, [assemble("jal", { rd: 0, imm: 0 })]);
  m.hart.writeCsr(0x3b0, (1n << 54n) - 1n);
  m.hart.writeCsr(0x3a0, 0x1fn);
  m.hart.writeCsr(0x305, BigInt(ramBase));
  m.hart.writeCsr(0x180, (mode << 60n) | BigInt(tables / 4096));
  m.hart.mode = privilege;
  m.hart.pc = va;
}
