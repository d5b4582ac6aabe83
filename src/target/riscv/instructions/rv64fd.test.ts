import { describe, expect, test } from "vitest";
import { convert } from "../fp/conversions.ts";
import { executeFp } from "../fp/execute.ts";
import { bfloat16, binary16, binary32, binary64, type FloatFormat } from "../fp/float-format.ts";
import { fpOperation, fpOperationNames, type FpOperationName } from "../fp/operations.ts";
import { operandFormat, Patterns } from "../fp/testing/patterns.ts";
import { F, HartCore, Mstatus, W } from "../hart-core.ts";
import { instructions } from "../instruction-set.ts";
import { hartLayout } from "../state.ts";
import { assemble as a } from "../testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "../testing/bare-machine.ts";

const fsDirty = 3 << 13;
const fsClean = 2 << 13;
const fsInitial = 1 << 13;
const [NX, UF, OF, DZ, NV] = [1, 2, 4, 8, 16];

const shared = bareMachine({ model: "max" });

/** The machine after reset, with the FPU on and `words` in the place of the next instructions. */
function machine(words: readonly number[] = [], fs = fsDirty): BareMachine {
  shared.hart.reset();
  shared.hart.writeCsr(0x300, BigInt(fs));
  shared.load(ramBase, words);
  return shared;
}

const f = (m: BareMachine, n: number): bigint => m.hart.core.get(F.f + n);
const setF = (m: BareMachine, n: number, bits: bigint): void => m.hart.core.set(F.f + n, bits);
const fs = (m: BareMachine): number => m.hart.core.word(W.mstatus) & Mstatus.fs;
const boxed = (bits: bigint): bigint => bits | 0xffff_ffff_0000_0000n;

const view = new DataView(new ArrayBuffer(8));
function double(value: number): bigint {
  view.setFloat64(0, value);
  return view.getBigUint64(0);
}
function single(value: number): bigint {
  view.setFloat32(0, value);
  return boxed(BigInt(view.getUint32(0)));
}
const bitsIn = { s: single, d: double };

/** One plain use of each operation: f1, f2, f3 and x1 to f10 or x10. */
const uses: readonly (readonly [string, { f?: readonly number[]; x?: number }, { f?: number; x?: bigint }])[] = [
  ["fadd", { f: [1.5, 2.25] }, { f: 3.75 }],
  ["fsub", { f: [1.5, 2.25] }, { f: -0.75 }],
  ["fmul", { f: [1.5, 2.25] }, { f: 3.375 }],
  ["fdiv", { f: [4.5, 1.5] }, { f: 3 }],
  ["fsqrt", { f: [2.25] }, { f: 1.5 }],
  ["fmadd", { f: [2, 3, 1] }, { f: 7 }],
  ["fmsub", { f: [2, 3, 1] }, { f: 5 }],
  ["fnmsub", { f: [2, 3, 1] }, { f: -5 }],
  ["fnmadd", { f: [2, 3, 1] }, { f: -7 }],
  ["fmin", { f: [2, -3] }, { f: -3 }],
  ["fmax", { f: [2, -3] }, { f: 2 }],
  ["fsgnj", { f: [2, -3] }, { f: -2 }],
  ["fsgnjn", { f: [2, -3] }, { f: 2 }],
  ["fsgnjx", { f: [-2, -3] }, { f: 2 }],
  ["feq", { f: [2, 2] }, { x: 1n }],
  ["flt", { f: [2, 2] }, { x: 0n }],
  ["fle", { f: [2, 2] }, { x: 1n }],
  ["fclass", { f: [-2] }, { x: 2n }],
];
const conversions: typeof uses = [
  ["fcvt.F.w", { x: -3 }, { f: -3 }],
  ["fcvt.F.wu", { x: 2 ** 31 }, { f: 2 ** 31 }],
  ["fcvt.F.l", { x: -3 }, { f: -3 }],
  ["fcvt.F.lu", { x: 2 ** 40 }, { f: 2 ** 40 }],
  ["fcvt.w.F", { f: [-3.5] }, { x: -3n }],
  ["fcvt.wu.F", { f: [2 ** 31] }, { x: -(2n ** 31n) }],
  ["fcvt.l.F", { f: [-(2 ** 40)] }, { x: -(2n ** 40n) }],
  ["fcvt.lu.F", { f: [2 ** 63] }, { x: 2n ** 63n }],
];
const everyUse = (["s", "d"] as const).flatMap((suffix) => [
  ...uses.map(([name, given, result]) => [`${name}.${suffix}`, suffix, given, result] as const),
  ...conversions.map(([name, given, result]) => [name.replace("F", suffix), suffix, given, result] as const),
]);

describe("each instruction computes what its name says", () => {
  const registers = { rd: 10, rs1: 1, rs2: 2, rs3: 3 };
  test.each(everyUse)("%s", (name, suffix, given, result) => {
    const row = instructions.find((i) => i.name === name)!;
    const free = (bits: number): boolean => (row.mask & bits) === 0;
    const word = a(name, {
      rd: registers.rd,
      rs1: registers.rs1,
      ...(free(31 << 20) ? { rs2: registers.rs2 } : {}),
      ...(row.operands.src3 === undefined ? {} : { rs3: registers.rs3 }),
      ...(free(7 << 12) ? { rm: 1 } : {}),
    });
    // Slow with the flags clear, fast where there is a fast path.
    for (const fcsr of [0, NX]) {
      const m = machine([word]);
      m.hart.writeCsr(3, BigInt(fcsr));
      given.f?.forEach((value, i) => setF(m, 1 + i, bitsIn[suffix](value)));
      if (given.x !== undefined) m.hart.setX(1, BigInt(given.x));
      m.hart.run(1);
      if (result.f !== undefined) expect(f(m, 10)).toBe(bitsIn[suffix](result.f));
      if (result.x !== undefined) expect(m.hart.x(10)).toBe(BigInt.asUintN(64, result.x));
      expect(m.hart.pc).toBe(BigInt(ramBase + 4));
    }
  });

  test("fcvt.d.s and fcvt.s.d keep the value and change the format", () => {
    const m = machine([a("fcvt.d.s", { rd: 2, rs1: 1, rm: 0 }), a("fcvt.s.d", { rd: 3, rs1: 2, rm: 7 })]);
    setF(m, 1, single(1.5));
    m.hart.run(2);
    expect(f(m, 2)).toBe(double(1.5));
    expect(f(m, 3)).toBe(single(1.5));
  });

  test("loads and moves of singles box them, stores and moves to x take the low half", () => {
    const m = machine([
      a("flw", { rd: 1, rs1: 5, imm: 4 }),
      a("fmv.x.w", { rd: 6, rs1: 1 }),
      a("fmv.w.x", { rd: 2, rs1: 7 }),
      a("fsw", { rs1: 5, rs2: 3, imm: 12 }),
    ]);
    m.write64(ramBase + 0x1000, 0xc000_0000_1111_1111n);
    m.hart.setX(5, BigInt(ramBase + 0x1000));
    m.hart.setX(7, 0x1234_5678_3f80_0000n);
    setF(m, 3, 0x0123_4567_89ab_cdefn);
    m.hart.run(4);
    expect(f(m, 1)).toBe(boxed(0xc000_0000n));
    expect(m.hart.x(6)).toBe(0xffff_ffff_c000_0000n);
    expect(f(m, 2)).toBe(boxed(0x3f80_0000n));
    expect(m.read64(ramBase + 0x1008)).toBe(0x89ab_cdef_0000_0000n);
  });

  test("loads, stores and moves of doubles keep all bits, of signaling NaNs too", () => {
    const signaling = 0xfff0_0000_0000_0001n;
    const m = machine([
      a("fld", { rd: 1, rs1: 5, imm: 0 }),
      a("fmv.x.d", { rd: 6, rs1: 1 }),
      a("fmv.d.x", { rd: 2, rs1: 6 }),
      a("fsd", { rs1: 5, rs2: 2, imm: 8 }),
    ]);
    m.write64(ramBase + 0x1000, signaling);
    m.hart.setX(5, BigInt(ramBase + 0x1000));
    m.hart.run(4);
    expect(m.read64(ramBase + 0x1008)).toBe(signaling);
    expect(m.hart.readCsr(3)).toBe(0n);
  });

  test("fsgnj.s of a single that is not boxed takes the canonical NaN", () => {
    const m = machine([a("fsgnjn.s", { rd: 3, rs1: 1, rs2: 2 })]);
    setF(m, 1, 0x3f80_0000n);
    setF(m, 2, 0xbf80_0000n);
    m.hart.run(1);
    expect(f(m, 3)).toBe(boxed(0xffc0_0000n));
  });
});

describe("flags accumulate", () => {
  test.each([
    ["fdiv.d", 1, 3, NX],
    ["fdiv.d", 1, 0, DZ],
    ["fdiv.d", 0, 0, NV],
    ["fmul.d", 1e300, 1e300, OF | NX],
    ["fmul.d", 1e-300, 1e-300, UF | NX],
  ] as const)("%s of %s and %s", (name, x, y, flags) => {
    const m = machine([a(name, { rd: 3, rs1: 1, rs2: 2, rm: 0 })]);
    setF(m, 1, double(x));
    setF(m, 2, double(y));
    m.hart.run(1);
    expect(m.hart.readCsr(1)).toBe(BigInt(flags));
    m.hart.writeCsr(1, 0x1fn);
    m.hart.pc = BigInt(ramBase);
    m.hart.run(1);
    expect(m.hart.readCsr(1)).toBe(0x1fn);
  });
});

// Results of at least the smallest normal that come from below it: tiny or not is decided after rounding.
describe("with NX set already, underflow is raised", () => {
  const smallestNormal = { s: boxed(0x0080_0000n), d: 1n << 52n };
  test.each([
    ["fmul.d", 2 ** -1022, 1 - 2 ** -53, "d", NX | UF],
    ["fmul.d", 2 ** -1022 + 2 ** -1074, 1 - 2 ** -52, "d", NX],
    ["fdiv.d", 2 ** -1021 - 2 ** -1074, 2, "d", NX | UF],
    ["fmul.s", 2 ** -126, 1 - 2 ** -24, "s", NX | UF],
    ["fmul.s", 2 ** -126 + 2 ** -149, 1 - 2 ** -23, "s", NX],
    ["fmadd.s", 2 ** -126, 1 - 2 ** -24, "s", NX | UF],
    ["fmadd.d", 2 ** -1022, 1 - 2 ** -53, "d", NX | UF],
    ["fcvt.s.d", 2 ** -126 * (1 - 2 ** -24), 0, "s", NX | UF],
    ["fcvt.s.d", 2 ** -126 * (1 - 2 ** -26), 0, "s", NX],
  ] as const)("exactly as the result is tiny: %s of %s and %s", (name, x, y, suffix, flags) => {
    const conversion = name === "fcvt.s.d";
    const m = machine([a(name, { rd: 4, rs1: 1, ...(conversion ? {} : { rs2: 2 }), rs3: 0, rm: 0 })]);
    m.hart.writeCsr(1, BigInt(NX));
    setF(m, 0, bitsIn[suffix](0));
    setF(m, 1, conversion ? double(x) : bitsIn[suffix](x));
    setF(m, 2, bitsIn[suffix](y));
    m.hart.run(1);
    expect(f(m, 4)).toBe(smallestNormal[suffix]);
    expect(m.hart.readCsr(1)).toBe(BigInt(flags));
  });
});

describe("mstatus.FS", () => {
  const everyName = instructions
    .filter((i) => i.extensions.some((e) => /^([fd]|zf\w+)(\+[df]|\+zfh)?$/.test(e)))
    .map((i) => i.name);

  test.each(everyName)("Off makes %s illegal, with its bits as trap value", (name) => {
    const word = a(name, { rd: 1, rs1: 5, rm: 0 });
    const m = machine([word], 0);
    m.hart.writeCsr(0x305, BigInt(ramBase + 0x100));
    m.hart.setX(5, BigInt(ramBase + 0x1000));
    m.hart.run(1);
    expect(m.hart.readCsr(0x342)).toBe(2n);
    expect(m.hart.readCsr(0x343)).toBe(BigInt(word >>> 0));
    expect(m.hart.readCsr(0x341)).toBe(BigInt(ramBase));
    expect(m.hart.pc).toBe(BigInt(ramBase + 0x100));
    expect(f(m, 1)).toBe(0n);
    expect(m.hart.x(1)).toBe(0n);
  });

  test("Off makes a compressed load illegal, with its 16 bits as trap value", () => {
    const m = machine([0x2188], 0); // c.fld fa0, 0(a1)
    m.hart.setX(11, BigInt(ramBase));
    m.hart.run(1);
    expect(m.hart.readCsr(0x342)).toBe(2n);
    expect(m.hart.readCsr(0x343)).toBe(0x2188n);
  });

  const writers = ["fadd.d", "fmin.s", "fsgnj.d", "fmv.d.x", "fcvt.d.w", "fld", "flw", "fmadd.d", "fcvt.d.s"];
  test.each(writers.flatMap((name) => [fsInitial, fsClean].map((before) => [name, before] as const)))(
    "%s makes it Dirty from %s",
    (name, before) => {
      const m = machine([a(name, { rd: 1, rs1: 5, rm: 0 })], before);
      m.hart.setX(5, BigInt(ramBase + 0x1000));
      m.hart.run(1);
      expect(fs(m)).toBe(fsDirty);
    },
  );

  test.each(["fsd", "fsw", "fmv.x.d", "feq.d", "fclass.s", "fcvt.w.d"])("%s leaves it Clean", (name) => {
    const m = machine([a(name, { rd: 1, rs1: 5, rm: 1 & (name.startsWith("fcvt") ? 1 : 0) })], fsClean);
    m.hart.setX(5, BigInt(ramBase + 0x1000));
    m.hart.run(1);
    expect(m.hart.readCsr(0x342)).toBe(0n);
    expect(fs(m)).toBe(fsClean);
  });

  test("a comparison that raises a flag makes it Dirty", () => {
    const m = machine([a("flt.d", { rd: 1, rs1: 1, rs2: 2 })], fsClean);
    setF(m, 1, double(NaN));
    m.hart.run(1);
    expect(fs(m)).toBe(fsDirty);
    expect(m.hart.readCsr(1)).toBe(BigInt(NV));
  });

  test("a load that faults leaves it Clean and the register alone", () => {
    const m = machine([a("fld", { rd: 1, rs1: 0, imm: 64 })], fsClean);
    m.hart.run(1);
    expect(m.hart.readCsr(0x342)).toBe(5n);
    expect(fs(m)).toBe(fsClean);
  });
});

const rounding = fpOperationNames.filter((name) => !/^(fmin|fmax|feq|flt|fle|fclass|fcvtmod)/.test(name));

const ones = new Map<FloatFormat, bigint>([
  [binary16, 0xffff_ffff_ffff_3c00n],
  [bfloat16, 0xffff_ffff_ffff_3f80n],
  [binary32, single(1)],
  [binary64, double(1)],
]);

describe("a reserved rounding mode is illegal", () => {
  test.each(rounding)("in %s", (name) => {
    for (const [rm, frm] of [
      [5, 0],
      [6, 0],
      [7, 5],
      [7, 6],
      [7, 7],
    ] as const) {
      const word = a(name, { rd: 1, rs1: 2, rm });
      const m = machine([word]);
      m.hart.writeCsr(3, BigInt((frm << 5) | NX));
      // A plain operand, for which nothing but the mode asks for the slow path.
      setF(m, 2, ones.get(operandFormat(name))!);
      m.hart.setX(2, 1n);
      m.hart.run(1);
      expect([m.hart.readCsr(0x342), m.hart.readCsr(0x343)], `${rm} ${frm}`).toEqual([2n, BigInt(word >>> 0)]);
    }
  });

  test("but not where the bits mean something else", () => {
    const m = machine([a("fmin.d", { rd: 1, rs1: 2, rs2: 3 }), a("fsgnj.d", { rd: 1, rs1: 2, rs2: 3 })]);
    m.hart.writeCsr(3, 0xe0n);
    m.hart.run(2);
    expect(m.hart.readCsr(0x342)).toBe(0n);
  });
});

/** The registers that an instruction names, and the flags. */
function show(core: HartCore, word: number): string {
  const names = [7, 15, 20, 27].map((at) => (word >>> at) & 31);
  const floats = names.map((n) => core.get(F.f + n).toString(16)).join();
  const integers = names.map((n) => core.x(n).toString(16)).join();
  return `f ${floats} x ${integers} fcsr ${core.word(W.fcsr).toString(16)}`;
}

const narrowing: Partial<Record<FpOperationName, FloatFormat>> = {
  "fcvt.s.d": binary32,
  "fcvt.h.d": binary16,
  "fcvt.h.s": binary16,
  "fcvt.bf16.s": bfloat16,
};

/** Runs an instruction in generated code and by `executeFp` alone, and compares everything that they leave. */
class Differential {
  private readonly m = machine();
  private readonly core = this.m.hart.core;
  private readonly exact = new HartCore(0, new WebAssembly.Memory({ initial: 1 }), 0);
  private readonly patterns = new Patterns(11n);
  private readonly xSink = hartLayout.offset("xSink") / 4;

  /** Tries `count` random operands for one instruction word: what differed. */
  run(name: FpOperationName, word: number, fcsr: number, count: number): string[] {
    const differences: string[] = [];
    this.m.load(ramBase, [word]);
    for (let i = 0; i < count; i++) {
      this.operands(name, word);
      const status = this.patterns.below(16) === 0 ? fsClean : fsDirty;
      for (const core of [this.core, this.exact]) {
        core.setWord(W.fcsr, fcsr);
        core.setWord(W.mstatus, status);
        core.refreshFpFast();
      }
      const before = show(this.core, word);
      this.core.pc = BigInt(ramBase);
      this.m.hart.run(1);
      this.exact.setWord(W.fpOp, fpOperation(name));
      const legal = executeFp(this.exact, word & ~0x1f);
      if (legal && this.same()) continue;
      differences.push(`${name} of ${before} gave ${show(this.core, word)} for ${show(this.exact, word)}`);
    }
    return differences;
  }

  private operands(name: FpOperationName, word: number): void {
    const { patterns } = this;
    const type = operandFormat(name);
    const narrower = narrowing[name];
    const one = narrower === undefined ? patterns.any(type) : this.near(narrower, type);
    const two = patterns.partner(type, one);
    const three = patterns.addend(type, one, two);
    const values = [patterns.register(type, one), patterns.register(type, two), patterns.register(type, three)];
    const integer = patterns.integer();
    for (const core of [this.core, this.exact]) {
      [word >>> 15, word >>> 20, word >>> 27].forEach((at, i) => core.set(F.f + (at & 31), values[i]!));
      core.setX((word >>> 15) & 31, integer);
    }
  }

  /** A pattern in or next to the range of a narrower format. */
  private near(narrower: FloatFormat, type: FloatFormat): bigint {
    const { patterns } = this;
    const wide = convert(narrower, type, patterns.any(narrower), { rounding: 0, flags: 0 });
    const below = 2 ** Math.min(30, type.precision - narrower.precision);
    return patterns.below(2) === 0 ? patterns.any(type) : wide ^ BigInt(patterns.below(below));
  }

  private same(): boolean {
    const words = (core: HartCore): Int32Array => core.words.subarray(core.base32 + W.x, core.base32 + W.f + 64);
    const [got, exact] = [words(this.core), words(this.exact)];
    return (
      this.core.pc === BigInt(ramBase + 4) &&
      got.every((value, i) => value === exact[i] || (i & ~1) === this.xSink - W.x) &&
      [W.fcsr, W.mstatus, W.fpFast].every((index) => this.core.word(index) === this.exact.word(index))
    );
  }

  registers(): { rd: number; rs1: number; rs2: number; rs3: number } {
    const n = (): number => this.patterns.below(32);
    return { rd: n(), rs1: n(), rs2: n(), rs3: n() };
  }
}

describe("generated code and the exact slow path leave the same registers, flags and FS", () => {
  const differential = new Differential();
  test.each(fpOperationNames)("%s", (name) => {
    const row = instructions.find((i) => i.name === name)!;
    const keep = (at: number, mask: number): boolean => (row.mask & (mask << at)) === 0;
    const modes = keep(12, 7) ? [0, 1, 2, 3, 4, 7] : [0];
    for (const rm of modes) {
      for (const frm of rm === 7 ? [0, 1, 2, 3, 4] : [0, 3]) {
        for (const flags of [0, NX, 0x1f]) {
          const r = differential.registers();
          const word = a(name, {
            rd: r.rd,
            rs1: r.rs1,
            ...(keep(20, 31) ? { rs2: r.rs2 } : {}),
            ...(row.operands.src3 === undefined ? {} : { rs3: r.rs3 }),
            ...(keep(12, 7) ? { rm } : {}),
          });
          const mayBeFast = flags !== 0 && (rm <= 1 || (rm === 7 && frm === 0));
          expect(differential.run(name, word, (frm << 5) | flags, mayBeFast ? 60 : 8)).toEqual([]);
        }
      }
    }
  });
});
