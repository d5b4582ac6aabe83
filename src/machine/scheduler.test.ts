import { describe, expect, test } from "vitest";
import { describeState } from "../state/index.ts";
import type { Vcpu, VcpuExit } from "../accel/port.ts";
import { TimerQueue, type YieldPort } from "../base/index.ts";
import { HostPace } from "./pace.ts";
import { Scheduler, type SchedulerOptions } from "./scheduler.ts";

/** Host time goes on by what the vCPUs execute, at one nanosecond per instruction, and by sleeping. */
class FakeHost implements YieldPort {
  now = 0;
  readonly sleeps: (number | undefined)[] = [];
  turns = 0;
  #wake: (() => void) | undefined;

  async turn(): Promise<void> {
    this.turns++;
  }

  async sleep(delayMs: number | undefined): Promise<void> {
    this.sleeps.push(delayMs);
    if (delayMs !== undefined) {
      this.now += delayMs * 1e6;
      return;
    }
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  wake(): void {
    this.#wake?.();
  }
}

/** Runs `script` once per turn; executes the whole budget unless the script says otherwise. */
class FakeVcpu implements Vcpu {
  readonly index: number;
  readonly stateDescription = describeState("fake-vcpu", 1, []);
  readonly budgets: number[] = [];
  runnable = true;
  executed = 0;
  kicks = 0;
  readonly #host: FakeHost;
  readonly #script: (vcpu: FakeVcpu, budget: number) => VcpuExit | void;

  constructor(index: number, host: FakeHost, script: (vcpu: FakeVcpu, budget: number) => VcpuExit | void) {
    this.index = index;
    this.#host = host;
    this.#script = script;
  }

  run(budget: number): VcpuExit {
    this.budgets.push(budget);
    this.executed += budget;
    this.#host.now += budget;
    return this.#script(this, budget) ?? "budget";
  }

  kick(): void {
    this.kicks++;
  }
  reset(): void {}
  saveState(): Record<string, unknown> {
    return {};
  }
  loadState(): void {}
}

function setUp(
  scripts: readonly ((vcpu: FakeVcpu, budget: number) => VcpuExit | void)[],
  more: Partial<Pick<SchedulerOptions, "attend">> = {},
): {
  host: FakeHost;
  timers: TimerQueue;
  vcpus: FakeVcpu[];
  scheduler: Scheduler;
  failures: unknown[];
  switches: number[];
} {
  const host = new FakeHost();
  const clock = { nowNs: () => host.now };
  const timers = new TimerQueue(clock);
  const vcpus = scripts.map((script, i) => new FakeVcpu(i, host, script));
  const failures: unknown[] = [];
  const switches: number[] = [];
  const scheduler: Scheduler = new Scheduler({
    vcpus,
    timers,
    clock,
    yield: host,
    pace: new HostPace(timers),
    switchedTo: (index) => switches.push(index),
    attend: () => undefined,
    failed: (error) => failures.push(error),
    ...more,
  });
  return { host, timers, vcpus, scheduler, failures, switches };
}

/** Lets everything that awaits only promises happen. */
async function settled(): Promise<void> {
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
}

describe("the scheduler", () => {
  test("runs the harts in turn", async () => {
    const order: number[] = [];
    const note = (vcpu: FakeVcpu): void => {
      order.push(vcpu.index);
      if (order.length === 7) void scheduler.stop();
    };
    const { scheduler } = setUp([note, note, note]);
    scheduler.start();
    await settled();
    expect(order).toEqual([0, 1, 2, 0, 1, 2, 0]);
  });

  test("says when another hart than the last one runs", async () => {
    let runs = 0;
    const step = (vcpu: FakeVcpu): void => {
      if (vcpu.index === 1) vcpu.runnable = false;
      if (++runs === 5) void scheduler.stop();
    };
    const { scheduler, switches } = setUp([step, step]);
    scheduler.start();
    await settled();
    expect(switches).toEqual([0, 1, 0]);
  });

  test("runs nothing when it is stopped before its first turn, and goes on when it is started again", async () => {
    const { vcpus, scheduler } = setUp([() => void scheduler.stop()]);
    scheduler.start();
    const stopped = scheduler.stop();
    scheduler.start();
    await stopped;
    expect(vcpus[0]!.budgets).toHaveLength(0);
    await settled();
    expect(vcpus[0]!.budgets).toHaveLength(1);
    expect(scheduler.isRunning).toBe(false);
  });

  test("gives the event loop a turn after some milliseconds of guest code", async () => {
    let turnsAtEnd = 0;
    const { host, scheduler } = setUp([
      (vcpu) => {
        if (vcpu.executed < 20_000_000) return;
        turnsAtEnd = host.turns;
        void scheduler.stop();
      },
    ]);
    scheduler.start();
    await settled();
    expect(turnsAtEnd).toBe(5);
  });

  test("gives it turns after a tenth of a millisecond while somebody waits for the platform", async () => {
    const { host, vcpus, scheduler } = setUp([
      (vcpu) => {
        if (vcpu.executed > 10_000_000) void scheduler.stop();
      },
    ]);
    scheduler.shortenSlices(5_000_000);
    scheduler.start();
    await settled();
    // Fifty in five milliseconds, two in the next five.
    expect(host.turns).toBeGreaterThan(45);
    expect(host.turns).toBeLessThan(55);
    expect(vcpus[0]!.budgets[0]).toBe(4000);
    expect(vcpus[0]!.budgets.at(-1)).toBeGreaterThan(10_000);
  });

  test("keeps a run below a millisecond, whatever the speed", async () => {
    const { vcpus, scheduler } = setUp([(vcpu) => (vcpu.budgets.length === 100 ? void scheduler.stop() : undefined)]);
    scheduler.start();
    await settled();
    expect(Math.max(...vcpus[0]!.budgets)).toBeLessThanOrEqual(250_000);
    expect(Math.min(...vcpus[0]!.budgets)).toBeGreaterThanOrEqual(20_000);
  });

  test("gives a slow interpreter a smaller budget", async () => {
    const { host, vcpus, scheduler } = setUp([
      (vcpu, budget) => {
        host.now += budget * 19;
        if (vcpu.budgets.length === 50) void scheduler.stop();
      },
    ]);
    scheduler.start();
    await settled();
    expect(vcpus[0]!.budgets.at(-1)).toBeLessThan(30_000);
  });

  test("fires a timer between two runs of one slice", async () => {
    const firedAt: number[] = [];
    const { host, timers, scheduler } = setUp([
      (vcpu) => (vcpu.budgets.length === 20 ? void scheduler.stop() : undefined),
    ]);
    timers.create("t", () => firedAt.push(host.now)).arm(300_000);
    scheduler.start();
    await settled();
    expect(firedAt).toHaveLength(1);
    expect(firedAt[0]).toBeLessThan(1_300_000);
  });

  test("sleeps exactly until the next timer when every hart waits", async () => {
    const { host, timers, vcpus, scheduler } = setUp([
      (vcpu) => {
        vcpu.runnable = false;
        return "wait";
      },
    ]);
    timers
      .create("t", () => {
        vcpus[0]!.runnable = true;
        void scheduler.stop();
      })
      .arm(7_020_000);
    scheduler.start();
    await settled();
    expect(host.sleeps).toEqual([7]);
  });

  test("without a timer, sleeps until it is woken", async () => {
    const { host, vcpus, scheduler } = setUp([
      (vcpu) => {
        vcpu.runnable = false;
        if (vcpu.budgets.length === 2) void scheduler.stop();
        return "wait";
      },
    ]);
    scheduler.start();
    await settled();
    expect(host.sleeps).toEqual([undefined]);
    vcpus[0]!.runnable = true;
    scheduler.wake();
    await settled();
    expect(vcpus[0]!.budgets).toHaveLength(2);
    expect(scheduler.isRunning).toBe(false);
  });

  test("a timer armed while it sleeps wakes it", async () => {
    const { host, timers, scheduler } = setUp([
      (vcpu) => {
        vcpu.runnable = false;
        return "wait";
      },
    ]);
    scheduler.start();
    await settled();
    timers.create("t", () => void scheduler.stop()).arm(host.now + 1_000_000);
    await settled();
    expect(host.sleeps).toEqual([undefined, 1]);
    expect(scheduler.isRunning).toBe(false);
  });

  test("kicks the running hart and attends once after an interrupt", async () => {
    let attended = 0;
    const { vcpus, scheduler } = setUp(
      [
        (vcpu) => {
          if (vcpu.budgets.length === 1) scheduler.interrupt();
        },
      ],
      {
        attend: () => {
          attended++;
          void scheduler.stop();
        },
      },
    );
    scheduler.start();
    await settled();
    expect(attended).toBe(1);
    expect(vcpus[0]!.kicks).toBe(1);
    expect(vcpus[0]!.budgets).toHaveLength(1);
  });

  test("a broken invariant stops everything and is reported", async () => {
    const { scheduler, failures } = setUp([
      () => {
        throw new Error("ours");
      },
    ]);
    scheduler.start();
    await settled();
    expect(failures).toEqual([new Error("ours")]);
    expect(scheduler.isRunning).toBe(false);
  });
});
