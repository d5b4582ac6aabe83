import { describe, expect, test } from "vitest";
import { GoldfishRtc } from "./goldfish-rtc.ts";
import { makeRtcClock } from "./rtc-clock.ts";
import { TestHost, TestLine } from "../test-host.ts";

const TIME_LOW = 0x00;
const TIME_HIGH = 0x04;
const ALARM_LOW = 0x08;
const ALARM_HIGH = 0x0c;
const IRQ_ENABLED = 0x10;
const CLEAR_ALARM = 0x14;
const ALARM_STATUS = 0x18;
const CLEAR_INTERRUPT = 0x1c;

function makeRtc(wallStartUnixNs = 0x1234_5678_9abc_def0n) {
  const host = new TestHost();
  host.wallStartUnixNs = wallStartUnixNs;
  const irq = new TestLine();
  const rtc = new GoldfishRtc({ time: host.wallClock, timers: host.timers, irq, trace: host.trace });
  return {
    host,
    irq,
    rtc,
    read: (offset: number): number => rtc.mmio.read(offset, 4)!,
    write: (offset: number, value: number): void => void rtc.mmio.write(offset, 4, value),
  };
}

/** At 1000 ns, with an alarm at 1500 ns. */
function makeWithAlarm() {
  const made = makeRtc(1000n);
  made.write(ALARM_HIGH, 0);
  made.write(ALARM_LOW, 1500);
  return made;
}

describe("time", () => {
  test("is the wall clock in nanoseconds", () => {
    const { read } = makeRtc();
    expect(read(TIME_LOW)).toBe(0x9abc_def0);
    expect(read(TIME_HIGH)).toBe(0x1234_5678);
  });

  test("reading the low half latches the high one", () => {
    const { host, read } = makeRtc(0x1_ffff_ffffn);
    read(TIME_LOW);
    host.advanceNs(10);
    expect(read(TIME_HIGH)).toBe(1);
    read(TIME_LOW);
    expect(read(TIME_HIGH)).toBe(2);
  });

  test("a guest sets it, high half first", () => {
    const { host, read, write } = makeRtc();
    write(TIME_HIGH, 5);
    write(TIME_LOW, 100);
    host.advanceNs(7);
    expect(read(TIME_LOW)).toBe(107);
    expect(read(TIME_HIGH)).toBe(5);
  });

  test("what a guest has set survives a reset", () => {
    const { rtc, read, write } = makeRtc();
    write(TIME_HIGH, 5);
    write(TIME_LOW, 100);
    rtc.reset();
    expect([read(TIME_LOW), read(TIME_HIGH)]).toEqual([100, 5]);
  });
});

describe("alarm", () => {
  test("rings at its time when interrupts are enabled", () => {
    const { host, irq, read, write } = makeWithAlarm();
    write(IRQ_ENABLED, 1);
    expect(read(ALARM_STATUS)).toBe(1);
    host.advanceNs(499);
    expect(irq.level).toBe(false);
    host.advanceNs(1);
    expect(irq.level).toBe(true);
    expect(read(ALARM_STATUS)).toBe(0);
  });

  test("that rang with interrupts off shows when they are enabled", () => {
    const { host, irq, write } = makeWithAlarm();
    host.advanceNs(500);
    expect(irq.level).toBe(false);
    write(IRQ_ENABLED, 1);
    expect(irq.level).toBe(true);
  });

  test("its interrupt stays until it is cleared", () => {
    const { host, irq, write } = makeWithAlarm();
    write(IRQ_ENABLED, 1);
    host.advanceNs(10_000);
    write(CLEAR_INTERRUPT, 1);
    expect(irq.level).toBe(false);
  });

  test("in the past rings at once", () => {
    const { irq, write } = makeRtc(1000n);
    write(IRQ_ENABLED, 1);
    write(ALARM_LOW, 10);
    expect(irq.level).toBe(true);
  });

  test("that is cleared does not ring", () => {
    const { host, irq, read, write } = makeWithAlarm();
    write(IRQ_ENABLED, 1);
    write(CLEAR_ALARM, 1);
    host.advanceNs(10_000);
    expect(irq.level).toBe(false);
    expect(read(ALARM_STATUS)).toBe(0);
  });

  test("is moved by setting the time", () => {
    const { irq, write } = makeWithAlarm();
    write(IRQ_ENABLED, 1);
    write(TIME_LOW, 2000);
    expect(irq.level).toBe(true);
  });

  test("more than a thousand years away does not disturb", () => {
    const { host, irq, read, write } = makeRtc(1000n);
    write(IRQ_ENABLED, 1);
    write(ALARM_HIGH, 0xffffffff);
    write(ALARM_LOW, 0);
    host.advanceNs(2 ** 51);
    expect(irq.level).toBe(false);
    expect(read(ALARM_STATUS)).toBe(1);
  });
});

test("a loaded clock keeps the guest's time, its latch and its alarm", () => {
  const from = makeRtc(1000n);
  from.write(TIME_HIGH, 3);
  from.read(TIME_LOW);
  from.write(IRQ_ENABLED, 1);
  from.write(ALARM_HIGH, 3);
  from.write(ALARM_LOW, 5000);
  const to = makeRtc(1000n);
  to.rtc.loadState(from.rtc.saveState());
  expect(to.read(TIME_HIGH)).toBe(3);
  expect(to.read(TIME_LOW)).toBe(1000);
  to.host.advanceNs(4000);
  expect(to.irq.level).toBe(true);
  expect(Object.keys(from.rtc.saveState()).sort()).toEqual(from.rtc.stateDescription.fields.map((f) => f.name).sort());
});

test("only 32-bit accesses are valid", () => {
  expect(makeRtc().rtc.mmio.valid).toEqual({ min: 4, max: 4 });
});

describe("-rtc", () => {
  test("base= starts the clock there, and it follows the host", () => {
    const host = new TestHost();
    host.wallStartUnixNs = 700n;
    const { wallClock, timers } = host;
    const rtc = makeRtcClock({ wallClock, virtualClock: timers.clock, source: "host", baseUnixNs: 5000n });
    host.advanceNs(10);
    host.wallStartUnixNs += 1_000_000n;
    expect(rtc.nowUnixNs()).toBe(1_005_010n);
  });

  test("clock=vm starts at the host's time and follows the machine", () => {
    const host = new TestHost();
    host.wallStartUnixNs = 700n;
    const { wallClock, timers } = host;
    const rtc = makeRtcClock({ wallClock, virtualClock: timers.clock, source: "vm" });
    host.advanceNs(10);
    host.wallStartUnixNs += 1_000_000n;
    expect(rtc.nowUnixNs()).toBe(710n);
  });
});
