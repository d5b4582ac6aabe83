import { describe, expect, test } from "vitest";
import { ManualTimers } from "../base/index.ts";
import { HostWork } from "./host-work.ts";

const never = new Promise<void>(() => undefined);

function setUp(): { timers: ManualTimers; work: HostWork; log: string[]; task: (name: string) => () => Promise<void> } {
  const timers = new ManualTimers();
  const log: string[] = [];
  const task = (name: string) => async () => {
    log.push(`${name} begins`);
    await new Promise((resolve) => setImmediate(resolve));
    log.push(`${name} ends`);
  };
  return { timers, work: new HostWork(timers), log, task };
}

describe("work for the host under -icount", () => {
  test("is due a set guest time after it was asked for, and nothing happens before", async () => {
    const { timers, work, log, task } = setUp();
    work.start(task("read"));
    timers.advanceToNs(99_999);
    expect([work.isDue, log]).toEqual([false, []]);
    timers.advanceToNs(100_000);
    expect([work.isDue, log]).toEqual([true, []]);
    await work.finish(never);
    expect([work.isDue, log]).toEqual([false, ["read begins", "read ends"]]);
  });

  test("is done one after the other, in the order of asking", async () => {
    const { timers, work, log, task } = setUp();
    work.start(task("a"));
    work.start(task("b"));
    timers.advanceToNs(100_000);
    await work.finish(never);
    expect(log).toEqual(["a begins", "a ends", "b begins", "b ends"]);
  });

  test("waits for the host to take output, or for the end of the machine", async () => {
    const { work } = setUp();
    let take: () => void = () => undefined;
    work.waitFor(new Promise((resolve) => (take = resolve)));
    expect(work.isDue).toBe(true);
    await work.finish(Promise.resolve());
    expect(work.isDue).toBe(true);
    take();
    await work.finish(never);
    expect(work.isDue).toBe(false);
  });

  test("a failed task is the failure of whoever finishes it", async () => {
    const { work } = setUp();
    work.start(() => Promise.reject(new Error("ours")));
    work.hurry();
    await expect(work.finish(never)).rejects.toThrow("ours");
  });
});
