import { describe, expect, test } from "vitest";
import { TestHost, TestLine } from "../test-host.ts";
import { AclintMtimer } from "./aclint-mtimer.ts";

const MTIME = 0x7ff8;
const MTIMECMP0 = 0;
const MTIMECMP1 = 8;
const TICK_NS = 100;

function makeMtimer(nowNs = 0) {
  const host = new TestHost(nowNs);
  const harts = [new TestLine(), new TestLine()];
  const mtimer = new AclintMtimer({ harts, frequencyHz: 10_000_000, timers: host.timers, trace: host.trace });
  const { mmio } = mtimer;
  return { host, mtimer, mmio, hart0: harts[0]!, hart1: harts[1]! };
}

describe("mtime", () => {
  test("counts ticks of 100 ns from power-on", () => {
    const { mmio, host, mtimer } = makeMtimer(5_000_000);
    host.advanceNs(12_345);
    expect(mmio.read64!(MTIME)).toBe(123n);
    expect(mmio.read(MTIME, 4)).toBe(123);
    expect(mtimer.ticks()).toBe(123);
  });

  test("its halves follow a write of the doubleword", () => {
    const { mmio, host } = makeMtimer();
    mmio.write64!(MTIME, 0x1_ffffffffn);
    expect(mmio.read(MTIME, 4)).toBe(0xffffffff);
    expect(mmio.read(MTIME + 4, 4)).toBe(1);
    host.advanceNs(TICK_NS);
    expect(mmio.read(MTIME, 4)).toBe(0);
    expect(mmio.read(MTIME + 4, 4)).toBe(2);
  });

  test("tells who waits for it that it was set", () => {
    const { mmio, mtimer } = makeMtimer();
    const heard: number[] = [];
    mtimer.onSet(() => heard.push(mtimer.ticks()));
    mmio.write64!(MTIME, 500n);
    mmio.write(MTIME, 4, 7);
    mtimer.reset();
    expect(heard).toEqual([500, 7, 0]);
  });

  test("a write of one half leaves the other", () => {
    const { mmio } = makeMtimer();
    mmio.write64!(MTIME, 0x5_00000007n);
    mmio.write(MTIME, 4, 9);
    expect(mmio.read64!(MTIME)).toBe(0x5_00000009n);
    mmio.write(MTIME + 4, 4, 6);
    expect(mmio.read64!(MTIME)).toBe(0x6_00000009n);
  });

  test("wraps around 2^64", () => {
    const { mmio, host } = makeMtimer(1000);
    mmio.write64!(MTIME, 0xffffffff_ffffffffn);
    expect(mmio.read(MTIME + 4, 4)).toBe(0xffffffff);
    host.advanceNs(2 * TICK_NS);
    expect(mmio.read64!(MTIME)).toBe(1n);
  });

  test("starts again from 0 at reset", () => {
    const { mmio, host, mtimer } = makeMtimer();
    host.advanceNs(1_000_000);
    mtimer.reset();
    expect(mmio.read64!(MTIME)).toBe(0n);
  });
});

describe("timer interrupt", () => {
  test("rises when mtime reaches mtimecmp", () => {
    const { mmio, host, hart0, hart1 } = makeMtimer();
    mmio.write64!(MTIMECMP0, 50n);
    host.advanceNs(49 * TICK_NS);
    expect(hart0.level).toBe(false);
    host.advanceNs(TICK_NS);
    expect(hart0.level).toBe(true);
    expect(hart1.level).toBe(false);
  });

  test("falls when mtimecmp moves past mtime", () => {
    const { mmio, host, hart1 } = makeMtimer();
    host.advanceNs(1000 * TICK_NS);
    mmio.write64!(MTIMECMP1, 10n);
    expect(hart1.level).toBe(true);
    mmio.write64!(MTIMECMP1, 2000n);
    expect(hart1.level).toBe(false);
    expect(host.nextDeadlineNs).toBe(2000 * TICK_NS);
  });

  test("is off and needs no timer at power-on", () => {
    const { mmio, host, hart0 } = makeMtimer();
    expect(mmio.read64!(MTIMECMP0)).toBe(0xffffffff_ffffffffn);
    expect(hart0.level).toBe(false);
    expect(host.nextDeadlineNs).toBe(Infinity);
  });

  test("a 32-bit driver's three writes raise nothing in between", () => {
    const { mmio, host, hart0 } = makeMtimer();
    host.advanceNs(100 * TICK_NS);
    mmio.write(MTIMECMP0, 4, 0xffffffff);
    mmio.write(MTIMECMP0 + 4, 4, 0);
    mmio.write(MTIMECMP0, 4, 200);
    expect(hart0.risen).toBe(0);
    expect(mmio.read(MTIMECMP0, 4)).toBe(200);
    host.advanceNs(100 * TICK_NS);
    expect(hart0.level).toBe(true);
  });

  test("a write to mtime moves every deadline", () => {
    const { mmio, host, hart0 } = makeMtimer();
    mmio.write64!(MTIMECMP0, 1000n);
    mmio.write64!(MTIME, 990n);
    expect(host.nextDeadlineNs).toBe(10 * TICK_NS);
    mmio.write64!(MTIME, 1000n);
    expect(hart0.level).toBe(true);
  });

  test("compares all 64 bits, unsigned", () => {
    const { mmio, host, hart0 } = makeMtimer();
    mmio.write64!(MTIME, 0xffffffff_fffffff0n);
    mmio.write64!(MTIMECMP0, 0xffffffff_fffffff8n);
    expect(hart0.level).toBe(false);
    expect(host.nextDeadlineNs).toBe(8 * TICK_NS);
    host.advanceNs(8 * TICK_NS);
    expect(hart0.level).toBe(true);
  });

  test("closing leaves no timer armed", () => {
    const { mmio, host, mtimer } = makeMtimer();
    mmio.write64!(MTIMECMP0, 1000n);
    mtimer.close();
    expect(host.nextDeadlineNs).toBe(Infinity);
  });
});

test("a loaded MTIMER continues where the saved one was", () => {
  const from = makeMtimer(700);
  from.mmio.write64!(MTIME, 500n);
  from.mmio.write64!(MTIMECMP0, 600n);
  const to = makeMtimer(123_400);
  to.mtimer.loadState(from.mtimer.saveState());
  expect(to.mmio.read64!(MTIME)).toBe(500n);
  to.host.advanceNs(100 * TICK_NS);
  expect(to.hart0.level).toBe(true);
  expect(Object.keys(from.mtimer.saveState())).toEqual(from.mtimer.stateDescription.fields.map((f) => f.name));
});
