import { beforeEach, describe, expect, test } from "vitest";
import { TimerQueue } from "../base/index.ts";
import { Converging } from "./converging.ts";
import { MigrationControl } from "./control.ts";
import { DirtyRateMeter } from "./dirty-rate.ts";
import { HartLimits } from "./hart-limits.ts";
import type { StreamedPart } from "./port.ts";
import { DEFAULT_PARAMETERS } from "./parameters.ts";
import type { MigrationRound } from "./progress.ts";
import { SmallMachine } from "./testing/small-machine.ts";

const MIB = 2 ** 20;
let nowNs = 0;
let timers: TimerQueue;

beforeEach(() => {
  nowNs = 0;
  timers = new TimerQueue({ nowNs: () => nowNs });
});

function pass(ms: number): void {
  for (let i = 0; i < ms; i++) {
    nowNs += 1_000_000;
    timers.runDue();
  }
}

class ThrottledMachine extends SmallMachine {
  readonly hartSources: readonly string[] = ["hart0"];
  readonly asked: unknown[][] = [];

  throttleHarts(who: string, percents: number | readonly number[]): void {
    this.asked.push([who, percents]);
  }

  holdHart(hart: number, isHeld: boolean): void {
    this.asked.push([hart, isHeld ? "held" : "free"]);
  }
}

function heldPart(log: string[], canHold: boolean): StreamedPart {
  return {
    label: "nvme0",
    hasPrecopy: true,
    ...(canHold && { hold: (isHeld: boolean) => void log.push(`${nowNs / 1e6}: ${isHeld ? "held" : "free"}`) }),
  } as StreamedPart;
}

/** A second in which so many MiB were sent and written. */
function second(number: number, sent: number, bySource: Readonly<Record<string, number>>): MigrationRound {
  const pages = Object.entries(bySource).map(([name, mib]): [string, number] => [name, mib * 256]);
  return {
    number,
    sentBytes: sent * MIB,
    savedBytes: 0,
    sentPages: sent * 256,
    deviceBytes: 0,
    durationMs: 1000,
    dirtyPages: pages.reduce((sum, [, count]) => sum + count, 0),
    bySource: new Map(pages),
  };
}

const facts = { bandwidth: 100 * MIB, pace: 100 * MIB, deviceBytes: 0 };

describe("auto-converge", () => {
  test("slows harts step by step, and lets them go at the end", () => {
    const machine = new ThrottledMachine();
    const converging = new Converging({ machine, timers });
    const parameters = { ...DEFAULT_PARAMETERS, autoConverge: true };
    for (let i = 1; i <= 4; i++) converging.round(second(i, 100, { hart0: 90 }), facts, parameters);
    converging.end();
    expect(machine.asked).toEqual([
      ["auto-converge", 20],
      ["auto-converge", 30],
      ["auto-converge", 0],
    ]);
  });

  test("does nothing that was not asked for", () => {
    const machine = new ThrottledMachine();
    const converging = new Converging({ machine, timers });
    for (let i = 1; i <= 4; i++) converging.round(second(i, 100, { hart0: 90 }), facts, DEFAULT_PARAMETERS);
    expect(machine.asked).toEqual([]);
    expect(converging.prediction).toMatchObject({ dominant: "hart0" });
  });
});

describe("x-device-throttle", () => {
  const parameters = { ...DEFAULT_PARAMETERS, autoConverge: true, deviceThrottlePercent: 100 };

  test("holds devices for a part of the time, then for more, and lets them go", () => {
    const log: string[] = [];
    const machine = new ThrottledMachine({ streams: { nvme0: heldPart(log, true) } });
    machine.isRunning = true;
    const converging = new Converging({ machine, timers });
    for (let i = 1; i <= 2; i++) converging.round(second(i, 100, { nvme0: 90 }), facts, parameters);
    pass(150);
    expect(log).toEqual(["0: held", "50: free", "100: held", "150: free"]);
    expect(converging.devicePercent).toBe(50);
    for (let i = 3; i <= 8; i++) converging.round(second(i, 100, { nvme0: 90 }), facts, parameters);
    expect(converging.devicePercent).toBe(100);
    pass(500);
    converging.end();
    expect(log.slice(-2).map((line) => line.split(": ")[1])).toEqual(["held", "free"]);
    expect(machine.asked).toEqual([]);
  });

  test("leaves the devices of a paused machine alone", () => {
    const log: string[] = [];
    const machine = new ThrottledMachine({ streams: { nvme0: heldPart(log, true) } });
    machine.isRunning = true;
    const converging = new Converging({ machine, timers });
    for (let i = 1; i <= 2; i++) converging.round(second(i, 100, { nvme0: 90 }), facts, parameters);
    machine.isRunning = false;
    pass(500);
    converging.end();
    expect(log).toEqual(["0: held"]);
  });

  test("turns to harts where no device can be held", () => {
    const machine = new ThrottledMachine({ streams: { nvme0: heldPart([], false) } });
    const converging = new Converging({ machine, timers });
    for (let i = 1; i <= 2; i++) converging.round(second(i, 100, { nvme0: 90 }), facts, parameters);
    expect(machine.asked).toEqual([["auto-converge", 20]]);
  });
});

describe("the dirty rate", () => {
  test("by bitmap is that of each source", () => {
    const machine = new ThrottledMachine();
    const meter = new DirtyRateMeter(machine, timers);
    meter.start({ mode: "dirty-bitmap", periodMs: 1000, samplePages: 0 });
    expect(() => meter.start({ mode: "dirty-bitmap", periodMs: 1000, samplePages: 0 })).toThrow(
      "already being measured",
    );
    for (let page = 0; page < 8; page++) machine.write(page, 1);
    machine.write(3, 2);
    expect(meter.result.status).toBe("measuring");
    pass(1000);
    expect(meter.result).toMatchObject({ status: "measured", bytesPerSecond: 8 * 4096 });
    expect(meter.byHart).toEqual([8 * 4096]);
  });

  test("by samples is that of all memory", () => {
    const machine = new ThrottledMachine({ pages: 256 });
    const meter = new DirtyRateMeter(machine, timers);
    meter.start({ mode: "page-sampling", periodMs: 500, samplePages: 2 ** 18 });
    for (let page = 0; page < 256; page++) machine.write(page, 7);
    pass(500);
    expect(meter.result).toMatchObject({ status: "measured", bytesPerSecond: 2 * MIB });
  });
});

describe("a hart's limit", () => {
  const PAGES_PER_SECOND = 40;

  test("holds it from the page that is one too many to the end of the period", () => {
    const machine = new ThrottledMachine();
    const limits = new HartLimits(machine, timers);
    limits.set(PAGES_PER_SECOND * 4096);
    for (let page = 0; page < 3; page++) machine.write(page, 1);
    machine.write(0, 2);
    expect(machine.asked).toEqual([]);
    machine.write(3, 1);
    expect(machine.asked).toEqual([[0, "held"]]);
    pass(100);
    expect(machine.asked).toEqual([
      [0, "held"],
      [0, "free"],
    ]);
    const rate = PAGES_PER_SECOND * 4096;
    expect(limits.current).toEqual([{ hart: 0, bytesPerSecond: rate, currentBytesPerSecond: rate }]);
  });

  test("counts what it writes again in another period", () => {
    const machine = new ThrottledMachine();
    const limits = new HartLimits(machine, timers);
    limits.set(PAGES_PER_SECOND * 4096);
    for (let period = 0; period < 2; period++) {
      for (let page = 0; page < 4; page++) machine.write(page, period);
      pass(100);
    }
    expect(machine.asked.map(([, what]) => what)).toEqual(["held", "free", "held", "free"]);
  });

  test("lets go when it is taken back, and closes its epoch", () => {
    const machine = new ThrottledMachine();
    const limits = new HartLimits(machine, timers);
    limits.set(4096);
    machine.write(0, 1);
    limits.set(undefined);
    for (let page = 0; page < 9; page++) machine.write(page, 1);
    pass(1000);
    expect(machine.asked).toEqual([
      [0, "held"],
      [0, "free"],
    ]);
    expect([limits.current, machine.notes.openEpochs]).toEqual([[], 0]);
  });
});

describe("a dry run", () => {
  const control = (machine: SmallMachine, ended: () => void): MigrationControl => {
    const never = async (): Promise<never> => Promise.reject(new Error("nobody connects"));
    const made = new MigrationControl(
      {
        machine,
        blockedReasons: () => [],
        handedOver: () => expect.unreachable(),
        arrived: () => undefined,
        startsOnArrival: true,
        withOracle: false,
      },
      { timers, yield: { turn: async () => pass(1) }, connect: never, accept: never },
    );
    made.listen({ phase: (phase) => phase === "completed" && ended() });
    return made;
  };

  test("goes through rounds, tells what they would come to, and leaves the machine running", async () => {
    const machine = new SmallMachine();
    machine.isRunning = true;
    for (let page = 0; page < 64; page++) machine.write(page, 1);
    let made!: MigrationControl;
    await new Promise<void>((resolve) => {
      made = control(machine, resolve);
      void made.dryRun();
    });
    expect(made.progress).toMatchObject({ isDryRun: true, phase: "completed", prediction: { canMeet: true } });
    expect(made.progress!.rounds.length).toBeGreaterThan(0);
    expect([machine.isRunning, machine.starts]).toEqual([true, 0]);
  });

  test("of a machine that stands still is refused", async () => {
    await expect(control(new SmallMachine(), () => undefined).dryRun()).rejects.toThrow("The machine does not run");
  });
});
