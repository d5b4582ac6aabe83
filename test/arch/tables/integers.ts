// Integer instructions as the specification defines them, on whole numbers: RV64I, M, Zba, Zbb, Zbc, Zbs, Zbkb, Zbkx, Zicond.
import type { Row, Table } from "../table.ts";

const xlen = 64;
const u = (x: bigint): bigint => BigInt.asUintN(64, x);
const s = (x: bigint): bigint => BigInt.asIntN(64, x);
const w = (x: bigint): bigint => BigInt.asIntN(32, x);
const uw = (x: bigint): bigint => BigInt.asUintN(32, x);
const low6 = (x: bigint): bigint => x & 63n;
const low5 = (x: bigint): bigint => x & 31n;
const one = (condition: boolean): bigint => (condition ? 1n : 0n);

/** Numbers that instructions go wrong on. */
export const interesting: readonly bigint[] = [
  ...[0n, 1n, 2n, 5n, 31n, 32n, 63n, 64n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n],
  ...[0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x1234_5678_9abc_def0n, 0x0f0f_0f0f_00ff_00ffn],
  ...[0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xaaaa_aaaa_5555_5555n, 0xffff_ffff_8000_0000n],
  ...[0xffff_ffff_7fff_ffffn, 0xffff_ffff_ffff_fff6n, 0xffff_ffff_ffff_ffffn],
];
const pairs = interesting.flatMap((a) => interesting.map((b): [bigint, bigint] => [a, b]));

type Unary = (a: bigint) => bigint;
type Binary = (a: bigint, b: bigint) => bigint;

const divide = (a: bigint, b: bigint): bigint => (b === 0n ? -1n : a / b);
const remainder = (a: bigint, b: bigint): bigint => (b === 0n ? a : a % b);

const base: Readonly<Record<string, Binary>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  addw: (a, b) => w(a + b),
  subw: (a, b) => w(a - b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  slt: (a, b) => one(s(a) < s(b)),
  sltu: (a, b) => one(a < b),
  sll: (a, b) => a << low6(b),
  srl: (a, b) => a >> low6(b),
  sra: (a, b) => s(a) >> low6(b),
  sllw: (a, b) => w(a << low5(b)),
  srlw: (a, b) => w(uw(a) >> low5(b)),
  sraw: (a, b) => w(a) >> low5(b),
};

const multiplication: Readonly<Record<string, Binary>> = {
  mul: (a, b) => a * b,
  mulh: (a, b) => (s(a) * s(b)) >> 64n,
  mulhu: (a, b) => (a * b) >> 64n,
  mulhsu: (a, b) => (s(a) * b) >> 64n,
  mulw: (a, b) => w(a * b),
  div: (a, b) => divide(s(a), s(b)),
  divu: (a, b) => (b === 0n ? -1n : a / b),
  rem: (a, b) => remainder(s(a), s(b)),
  remu: (a, b) => remainder(a, b),
  divw: (a, b) => w(divide(w(a), w(b))),
  divuw: (a, b) => w(uw(b) === 0n ? -1n : uw(a) / uw(b)),
  remw: (a, b) => w(remainder(w(a), w(b))),
  remuw: (a, b) => w(remainder(uw(a), uw(b))),
};

const addresses: Readonly<Record<string, Binary>> = {
  sh1add: (a, b) => (a << 1n) + b,
  sh2add: (a, b) => (a << 2n) + b,
  sh3add: (a, b) => (a << 3n) + b,
  "add.uw": (a, b) => uw(a) + b,
  "sh1add.uw": (a, b) => (uw(a) << 1n) + b,
  "sh2add.uw": (a, b) => (uw(a) << 2n) + b,
  "sh3add.uw": (a, b) => (uw(a) << 3n) + b,
};

const bitsOf = (a: bigint, count: number): boolean[] =>
  Array.from({ length: count }, (_, i) => ((a >> BigInt(i)) & 1n) === 1n);
const leadingZeros = (a: bigint, count: number): bigint => {
  const highest = bitsOf(a, count).lastIndexOf(true);
  return BigInt(count - 1 - highest);
};
const trailingZeros = (a: bigint, count: number): bigint => {
  const lowest = bitsOf(a, count).indexOf(true);
  return BigInt(lowest < 0 ? count : lowest);
};
const population = (a: bigint, count: number): bigint => BigInt(bitsOf(a, count).filter(Boolean).length);
const bytesOf = (a: bigint): bigint[] => Array.from({ length: 8 }, (_, i) => (a >> BigInt(8 * i)) & 0xffn);
const fromBytes = (bytes: readonly bigint[]): bigint =>
  bytes.reduce((sum, byte, i) => sum | (byte << BigInt(8 * i)), 0n);
const rotateRight = (a: bigint, by: bigint): bigint => (a >> by) | (a << (BigInt(xlen) - by));
const rotateRightWord = (a: bigint, by: bigint): bigint => w((uw(a) >> by) | (uw(a) << (32n - by)));

const bits: Readonly<Record<string, Binary>> = {
  andn: (a, b) => a & u(~b),
  orn: (a, b) => a | u(~b),
  xnor: (a, b) => ~(a ^ b),
  max: (a, b) => (s(a) < s(b) ? b : a),
  maxu: (a, b) => (a < b ? b : a),
  min: (a, b) => (s(a) < s(b) ? a : b),
  minu: (a, b) => (a < b ? a : b),
  rol: (a, b) => rotateRight(a, low6(64n - low6(b))),
  ror: (a, b) => rotateRight(a, low6(b)),
  rolw: (a, b) => rotateRightWord(a, low5(32n - low5(b))),
  rorw: (a, b) => rotateRightWord(a, low5(b)),
};

const bitsUnary: Readonly<Record<string, Unary>> = {
  clz: (a) => leadingZeros(a, 64),
  clzw: (a) => leadingZeros(a, 32),
  ctz: (a) => trailingZeros(a, 64),
  ctzw: (a) => trailingZeros(a, 32),
  cpop: (a) => population(a, 64),
  cpopw: (a) => population(a, 32),
  "sext.b": (a) => BigInt.asIntN(8, a),
  "sext.h": (a) => BigInt.asIntN(16, a),
  "zext.h": (a) => BigInt.asUintN(16, a),
  "orc.b": (a) => fromBytes(bytesOf(a).map((byte) => (byte === 0n ? 0n : 0xffn))),
  rev8: (a) => fromBytes(bytesOf(a).reverse()),
};

/** The product of polynomials over GF(2). */
const carryless = (a: bigint, b: bigint): bigint =>
  bitsOf(b, 64).reduce((sum, bit, i) => (bit ? sum ^ (a << BigInt(i)) : sum), 0n);
const carrylessProducts: Readonly<Record<string, Binary>> = {
  clmul: carryless,
  clmulh: (a, b) => carryless(a, b) >> 64n,
  clmulr: (a, b) => carryless(a, b) >> 63n,
};

const singleBit: Readonly<Record<string, Binary>> = {
  bclr: (a, b) => a & u(~(1n << low6(b))),
  bext: (a, b) => (a >> low6(b)) & 1n,
  binv: (a, b) => a ^ (1n << low6(b)),
  bset: (a, b) => a | (1n << low6(b)),
};

const scalarCrypto: Readonly<Record<string, Binary>> = {
  pack: (a, b) => (uw(b) << 32n) | uw(a),
  packh: (a, b) => ((b & 0xffn) << 8n) | (a & 0xffn),
  packw: (a, b) => w(((b & 0xffffn) << 16n) | (a & 0xffffn)),
  xperm4: (a, b) => permute(a, b, 4),
  xperm8: (a, b) => permute(a, b, 8),
};
function permute(table: bigint, indexes: bigint, width: number): bigint {
  const field = (1n << BigInt(width)) - 1n;
  let result = 0n;
  for (let at = 0n; at < 64n; at += BigInt(width)) {
    const index = (indexes >> at) & field;
    result |= index * BigInt(width) < 64n ? ((table >> (index * BigInt(width))) & field) << at : 0n;
  }
  return result;
}

const immediates: Readonly<Record<string, readonly [Binary, readonly bigint[]]>> = {
  addi: [(a, i) => a + i, [0n, 1n, 2047n, -2048n, -1n]],
  addiw: [(a, i) => w(a + i), [0n, 1n, 2047n, -2048n]],
  andi: [(a, i) => a & u(i), [0n, 15n, 2047n, -2048n, -1n]],
  ori: [(a, i) => a | u(i), [0n, 15n, 2047n, -2048n]],
  xori: [(a, i) => a ^ u(i), [0n, 15n, 2047n, -2048n, -1n]],
  slti: [(a, i) => one(s(a) < i), [0n, 1n, 2047n, -2048n, -1n]],
  sltiu: [(a, i) => one(a < u(i)), [0n, 1n, 2047n, -2048n, -1n]],
  slli: [(a, i) => a << i, [0n, 1n, 31n, 32n, 63n]],
  srli: [(a, i) => a >> i, [0n, 1n, 31n, 32n, 63n]],
  srai: [(a, i) => s(a) >> i, [0n, 1n, 31n, 32n, 63n]],
  slliw: [(a, i) => w(a << i), [0n, 1n, 16n, 31n]],
  srliw: [(a, i) => w(uw(a) >> i), [0n, 1n, 16n, 31n]],
  sraiw: [(a, i) => w(a) >> i, [0n, 1n, 16n, 31n]],
};
const bitImmediates: Readonly<Record<string, readonly [Binary, readonly bigint[]]>> = {
  rori: [rotateRight, [0n, 1n, 31n, 32n, 63n]],
  roriw: [rotateRightWord, [0n, 1n, 16n, 31n]],
};
const addressImmediates: Readonly<Record<string, readonly [Binary, readonly bigint[]]>> = {
  "slli.uw": [(a, i) => uw(a) << i, [0n, 1n, 31n, 32n, 63n]],
};
const singleBitImmediates: Readonly<Record<string, readonly [Binary, readonly bigint[]]>> = {
  bclri: [(a, i) => a & u(~(1n << i)), [0n, 1n, 31n, 32n, 63n]],
  bexti: [(a, i) => (a >> i) & 1n, [0n, 1n, 31n, 32n, 63n]],
  binvi: [(a, i) => a ^ (1n << i), [0n, 1n, 31n, 32n, 63n]],
  bseti: [(a, i) => a | (1n << i), [0n, 1n, 31n, 32n, 63n]],
};

const binaryRows = (f: Binary): Row[] => pairs.map(([a, b]) => ({ operands: [a, b], result: f(a, b) }));
const binary = (set: Readonly<Record<string, Binary>>): Table[] =>
  Object.entries(set).map(([name, f]) => ({ code: `${name} a0, a1, a2`, rows: binaryRows(f) }));
const unary = (set: Readonly<Record<string, Unary>>): Table[] =>
  Object.entries(set).map(([name, f]) => ({
    code: `${name} a0, a1`,
    rows: interesting.map((a) => ({ operands: [a], result: f(a) })),
  }));
const immediate = (set: Readonly<Record<string, readonly [Binary, readonly bigint[]]>>): Table[] =>
  Object.entries(set).flatMap(([name, [f, values]]) =>
    values.map((value) => ({
      code: `${name} a0, a1, ${value}`,
      rows: interesting.map((a) => ({ operands: [a], result: f(a, value) })),
    })),
  );

/** An instruction that is younger than the assembler, by its encoding (R-type, opcode OP). */
const encoded = (name: string, f3: number, f7: number, f: Binary): Table => ({
  code: `.insn r 0x33, ${f3}, ${f7}, a0, a1, a2 /* ${name} */`,
  rows: binaryRows(f),
});

/** Branches: a0 is 1 when taken. */
const branches: Readonly<Record<string, (a: bigint, b: bigint) => boolean>> = {
  beq: (a, b) => a === b,
  bne: (a, b) => a !== b,
  blt: (a, b) => s(a) < s(b),
  bge: (a, b) => s(a) >= s(b),
  bltu: (a, b) => a < b,
  bgeu: (a, b) => a >= b,
};
const branchTables: Table[] = Object.entries(branches).map(([name, taken]) => ({
  code: `li a0, 1; ${name} a1, a2, 1f; li a0, 0; 1:`,
  rows: binaryRows((a, b) => one(taken(a, b))),
}));

/** The same register as source and destination, and x0 as either. */
const aliased: Table[] = [
  { code: "mv a0, a1; add a0, a0, a0", rows: interesting.map((a) => ({ operands: [a], result: a * 2n })) },
  { code: "mv a0, a1; sub a0, zero, a0", rows: interesting.map((a) => ({ operands: [a], result: -a })) },
  { code: "add zero, a1, a1; mv a0, zero", rows: [{ operands: [7n], result: 0n }] },
  { code: "lui a0, 0x80000", rows: [{ operands: [0n], result: 0xffff_ffff_8000_0000n }] },
  { code: "lui a0, 0x7ffff", rows: [{ operands: [0n], result: 0x7fff_f000n }] },
  {
    code: "auipc a0, 0; auipc a2, 0x80000; sub a0, a2, a0",
    rows: [{ operands: [0n], result: 0xffff_ffff_8000_0004n }],
  },
  { code: "jal a0, 1f; 1: auipc a2, 0; sub a0, a2, a0", rows: [{ operands: [0n], result: 0n }] },
];

export const integerTables: Readonly<Record<string, () => readonly Table[]>> = {
  "i-registers": () => [...binary(base), ...branchTables, ...aliased],
  "i-immediates": () => immediate(immediates),
  m: () => binary(multiplication),
  zba: () => [...binary(addresses), ...immediate(addressImmediates)],
  zbb: () => [...binary(bits), ...unary(bitsUnary), ...immediate(bitImmediates)],
  zbc: () => binary(carrylessProducts),
  zbs: () => [...binary(singleBit), ...immediate(singleBitImmediates)],
  zbkb: () => binary(scalarCrypto),
  zicond: () => [
    encoded("czero.eqz", 5, 7, (a, b) => (b === 0n ? 0n : a)),
    encoded("czero.nez", 7, 7, (a, b) => (b === 0n ? a : 0n)),
  ],
};
