import { describe, expect, test } from "vitest";
import { Clint } from "./clint.ts";
import { TestHost, TestLine } from "../test-host.ts";

const MTIME = 0xbff8;
const MTIMECMP0 = 0x4000;
const MTIMECMP1 = 0x4008;
const TICK_NS = 100;

function makeClint(nowNs = 0) {
  const host = new TestHost(nowNs);
  const harts = [0, 1].map(() => ({ msip: new TestLine(), mtip: new TestLine() }));
  const clint = new Clint({ harts, frequencyHz: 10_000_000, timers: host.timers, trace: host.trace });
  const { mmio } = clint;
  return { host, clint, mmio, hart0: harts[0]!, hart1: harts[1]! };
}

describe("software interrupts", () => {
  test("msip's lowest bit drives the hart's line", () => {
    const { mmio, hart0, hart1 } = makeClint();
    mmio.write(0x4, 4, 1);
    expect(hart1.msip.level).toBe(true);
    expect(hart0.msip.level).toBe(false);
    mmio.write(0x4, 4, 0);
    expect(hart1.msip.level).toBe(false);
  });

  test("msip keeps no other bit", () => {
    const { mmio } = makeClint();
    mmio.write(0x0, 4, 0xffffffff);
    expect(mmio.read(0x0, 4)).toBe(1);
  });

  test("a doubleword access to msip is a bus error", () => {
    const { mmio } = makeClint();
    expect(mmio.read64!(0x0)).toBeUndefined();
    expect(mmio.write64!(0x0, 1n)).toBe(false);
  });

  test("msip of a hart that does not exist reads 0 and is traced", () => {
    const { mmio, host } = makeClint();
    mmio.write(0x8, 4, 1);
    expect(mmio.read(0x8, 4)).toBe(0);
    expect(host.guestErrors).toEqual(["clint: write of 0x1 to offset 0x8", "clint: read of offset 0x8"]);
  });
});

describe("mtime", () => {
  test("counts ticks of 100 ns from power-on", () => {
    const { mmio, host, clint } = makeClint(5_000_000);
    host.advanceNs(12_345);
    expect(mmio.read64!(MTIME)).toBe(123n);
    expect(mmio.read(MTIME, 4)).toBe(123);
    expect(clint.ticks()).toBe(123);
  });

  test("its halves follow a write of the doubleword", () => {
    const { mmio, host } = makeClint();
    mmio.write64!(MTIME, 0x1_ffffffffn);
    expect(mmio.read(MTIME, 4)).toBe(0xffffffff);
    expect(mmio.read(MTIME + 4, 4)).toBe(1);
    host.advanceNs(TICK_NS);
    expect(mmio.read(MTIME, 4)).toBe(0);
    expect(mmio.read(MTIME + 4, 4)).toBe(2);
  });

  test("a write of one half leaves the other", () => {
    const { mmio } = makeClint();
    mmio.write64!(MTIME, 0x5_00000007n);
    mmio.write(MTIME, 4, 9);
    expect(mmio.read64!(MTIME)).toBe(0x5_00000009n);
    mmio.write(MTIME + 4, 4, 6);
    expect(mmio.read64!(MTIME)).toBe(0x6_00000009n);
  });

  test("wraps around 2^64", () => {
    const { mmio, host } = makeClint(1000);
    mmio.write64!(MTIME, 0xffffffff_ffffffffn);
    expect(mmio.read(MTIME + 4, 4)).toBe(0xffffffff);
    host.advanceNs(2 * TICK_NS);
    expect(mmio.read64!(MTIME)).toBe(1n);
  });

  test("starts again from 0 at reset", () => {
    const { mmio, host, clint } = makeClint();
    host.advanceNs(1_000_000);
    clint.reset();
    expect(mmio.read64!(MTIME)).toBe(0n);
  });
});

describe("timer interrupt", () => {
  test("rises when mtime reaches mtimecmp", () => {
    const { mmio, host, hart0, hart1 } = makeClint();
    mmio.write64!(MTIMECMP0, 50n);
    host.advanceNs(49 * TICK_NS);
    expect(hart0.mtip.level).toBe(false);
    host.advanceNs(TICK_NS);
    expect(hart0.mtip.level).toBe(true);
    expect(hart1.mtip.level).toBe(false);
  });

  test("falls when mtimecmp moves past mtime", () => {
    const { mmio, host, hart1 } = makeClint();
    host.advanceNs(1000 * TICK_NS);
    mmio.write64!(MTIMECMP1, 10n);
    expect(hart1.mtip.level).toBe(true);
    mmio.write64!(MTIMECMP1, 2000n);
    expect(hart1.mtip.level).toBe(false);
    expect(host.nextDeadlineNs).toBe(2000 * TICK_NS);
  });

  test("is off and needs no timer at power-on", () => {
    const { mmio, host, hart0 } = makeClint();
    expect(mmio.read64!(MTIMECMP0)).toBe(0xffffffff_ffffffffn);
    expect(hart0.mtip.level).toBe(false);
    expect(host.nextDeadlineNs).toBe(Infinity);
  });

  test("a 32-bit driver's three writes raise nothing in between", () => {
    const { mmio, host, hart0 } = makeClint();
    host.advanceNs(100 * TICK_NS);
    mmio.write(MTIMECMP0, 4, 0xffffffff);
    mmio.write(MTIMECMP0 + 4, 4, 0);
    mmio.write(MTIMECMP0, 4, 200);
    expect(hart0.mtip.risen).toBe(0);
    expect(mmio.read(MTIMECMP0, 4)).toBe(200);
    host.advanceNs(100 * TICK_NS);
    expect(hart0.mtip.level).toBe(true);
  });

  test("a write to mtime moves every deadline", () => {
    const { mmio, host, hart0 } = makeClint();
    mmio.write64!(MTIMECMP0, 1000n);
    mmio.write64!(MTIME, 990n);
    expect(host.nextDeadlineNs).toBe(10 * TICK_NS);
    mmio.write64!(MTIME, 1000n);
    expect(hart0.mtip.level).toBe(true);
  });

  test("compares all 64 bits, unsigned", () => {
    const { mmio, host, hart0 } = makeClint();
    mmio.write64!(MTIME, 0xffffffff_fffffff0n);
    mmio.write64!(MTIMECMP0, 0xffffffff_fffffff8n);
    expect(hart0.mtip.level).toBe(false);
    expect(host.nextDeadlineNs).toBe(8 * TICK_NS);
    host.advanceNs(8 * TICK_NS);
    expect(hart0.mtip.level).toBe(true);
  });

  test("closing leaves no timer armed", () => {
    const { mmio, host, clint } = makeClint();
    mmio.write64!(MTIMECMP0, 1000n);
    clint.close();
    expect(host.nextDeadlineNs).toBe(Infinity);
  });
});

test("a loaded CLINT continues where the saved one was", () => {
  const from = makeClint(700);
  from.mmio.write(0x4, 4, 1);
  from.mmio.write64!(MTIME, 500n);
  from.mmio.write64!(MTIMECMP0, 600n);
  const to = makeClint(123_400);
  to.clint.loadState(from.clint.saveState());
  expect(to.hart1.msip.level).toBe(true);
  expect(to.mmio.read64!(MTIME)).toBe(500n);
  to.host.advanceNs(100 * TICK_NS);
  expect(to.hart0.mtip.level).toBe(true);
  expect(Object.keys(from.clint.saveState())).toEqual(from.clint.stateDescription.fields.map((f) => f.name));
});
