import { describe, expect, test } from "vitest";
import { bareMachine, ramBase } from "../testing/bare-machine.ts";

const half = (...halves: number[]): Uint8Array => new Uint8Array(Uint16Array.from(halves).buffer);

/** Runs one 16-bit form with x8 = `a` and x9 = `b`, on a machine that has 0xf1f2f3f4 at the address 0x80001000. */
function run(form: number, a: bigint, b = 0n, model = "max"): { x8: bigint; memory: bigint; trapped: boolean } {
  const m = bareMachine({ model });
  m.write64(ramBase + 0x1000, 0xf1f2_f3f4n);
  m.loadBytes(ramBase, half(form));
  m.hart.writeCsr(0x305, BigInt(ramBase + 0x100));
  m.hart.setX(8, a);
  m.hart.setX(9, b);
  m.hart.run(1);
  return {
    x8: m.hart.x(8),
    memory: m.read64(ramBase + 0x1000),
    trapped: m.hart.pc === BigInt(ramBase + 0x100),
  };
}

describe("Zcb", () => {
  const data = BigInt(ramBase + 0x1000);

  test.each([
    ["c.lbu s0, 3(s1)", 0x80e0, 0xf1n],
    ["c.lbu s0, 1(s1)", 0x80c0, 0xf3n],
    ["c.lhu s0, 2(s1)", 0x84a0, 0xf1f2n],
    ["c.lh s0, 0(s1)", 0x84c0, 0xffff_ffff_ffff_f3f4n],
  ])("%s loads", (_text, form, result) => expect(run(form, 0n, data).x8).toBe(result));

  test.each([
    ["c.sb s0, 2(s1)", 0x88a0, 0xf144_f3f4n],
    ["c.sh s0, 2(s1)", 0x8ca0, 0x3344_f3f4n],
  ])("%s stores", (_text, form, result) => expect(run(form, 0x1122_3344n, data).memory).toBe(result));

  test.each([
    ["c.zext.b s0", 0x9c61, 0x1ffn, 0xffn],
    ["c.sext.b s0", 0x9c65, 0x180n, 0xffff_ffff_ffff_ff80n],
    ["c.zext.h s0", 0x9c69, 0x1_8000n, 0x8000n],
    ["c.sext.h s0", 0x9c6d, 0x1_8000n, 0xffff_ffff_ffff_8000n],
    ["c.zext.w s0", 0x9c71, 0xffff_ffff_8000_0000n, 0x8000_0000n],
    ["c.not s0", 0x9c75, 0n, 0xffff_ffff_ffff_ffffn],
  ])("%s", (_text, form, a, result) => expect(run(form, a).x8).toBe(result));

  test("c.mul s0, s1", () => expect(run(0x9c45, 7n, 6n).x8).toBe(42n));

  test("c.mop.11 writes nothing, and there is none for x8", () => {
    expect(run(0x6401, 9n)).toMatchObject({ x8: 9n, trapped: true });
    expect(run(0x6581, 9n)).toMatchObject({ x8: 9n, trapped: false });
  });

  test("a CPU without Zcb has none of its forms", () => {
    expect(run(0x80e0, 0n, data, "rv64").trapped).toBe(true);
    expect(run(0x9c75, 0n, 0n, "rv64").trapped).toBe(true);
  });
});
