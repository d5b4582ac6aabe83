import { describe, expect, test } from "vitest";
import { DirtyTrigger, nextThrottle, predict, type ConvergenceFacts } from "./convergence.ts";

const MIB = 2 ** 20;
const round = (sent: number, dirty: number, durationMs: number) => ({
  sentBytes: sent * MIB,
  dirtyBytes: dirty * MIB,
  durationMs,
});

describe("the trigger", () => {
  test("is pulled by two seconds in which more is written than half of what is sent", () => {
    const trigger = new DirtyTrigger();
    expect(trigger.add(round(100, 60, 1000), 50)).toBe(false);
    expect(trigger.add(round(100, 60, 1000), 50)).toBe(true);
    expect(trigger.overshoot).toBeCloseTo(1.2);
  });

  test("adds short rounds up", () => {
    const trigger = new DirtyTrigger();
    const pulls = Array.from({ length: 20 }, () => trigger.add(round(10, 8, 100), 50));
    expect(pulls.flatMap((pulled, i) => (pulled ? [i] : []))).toEqual([19]);
  });

  test("is not pulled by less", () => {
    const trigger = new DirtyTrigger();
    expect([0, 1, 2].map(() => trigger.add(round(100, 40, 1500), 50))).toEqual([false, false, false]);
  });
});

describe("the throttle", () => {
  const steps = {
    throttleInitialPercent: 20,
    throttleIncrementPercent: 10,
    throttleTailslow: false,
    maxThrottlePercent: 99,
  };

  test("grows by steps to its end", () => {
    expect([0, 20, 90, 99].map((now) => nextThrottle(now, 2, steps))).toEqual([20, 30, 99, 99]);
  });

  test("grows by less near its end where that is enough", () => {
    expect(nextThrottle(80, 1.25, { ...steps, throttleTailslow: true })).toBeCloseTo(84);
    expect(nextThrottle(20, 4, { ...steps, throttleTailslow: true })).toBe(30);
  });
});

describe("the prediction", () => {
  const facts: ConvergenceFacts = {
    sources: [{ name: "hart0", kind: "harts", bytesPerSecond: 10 * MIB }],
    bandwidth: 100 * MIB,
    pace: 200 * MIB,
    dirtyBytes: 100 * MIB,
    deviceBytes: 0,
    downtimeLimitMs: 100,
  };

  test("rounds get shorter while less is written than sent", () => {
    expect(predict(facts)).toMatchObject({ canMeet: true, rounds: 1, downtimeMs: 50 });
  });

  test("a hart that writes more than is sent is named, with what slows it", () => {
    const hart = { name: "hart1", kind: "harts" as const, bytesPerSecond: 150 * MIB };
    const { canMeet, dominant, rounds, reasons } = predict({ ...facts, sources: [...facts.sources, hart] });
    expect({ canMeet, dominant, rounds }).toEqual({ canMeet: false, dominant: "hart1", rounds: undefined });
    expect(reasons).toContain("hart1 writes 150.0 MiB a second");
    expect(reasons.at(-1)).toBe("most of it is written by harts, which auto-converge and dirty-limit slow");
  });

  test("a device that writes more than is sent needs another remedy", () => {
    const device = { name: "nvme0", kind: "device" as const, bytesPerSecond: 400 * MIB };
    const { dominant, reasons } = predict({ ...facts, sources: [...facts.sources, device] });
    expect(dominant).toBe("nvme0");
    expect(reasons.at(-1)).toBe(
      "most of it is written by devices, which x-device-throttle slows and auto-converge does not",
    );
  });

  test("the state of stopped devices is not made less by rounds", () => {
    const { canMeet, dominant, reasons } = predict({ ...facts, deviceBytes: 100 * MIB });
    expect({ canMeet, dominant }).toEqual({ canMeet: false, dominant: "device state" });
    expect(reasons).toContain("that alone is more than 20.0 MiB, which 100 ms are enough for; downtime-limit would do");
  });
});
