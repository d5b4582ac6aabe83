import { describe, expect, test } from "vitest";
import { TimerQueue } from "./timer-queue.ts";

function queueAt(host: { now: number }): TimerQueue {
  return new TimerQueue({ nowNs: () => host.now });
}

describe("the timer queue", () => {
  test("fires what is due, earliest first, and nothing else", () => {
    const host = { now: 0 };
    const queue = queueAt(host);
    const fired: string[] = [];
    for (const [name, at] of [
      ["c", 300],
      ["a", 100],
      ["b", 200],
    ] as const) {
      queue.create(name, () => fired.push(name)).arm(at);
    }
    host.now = 200;
    queue.runDue();
    expect(fired).toEqual(["a", "b"]);
    expect(queue.nextDeadlineNs).toBe(300);
  });

  test("timers of one deadline fire in the order of arming", () => {
    const host = { now: 0 };
    const queue = queueAt(host);
    const fired: string[] = [];
    const first = queue.create("first", () => fired.push("first"));
    const second = queue.create("second", () => fired.push("second"));
    second.arm(10);
    first.arm(10);
    host.now = 10;
    queue.runDue();
    expect(fired).toEqual(["second", "first"]);
  });

  test("a disarmed timer does not fire, even when it is disarmed by one that fires with it", () => {
    const host = { now: 0 };
    const queue = queueAt(host);
    const fired: string[] = [];
    const late = queue.create("late", () => fired.push("late"));
    const early = queue.create("early", () => late.disarm());
    early.arm(1);
    late.arm(2);
    host.now = 5;
    queue.runDue();
    expect(fired).toEqual([]);
    expect(queue.nextDeadlineNs).toBe(Infinity);
  });

  test("a timer that re-arms itself in the past fires once per run", () => {
    const host = { now: 10 };
    const queue = queueAt(host);
    let count = 0;
    const timer = queue.create("again", () => {
      count++;
      timer.arm(0);
    });
    timer.arm(5);
    queue.runDue();
    expect(count).toBe(1);
    queue.runDue();
    expect(count).toBe(2);
  });

  test("a sleeper is told when the next deadline moves forward, not when it moves back", () => {
    const queue = queueAt({ now: 0 });
    let told = 0;
    queue.onEarlier = () => told++;
    const timer = queue.create("t", () => undefined);
    timer.arm(100);
    queue.create("later", () => undefined).arm(200);
    timer.arm(150);
    timer.arm(50);
    expect(told).toBe(2);
  });
});
