// Loads, stores and atomic operations, with what memory then holds: as the specification defines them.
import type { Row, Table } from "../table.ts";
import { interesting } from "./integers.ts";

const u = (x: bigint, bits: number): bigint => BigInt.asUintN(bits, x);
const s = (x: bigint, bits: number): bigint => BigInt.asIntN(bits, x);

/** Sixteen bytes that all differ, as two words; loads are made at each offset that stays inside. */
const first = 0x8786_8584_8382_8180n;
const second = 0x0f0e_0d0c_0b0a_0908n;
const memory = first | (second << 64n);

const loads: Readonly<Record<string, readonly [bytes: number, signed: boolean]>> = {
  lb: [1, true],
  lbu: [1, false],
  lh: [2, true],
  lhu: [2, false],
  lw: [4, true],
  lwu: [4, false],
  ld: [8, true],
};

/** The cell is on the stack's place in the window: `cell` is defined by the program's tail. */
const setCell = "la a5, cell; sd a1, 0(a5); sd a2, 8(a5)";

const loadTables: Table[] = Object.entries(loads).flatMap(([name, [bytes, signed]]) =>
  Array.from({ length: 17 - bytes }, (_, offset): Table => {
    const raw = u(memory >> BigInt(8 * offset), 8 * bytes);
    const result = signed ? s(raw, 8 * bytes) : raw;
    return { code: `${setCell}; ${name} a0, ${offset}(a5)`, rows: [{ operands: [first, second], result }] };
  }),
);

const stores: Readonly<Record<string, number>> = { sb: 1, sh: 2, sw: 4, sd: 8 };
const storeTables: Table[] = Object.entries(stores).flatMap(([name, bytes]) =>
  Array.from({ length: 9 - bytes }, (_, offset): Table => {
    const mask = u(-1n, 8 * bytes) << BigInt(8 * offset);
    const rows: Row[] = interesting.map((value) => ({
      operands: [first, second, value],
      result: u((memory & ~mask) | ((value << BigInt(8 * offset)) & mask), 64),
    }));
    return { code: `${setCell}; ${name} a3, ${offset}(a5); ld a0, 0(a5)`, rows };
  }),
);

type Atomic = (cell: bigint, register: bigint, bits: number) => bigint;
const atomics: Readonly<Record<string, Atomic>> = {
  amoswap: (_c, r) => r,
  amoadd: (c, r) => c + r,
  amoand: (c, r) => c & r,
  amoor: (c, r) => c | r,
  amoxor: (c, r) => c ^ r,
  amomin: (c, r, bits) => (s(c, bits) < s(r, bits) ? c : r),
  amomax: (c, r, bits) => (s(c, bits) < s(r, bits) ? r : c),
  amominu: (c, r, bits) => (u(c, bits) < u(r, bits) ? c : r),
  amomaxu: (c, r, bits) => (u(c, bits) < u(r, bits) ? r : c),
};
const few = interesting.filter((_, i) => i % 3 === 1 || i > 19);

/** The register gets the old value, sign-extended; the bytes beside a word stay. */
function atomicTables(name: string, f: Atomic, width: "w" | "d"): Table[] {
  const bits = width === "w" ? 32 : 64;
  const pairs = few.flatMap((cell) => few.map((register): [bigint, bigint] => [cell, register]));
  const code = `la a5, cell; sd a1, 0(a5); ${name}.${width} a0, a2, (a5)`;
  const stored = (cell: bigint, register: bigint): bigint => (cell & ~u(-1n, bits)) | u(f(cell, register, bits), bits);
  return [
    { code, rows: pairs.map(([c, r]) => ({ operands: [c, r], result: s(c, bits) })) },
    { code: `${code}; ld a0, 0(a5)`, rows: pairs.map(([c, r]) => ({ operands: [c, r], result: stored(c, r) })) },
  ];
}

/** `sc` succeeds with 0 and stores; the ordering bits change nothing here. */
const reservations: Table[] = (["w", "d"] as const).flatMap((width) => {
  const bits = width === "w" ? 32 : 64;
  const stored = (cell: bigint, value: bigint): bigint => (cell & ~u(-1n, bits)) | u(value, bits);
  const rows = (result: (cell: bigint, value: bigint) => bigint): Row[] =>
    few.map((cell, i) => ({
      operands: [cell, few[few.length - 1 - i]!],
      result: result(cell, few[few.length - 1 - i]!),
    }));
  const pair = `la a5, cell; sd a1, 0(a5); lr.${width}.aq a4, (a5); sc.${width}.rl a0, a2, (a5)`;
  return [
    { code: pair, rows: rows(() => 0n) },
    { code: `${pair}; ld a0, 0(a5)`, rows: rows(stored) },
    { code: `la a5, cell; sd a1, 0(a5); lr.${width}.aqrl a0, (a5)`, rows: rows((cell) => s(cell, bits)) },
    // One pair uses the reservation up.
    { code: `${pair}; sc.${width} a0, a2, (a5); snez a0, a0`, rows: rows(() => 1n) },
  ];
});

export const memoryTables: Readonly<Record<string, () => readonly Table[]>> = {
  loads: () => loadTables,
  stores: () => storeTables,
  "a-words": () => Object.entries(atomics).flatMap(([name, f]) => atomicTables(name, f, "w")),
  "a-doublewords": () => Object.entries(atomics).flatMap(([name, f]) => atomicTables(name, f, "d")),
  "a-reservations": () => reservations,
};

/** Memory that these programs write: behind the rows, over a page boundary of the window. */
export const memoryTail = `
  .pushsection .body.data, "aw"
  .balign 8
cell: .skip 16
  .popsection
`;
