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
