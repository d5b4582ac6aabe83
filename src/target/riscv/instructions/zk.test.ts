import { expect, test } from "vitest";
import { assemble } from "../testing/assemble.ts";
import { makeEvaluator } from "../testing/evaluate.ts";

const { of, trapOf } = makeEvaluator();

test("AES: the S-box of zero, and back", () => {
  expect(of("aes64es", 0n, 0n)).toBe(0x6363_6363_6363_6363n);
  expect(of("aes64ds", 0x6363_6363_6363_6363n, 0x6363_6363_6363_6363n)).toBe(0n);
});

// FIPS 197, appendix A.1: the first round key of the key 2b7e1516 28aed2a6 abf71588 09cf4f3c.
test("AES: a round of the key schedule", () => {
  const turned = of("aes64ks1i", 0x3c4f_cf09_8815_f7abn, 0n, { imm: 0 });
  expect(turned).toBe(0x01eb_848b_01eb_848bn);
  expect(of("aes64ks2", turned, 0xa6d2_ae28_1615_7e2bn)).toBe(0xb12c_5488_17fe_faa0n);
});

test("AES: the inverse of MixColumns on a column whose result is known", () => {
  expect(of("aes64im", 0xbca1_4d8e_bca1_4d8en)).toBe(0x4553_13db_4553_13dbn);
});

test("a round number beyond the last is reserved", () => {
  expect(trapOf(assemble("aes64ks1i", { rd: 1, imm: 10 }))).toBeUndefined();
  expect(trapOf(assemble("aes64ks1i", { rd: 1, imm: 11 }))).toBe(2n);
});

test.each([
  ["sha256sig0", 1n, 0x0200_4000n],
  ["sha256sum1", 1n, 0x0420_0080n],
  ["sha512sig1", 1n, 0x0000_2000_0000_0008n],
  ["sm3p0", 1n, 0x0002_0201n],
  ["sm3p1", 0x8000n, 0x4000_8040n],
])("%s of %s turns a single bit to its places", (name, value, result) => {
  expect(of(name, value)).toBe(BigInt.asUintN(64, result));
});

test("SM4: the key schedule's spread of the S-box of zero, in each byte's place", () => {
  expect(of("sm4ks", 0n, 0n, { rs2: 12, imm: 0 })).toBe(0xffff_ffff_c01a_6bd6n);
  expect(of("sm4ks", 0n, 0n, { rs2: 12, imm: 1 })).toBe(0x1a6b_d6c0n);
});
