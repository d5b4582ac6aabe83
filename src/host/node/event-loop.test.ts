import { describe, expect, test } from "vitest";
import { nodeClock } from "./clock.ts";
import { NodeEventLoop } from "./event-loop.ts";

const MS = 1e6;

describe("timers", () => {
  test("a timer fires during a sleep, not before its deadline, within a millisecond", async () => {
    const loop = new NodeEventLoop(nodeClock);
    const deadlineNs = nodeClock.nowNs() + 3.3 * MS;
    let firedNs = 0;
    const timer = loop.create("t", () => {
      firedNs = nodeClock.nowNs();
      loop.wake();
    });
    timer.arm(deadlineNs);
    await loop.sleep(undefined);
    expect(firedNs).toBeGreaterThanOrEqual(deadlineNs);
    // A busy machine may be late; the deadline itself is what must not be missed by rounding.
    expect(firedNs - deadlineNs).toBeLessThan(50 * MS);
  });

  test("a deadline in the past fires on the next turn, not inside arm", async () => {
    const loop = new NodeEventLoop(nodeClock);
    let fired = 0;
    loop.create("t", () => fired++).arm(0);
    expect(fired).toBe(0);
    await loop.turn();
    expect(fired).toBe(1);
  });

  test("timers fire in the order of their deadlines", async () => {
    const loop = new NodeEventLoop(nodeClock);
    const order: string[] = [];
    loop.create("late", () => order.push("late")).arm(2);
    loop.create("early", () => order.push("early")).arm(1);
    await loop.turn();
    expect(order).toEqual(["early", "late"]);
  });

  test("re-arming replaces the deadline and disarming forgets it", async () => {
    const loop = new NodeEventLoop(nodeClock);
    let fired = 0;
    const timer = loop.create("t", () => fired++);
    timer.arm(1);
    timer.arm(nodeClock.nowNs() + 3600e9);
    await loop.turn();
    expect(fired).toBe(0);
    expect(timer.deadlineNs).toBeDefined();
    timer.disarm();
    expect(timer.deadlineNs).toBeUndefined();
  });

  test("a timer disarmed by an earlier one of the same moment does not fire", async () => {
    const loop = new NodeEventLoop(nodeClock);
    let fired = 0;
    const second = loop.create("second", () => fired++);
    loop.create("first", () => second.disarm()).arm(1);
    second.arm(2);
    await loop.turn();
    expect(fired).toBe(0);
  });

  test("a timer fires without turns or sleeps too", async () => {
    const loop = new NodeEventLoop(nodeClock);
    const fired = new Promise<void>((resolve) => loop.create("t", resolve).arm(nodeClock.nowNs() + 2 * MS));
    const keepAlive = setInterval(() => {}, 1000);
    await expect(fired).resolves.toBeUndefined();
    clearInterval(keepAlive);
  });

  test("a timer that re-arms itself keeps firing", async () => {
    const loop = new NodeEventLoop(nodeClock);
    let fired = 0;
    const timer = loop.create("tick", () => {
      fired++;
      if (fired < 5) timer.arm(nodeClock.nowNs() + 0.2 * MS);
      else loop.wake();
    });
    timer.arm(nodeClock.nowNs() + 0.2 * MS);
    await loop.sleep(undefined);
    expect(fired).toBe(5);
  });
});

describe("yielding", () => {
  test("a sleep lasts at least as long as asked", async () => {
    const loop = new NodeEventLoop(nodeClock);
    const startNs = nodeClock.nowNs();
    await loop.sleep(1.7);
    expect(nodeClock.nowNs() - startNs).toBeGreaterThanOrEqual(1.7 * MS);
  });

  test("wake ends a sleep without end", async () => {
    const loop = new NodeEventLoop(nodeClock);
    setTimeout(() => loop.wake(), 1);
    await expect(loop.sleep(undefined)).resolves.toBeUndefined();
  });

  test("a wake before the sleep is not lost", async () => {
    const loop = new NodeEventLoop(nodeClock);
    loop.wake();
    await expect(loop.sleep(undefined)).resolves.toBeUndefined();
  });

  test("turns let timeouts and other immediates progress", async () => {
    const loop = new NodeEventLoop(nodeClock);
    const progress: string[] = [];
    setTimeout(() => progress.push("timeout"), 1);
    const startNs = nodeClock.nowNs();
    while (progress.length === 0 && nodeClock.nowNs() - startNs < 5e9) await loop.turn();
    expect(progress).toEqual(["timeout"]);
  });

  test("closing wakes a sleeper and forgets timers", async () => {
    const loop = new NodeEventLoop(nodeClock);
    let fired = 0;
    loop.create("t", () => fired++).arm(1);
    const sleep = loop.sleep(undefined);
    loop.close();
    await sleep;
    await loop.turn();
    expect(fired).toBe(0);
  });
});
