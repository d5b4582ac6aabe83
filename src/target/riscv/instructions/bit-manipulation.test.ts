import { describe, expect, test } from "vitest";
import { makeEvaluator } from "../testing/evaluate.ts";

const { of } = makeEvaluator();
const all = 0xffff_ffff_ffff_ffffn;

describe("Zba", () => {
  test.each([
    ["add.uw", 0xffff_ffff_8000_0001n, 0x10n, 0x8000_0011n],
    ["sh1add", 0x8000_0000_0000_0003n, 1n, 7n],
    ["sh2add", 5n, 0x100n, 0x114n],
    ["sh3add", all, 8n, 0n],
    ["sh1add.uw", 0xffff_ffff_ffff_ffffn, 1n, 0x1_ffff_ffffn],
    ["sh2add.uw", 0x1_4000_0000n, 0n, 0x1_0000_0000n],
    ["sh3add.uw", 0xf_8000_0001n, 0n, 0x4_0000_0008n],
  ])("%s of %s and %s", (name, a, b, result) => expect(of(name, a, b)).toBe(result));

  test("slli.uw shifts the zero-extended word by up to 63", () => {
    expect(of("slli.uw", 0xffff_ffff_8000_0001n, 0n, { imm: 32 })).toBe(0x8000_0001_0000_0000n);
    expect(of("slli.uw", 0xffff_ffff_8000_0001n, 0n, { imm: 63 })).toBe(0x8000_0000_0000_0000n);
  });
});

describe("Zbb", () => {
  test.each([
    ["andn", 0b1100n, 0b1010n, 0b0100n],
    ["orn", 0b1100n, 0b1010n, 0xffff_ffff_ffff_fffdn],
    ["xnor", 0b1100n, 0b1010n, 0xffff_ffff_ffff_fff9n],
    ["max", all, 1n, 1n],
    ["maxu", all, 1n, all],
    ["min", all, 1n, all],
    ["minu", all, 1n, 1n],
    ["rol", 0x8000_0000_0000_0001n, 65n, 3n],
    ["ror", 0x8000_0000_0000_0001n, 1n, 0xc000_0000_0000_0000n],
    ["rolw", 0x1234_5678_8000_0001n, 33n, 3n],
    ["rorw", 0x1234_5678_0000_0001n, 1n, 0xffff_ffff_8000_0000n],
  ])("%s of %s and %s", (name, a, b, result) => expect(of(name, a, b)).toBe(result));

  test.each([
    ["clz", 0n, 64n],
    ["clz", 0x0000_1000_0000_0000n, 19n],
    ["ctz", 0n, 64n],
    ["ctz", 0x0000_1000_0000_0000n, 44n],
    ["cpop", all, 64n],
    ["cpop", 0x8000_0000_0000_0101n, 3n],
    ["clzw", 0xffff_ffff_0000_0000n, 32n],
    ["clzw", 0xffff_ffff_0001_0000n, 15n],
    ["ctzw", 0xffff_ffff_0000_0000n, 32n],
    ["ctzw", 0xffff_ffff_8000_0000n, 31n],
    ["cpopw", 0xffff_ffff_0000_00f0n, 4n],
    ["sext.b", 0x180n, 0xffff_ffff_ffff_ff80n],
    ["sext.h", 0x1_7fffn, 0x7fffn],
    ["sext.h", 0x8000n, 0xffff_ffff_ffff_8000n],
    ["zext.h", 0xffff_ffff_ffff_8000n, 0x8000n],
    ["orc.b", 0x0100_0080_0000_1000n, 0xff00_00ff_0000_ff00n],
    ["orc.b", 0x00ff_0000_0000_0001n, 0x00ff_0000_0000_00ffn],
    ["rev8", 0x0102_0304_0506_0708n, 0x0807_0605_0403_0201n],
  ])("%s of %s", (name, a, result) => expect(of(name, a)).toBe(result));

  test("rori and roriw rotate by their immediate", () => {
    expect(of("rori", 0x1n, 0n, { imm: 60 })).toBe(0x10n);
    expect(of("roriw", 0x1n, 0n, { imm: 1 })).toBe(0xffff_ffff_8000_0000n);
  });
});

describe("Zbs", () => {
  test.each([
    ["bclr", all, 127n, 0x7fff_ffff_ffff_ffffn],
    ["bext", 0x8000_0000_0000_0000n, 63n, 1n],
    ["bext", 0x8000_0000_0000_0000n, 62n, 0n],
    ["binv", 1n, 64n, 0n],
    ["bset", 0n, 32n, 0x1_0000_0000n],
  ])("%s of %s and %s", (name, a, b, result) => expect(of(name, a, b)).toBe(result));

  test.each([
    ["bclri", all, 0, 0xffff_ffff_ffff_fffen],
    ["bexti", 0x10_0000_0000n, 36, 1n],
    ["binvi", 0n, 63, 0x8000_0000_0000_0000n],
    ["bseti", 0n, 40, 0x100_0000_0000n],
  ])("%s of %s by %s", (name, a, imm, result) => expect(of(name, a, 0n, { imm })).toBe(result));
});

describe("Zbc", () => {
  // (x + 1)² = x² + 1, and (x⁶³ + 1)² = x¹²⁶ + 1.
  test.each([
    ["clmul", 3n, 3n, 5n],
    ["clmulh", 3n, 3n, 0n],
    ["clmul", 0x8000_0000_0000_0001n, 0x8000_0000_0000_0001n, 1n],
    ["clmulh", 0x8000_0000_0000_0001n, 0x8000_0000_0000_0001n, 0x4000_0000_0000_0000n],
    ["clmulr", 0x8000_0000_0000_0001n, 0x8000_0000_0000_0001n, 0x8000_0000_0000_0000n],
    ["clmul", all, all, 0x5555_5555_5555_5555n],
    ["clmulh", all, all, 0x5555_5555_5555_5555n],
    ["clmulr", all, all, 0xaaaa_aaaa_aaaa_aaaan],
  ])("%s of %s and %s", (name, a, b, result) => expect(of(name, a, b)).toBe(result));

  test("products are those of long multiplication", () => {
    let seed = 0x9e37_79b9_7f4a_7c15n;
    const next = (): bigint => (seed = (seed * 6364136223846793005n + 1442695040888963407n) & all);
    for (let i = 0; i < 200; i++) {
      const [a, b] = [next(), next()];
      let product = 0n;
      for (let bit = 0n; bit < 64n; bit++) product ^= ((b >> bit) & 1n) * (a << bit);
      expect([of("clmul", a, b), of("clmulh", a, b), of("clmulr", a, b)]).toEqual([
        product & all,
        product >> 64n,
        (product >> 63n) & all,
      ]);
    }
  });
});

describe("Zbkb and Zbkx", () => {
  test.each([
    ["pack", 0x1111_2222_3333_4444n, 0x5555_6666_7777_8888n, 0x7777_8888_3333_4444n],
    ["packh", 0x1234n, 0xabcdn, 0xcd34n],
    ["packw", 0x1_2345n, 0x9_8abcn, 0xffff_ffff_8abc_2345n],
    ["brev8", 0x0180_0240_0420_0810n, 0n, 0x8001_4002_2004_1008n],
    ["xperm8", 0x1716_1514_1312_1110n, 0x0001_0203_0708_ff04n, 0x1011_1213_1700_0014n],
    ["xperm4", 0xfedc_ba98_7654_3210n, 0x0123_4567_89ab_cdefn, 0x0123_4567_89ab_cdefn],
    ["xperm4", 0x0000_0000_0000_0ab0n, 0x1122_3300_0000_0000n, 0xbbaa_0000_0000_0000n],
  ])("%s of %s and %s", (name, a, b, result) => expect(of(name, a, b)).toBe(result));
});

describe("Zicond and Zimop", () => {
  test.each([
    ["czero.eqz", 7n, 0n, 0n],
    ["czero.eqz", 7n, 0x1_0000_0000n, 7n],
    ["czero.nez", 7n, 0n, 7n],
    ["czero.nez", 7n, 0x1_0000_0000n, 0n],
    ["mop.r", 7n, 7n, 0n],
    ["mop.rr", 7n, 7n, 0n],
  ])("%s of %s and %s", (name, a, b, result) => expect(of(name, a, b)).toBe(result));
});
