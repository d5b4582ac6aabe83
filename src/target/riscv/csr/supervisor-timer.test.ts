import { expect, test } from "vitest";
import { bareMachine } from "../testing/bare-machine.ts";

const MENVCFG = 0x30a;
const MIP = 0x344;
const STIMECMP = 0x14d;
const STCE = 1n << 63n;
const STIP = 1n << 5n;

test("a supervisor timer interrupt that software made pending ends when stimecmp takes over", () => {
  const { hart } = bareMachine();
  hart.writeCsr(STIMECMP, 0xffff_ffff_ffff_ffffn);
  hart.writeCsr(MIP, STIP);
  expect(hart.readCsr(MIP)).toBe(STIP);
  hart.writeCsr(MENVCFG, STCE);
  expect(hart.readCsr(MIP)).toBe(0n);
});

test.each([0, 123_456_789])(
  "the timer fires once, when time reaches stimecmp, with the clock %i ticks ahead",
  (clockTicks) => {
    const { hart, advance } = bareMachine({ clockTicks });
    hart.writeCsr(MENVCFG, STCE);
    hart.writeCsr(STIMECMP, 1000n);
    expect([advance(1), advance(500), advance(498)]).toEqual([0, 0, 0]);
    expect(hart.readCsr(MIP)).toBe(0n);
    expect([advance(1), advance(1000)]).toEqual([1, 0]);
    expect(hart.readCsr(MIP)).toBe(STIP);
  },
);
