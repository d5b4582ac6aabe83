import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ManualClock, ManualTimers } from "./manual-clock.ts";
import { TimerQueue } from "./timer-queue.ts";

function makeQueue(): { clock: ManualClock; queue: TimerQueue; fired: string[] } {
  const clock = new ManualClock();
  return { clock, queue: new TimerQueue(clock), fired: [] };
}

describe("a timer queue", () => {
  test("has no next deadline when nothing is armed", () => {
    expect(makeQueue().queue.nextDeadlineNs()).toBe(Infinity);
  });

  test("fires what is due in the order of deadlines", () => {
    const { clock, queue, fired } = makeQueue();
    queue.create("late", () => fired.push("late")).arm(200);
    queue.create("early", () => fired.push("early")).arm(100);
    queue.create("later", () => fired.push("later")).arm(300);
    expect(queue.armedNames()).toEqual(["early", "late", "later"]);
    clock.setNs(200);
    expect(queue.runDue()).toBe(2);
    expect(fired).toEqual(["early", "late"]);
    expect(queue.nextDeadlineNs()).toBe(300);
  });

  test("fires equal deadlines in the order in which they were armed", () => {
    const { clock, queue, fired } = makeQueue();
    for (const name of ["a", "b", "c", "d"]) queue.create(name, () => fired.push(name)).arm(10);
    clock.setNs(10);
    queue.runDue();
    expect(fired).toEqual(["a", "b", "c", "d"]);
  });

  test("a timer fires once and is disarmed then", () => {
    const { clock, queue, fired } = makeQueue();
    const timer = queue.create("once", () => fired.push("once"));
    timer.arm(5);
    clock.setNs(9);
    queue.runDue();
    queue.runDue();
    expect(fired).toEqual(["once"]);
    expect(timer.deadlineNs).toBeUndefined();
  });

  test("re-arming replaces the earlier deadline", () => {
    const { clock, queue, fired } = makeQueue();
    const timer = queue.create("t", () => fired.push("t"));
    timer.arm(5);
    timer.arm(50);
    clock.setNs(5);
    expect(queue.runDue()).toBe(0);
    expect(timer.deadlineNs).toBe(50);
  });

  test("a timer that re-arms in the past waits for the next run", () => {
    const { clock, queue, fired } = makeQueue();
    const timer = queue.create("eager", () => {
      fired.push("eager");
      timer.arm(0);
    });
    timer.arm(0);
    clock.setNs(100);
    expect(queue.runDue()).toBe(1);
    expect(queue.runDue()).toBe(1);
  });

  test("a callback can disarm a timer that is due in the same run", () => {
    const { clock, queue, fired } = makeQueue();
    const second = queue.create("second", () => fired.push("second"));
    queue.create("first", () => second.disarm()).arm(1);
    second.arm(2);
    clock.setNs(2);
    expect(queue.runDue()).toBe(1);
    expect(fired).toEqual([]);
  });

  test("a callback that throws leaves the others due", () => {
    const { clock, queue, fired } = makeQueue();
    queue
      .create("broken", () => {
        throw new Error("broken");
      })
      .arm(1);
    queue.create("sound", () => fired.push("sound")).arm(2);
    clock.setNs(2);
    expect(() => queue.runDue()).toThrow("broken");
    expect(queue.runDue()).toBe(1);
    expect(fired).toEqual(["sound"]);
  });

  test("says when the next deadline came nearer, and only then", () => {
    const { queue } = makeQueue();
    const told: number[] = [];
    queue.onEarlierDeadline = () => told.push(queue.nextDeadlineNs());
    const a = queue.create("a", () => {});
    a.arm(100);
    queue.create("b", () => {}).arm(200);
    a.arm(50);
    expect(told).toEqual([100, 50]);
  });

  test("refuses a deadline that is no number", () => {
    const { queue } = makeQueue();
    expect(() => queue.create("t", () => {}).arm(Number.NaN)).toThrow("a deadline is a number");
  });

  test("agrees with a sorted list under any sequence of arming, disarming and waiting", () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant("arm" as const), timer: fc.nat(7), value: fc.nat(100) }),
      fc.record({ kind: fc.constant("disarm" as const), timer: fc.nat(7), value: fc.constant(0) }),
      fc.record({ kind: fc.constant("wait" as const), timer: fc.constant(0), value: fc.nat(40) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { clock, queue, fired } = makeQueue();
        const timers = Array.from({ length: 8 }, (_, i) => queue.create(`t${i}`, () => fired.push(`t${i}`)));
        let model: { name: string; at: number; order: number }[] = [];
        const expected: string[] = [];
        steps.forEach(({ kind, timer, value }, order) => {
          const name = `t${timer}`;
          if (kind !== "wait") model = model.filter((entry) => entry.name !== name);
          if (kind === "arm") {
            timers[timer]!.arm(value);
            model.push({ name, at: value, order });
          } else if (kind === "disarm") {
            timers[timer]!.disarm();
          } else {
            clock.setNs(clock.nowNs() + value);
            queue.runDue();
            model.sort((a, b) => a.at - b.at || a.order - b.order);
            while (model[0] !== undefined && model[0].at <= clock.nowNs()) expected.push(model.shift()!.name);
          }
          expect(queue.nextDeadlineNs()).toBe(Math.min(Infinity, ...model.map((entry) => entry.at)));
        });
        expect(fired).toEqual(expected);
      }),
    );
  });
});

describe("manual timers", () => {
  test("stop at each deadline on the way", () => {
    const time = new ManualTimers();
    const at: number[] = [];
    const tick = time.create("tick", () => {
      at.push(time.clock.nowNs());
      tick.arm(time.clock.nowNs() + 10);
    });
    tick.arm(10);
    time.advanceByNs(35);
    expect(at).toEqual([10, 20, 30]);
    expect(time.clock.nowNs()).toBe(35);
    expect(time.nextDeadlineNs()).toBe(40);
  });

  test("never go back", () => {
    const time = new ManualTimers(100);
    expect(() => time.advanceToNs(99)).toThrow("a clock never goes back");
  });
});
