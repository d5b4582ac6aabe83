import { deflateRawSync, inflateRawSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Timer } from "../base/index.ts";
import { dryChannel } from "./dry-channel.ts";
import {
  IncomingMigration,
  MigrationError,
  OutgoingMigration,
  pour,
  type MigrationChannel,
  type MigrationPhase,
  type PackingPort,
} from "./index.ts";
import type { OutgoingOptions } from "./outgoing.ts";
import { rehearseTaking } from "./rehearsal.ts";
import { FrameWriter } from "./stream/frame-writer.ts";
import { FrameHeader, PREAMBLE_BYTES } from "./stream/spec.ts";
import { makePipe, type PipeFaults } from "./testing/pipe.ts";
import { PAGES, SmallMachine } from "./testing/small-machine.ts";

/** A host whose time goes on by a millisecond a look, but whose timers are due soon; `onTurn` runs while the machine has its turn. */
function host(
  onTurn: () => void = () => undefined,
  lookNs: number = 1_000_000,
): Pick<OutgoingOptions, "timers" | "yield"> {
  let now = 0;
  const clock = { nowNs: () => (now += lookNs) };
  return {
    timers: { clock, create: makeTimer },
    yield: { turn: async () => onTurn() },
  };
}

function makeTimer(_name: string, fire: () => void): Timer {
  let timeout: ReturnType<typeof setTimeout> | undefined;
  const disarm = (): void => clearTimeout(timeout);
  const arm = (): void => {
    disarm();
    timeout = setTimeout(fire, 200);
  };
  return { arm, disarm, deadlineNs: undefined };
}

const packing: PackingPort = {
  pack: async (bytes) => deflateRawSync(bytes, { level: 1 }),
  unpack: (bytes, mostBytes) => {
    try {
      return inflateRawSync(bytes, { maxOutputLength: mostBytes });
    } catch {
      return undefined;
    }
  },
};
/** Longer than it takes until a channel is known to be slow. */
const SLOW_LOOK_NS = 250_000_000;

interface Move {
  readonly source: SmallMachine;
  readonly target: SmallMachine;
  readonly outgoing: OutgoingMigration;
  readonly phases: MigrationPhase[];
  /** How both ends ended. */
  readonly ends: Promise<PromiseSettledResult<void>[]>;
}

function move(
  options: {
    readonly source?: SmallMachine;
    readonly target?: SmallMachine;
    readonly faults?: PipeFaults;
    readonly isDuplex?: boolean;
    readonly onTurn?: (source: SmallMachine) => void;
    readonly onPhase?: (phase: MigrationPhase, outgoing: OutgoingMigration) => void;
    readonly onRound?: OutgoingOptions["onRound"];
    readonly lookNs?: number;
    readonly packing?: { readonly source?: PackingPort; readonly target?: PackingPort };
    readonly parameters?: OutgoingOptions["parameters"];
  } = {},
): Move {
  const { source = filled(), target = new SmallMachine() } = options;
  const [out, into] = makePipe(options.isDuplex, options.faults);
  const phases: MigrationPhase[] = [];
  const outgoing: OutgoingMigration = new OutgoingMigration({
    machine: source,
    channel: out,
    ...host(() => options.onTurn?.(source), options.lookNs),
    packing: options.packing?.source,
    onPhase(phase) {
      phases.push(phase);
      options.onPhase?.(phase, outgoing);
    },
    onRound: (round) => options.onRound?.(round),
    parameters: { maxBandwidth: 0, ...options.parameters },
  });
  const { target: unpacking } = options.packing ?? {};
  const incoming = new IncomingMigration({ machine: target, channel: into, starts: () => true, packing: unpacking });
  return { source, target, outgoing, phases, ends: Promise.allSettled([outgoing.run(), incoming.run()]) };
}

function filled(): SmallMachine {
  const machine = new SmallMachine();
  for (let page = 0; page < PAGES; page += 3) machine.write(page, page + 1);
  machine.isRunning = true;
  return machine;
}

/** As a file. */
async function saved(machine: SmallMachine): Promise<Uint8Array> {
  const stream: number[] = [];
  const file: MigrationChannel = { ...dryChannel, write: async (bytes) => void stream.push(...bytes) };
  await new OutgoingMigration({ machine, channel: file, ...host() }).run();
  return Uint8Array.from(stream);
}

/** The preamble, and each frame. */
function framesOf(stream: Uint8Array): Uint8Array[] {
  const frames = [stream.subarray(0, PREAMBLE_BYTES)];
  for (let at = PREAMBLE_BYTES; at < stream.length; at += frames.at(-1)!.length) {
    const { payloadBytes } = FrameHeader.decode(stream, at);
    frames.push(stream.subarray(at, at + FrameHeader.lengthBytes + payloadBytes));
  }
  return frames;
}

function isSame(a: SmallMachine, b: SmallMachine): boolean {
  return a.ram.bytes.every((byte, at) => byte === b.ram.bytes[at]);
}

function reasonOf(end: PromiseSettledResult<void> | undefined): MigrationError {
  if (end?.status !== "rejected") throw new Error("it did not fail");
  expect(end.reason).toBeInstanceOf(MigrationError);
  return end.reason as MigrationError;
}

describe("a machine", () => {
  test("arrives as it was, and runs on the other side only", async () => {
    const { source, target, ends, outgoing, phases } = move();
    expect((await ends).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    expect(isSame(target, source)).toBe(true);
    expect(target.counter.value).toBe(source.counter.value);
    expect([source.isRunning, target.isRunning]).toEqual([false, true]);
    expect(phases).toEqual(["active", "device", "completed"]);
    expect(outgoing.progress).toMatchObject({ remainingBytes: 0, phase: "completed", zeroPages: 42, normalPages: 22 });
    expect(outgoing.progress.downtimeMs).toBeGreaterThan(0);
    expect(source.notes.openEpochs).toBe(0);
  });

  test("that writes while it moves arrives with what it wrote last", async () => {
    let value = 0;
    const { source, target, ends, outgoing } = move({
      onTurn: (machine) => {
        if (machine.isRunning && value < 200) machine.write(value % PAGES, (value += 1));
      },
      parameters: { downtimeLimitMs: 0.1 },
    });
    await ends;
    expect(isSame(target, source)).toBe(true);
    expect(target.counter.value).toBe(source.counter.value);
    expect(outgoing.progress.rounds.length).toBeGreaterThan(1);
    expect([...outgoing.progress.rounds[0]!.bySource.keys()]).toEqual(["hart0"]);
  });

  test("expects what it writes to take as long as pages with bytes, however many were zero", async () => {
    const source = new SmallMachine({ pages: 8192 });
    for (let page = 0; page < 64; page++) source.write(page, 1);
    source.isRunning = true;
    let isWritten = false;
    const expectedMs: number[] = [];
    const { ends, outgoing } = move({
      source,
      target: new SmallMachine({ pages: 8192 }),
      onTurn: () => {
        if (isWritten || outgoing.progress.normalPages === 0) return;
        for (let page = 0; page < 64; page++) source.write(page, 2);
        isWritten = true;
      },
      onRound: () => expectedMs.push(outgoing.progress.expectedDowntimeMs),
    });
    await ends;
    const [first] = outgoing.progress.rounds;
    expect(first!.dirtyPages).toBe(64);
    expect(expectedMs[0]! / first!.durationMs).toBeGreaterThan(0.7);
    expect(expectedMs[0]! / first!.durationMs).toBeLessThan(1.1);
  });

  test("that stands still is moved in one pass, and is not started by it", async () => {
    const source = filled();
    source.isRunning = false;
    const { target, ends, outgoing } = move({ source });
    await ends;
    expect(isSame(target, source)).toBe(true);
    expect(outgoing.progress.rounds).toEqual([]);
    expect(source.starts).toBe(0);
  });

  test("goes to a file, which cannot answer", async () => {
    const { source, target, ends } = move({ isDuplex: false });
    expect((await ends).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    expect(isSame(target, source)).toBe(true);
  });

  test("arrives the same however a channel cuts its bytes", async () => {
    const source = filled();
    const bytes = await saved(source);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 20_000 }), { minLength: 1 }), async (lengths) => {
        let at = 0;
        let cuts = 0;
        const read: MigrationChannel["read"] = async (sink) => {
          while (at < bytes.length) {
            const piece = bytes.subarray(at, at + lengths[cuts++ % lengths.length]!);
            const left = pour(piece, sink);
            at += piece.length - (left?.length ?? 0);
            if (left !== undefined) return true;
          }
          return false;
        };
        const target = new SmallMachine();
        await new IncomingMigration({ machine: target, channel: { ...dryChannel, read }, starts: () => true }).run();
        expect(isSame(target, source)).toBe(true);
        expect(target.counter.value).toBe(source.counter.value);
      }),
      { numRuns: 20 },
    );
  });

  test("waits before the switchover when it is told to", async () => {
    const { ends, outgoing, phases, target } = move({ parameters: { pauseBeforeSwitchover: true } });
    while (!phases.includes("pre-switchover")) await Promise.resolve();
    expect(target.isRunning).toBe(false);
    outgoing.proceed();
    await ends;
    expect(phases).toEqual(["active", "pre-switchover", "device", "completed"]);
  });
});

test("what is rehearsed while a machine is waited for is taken whole", async () => {
  await expect(rehearseTaking()).resolves.toBeUndefined();
});

describe("a machine is refused by one that", () => {
  test.each([
    [{ machineType: "small-2.0" }, "The stream is of a machine small-1.0; this one is small-2.0"],
    [{ pages: 32 }, 'Memory "ram" has 262144 bytes in the stream and 131072 here'],
    [{ part: "timer" }, 'The stream has a part "counter", which this machine lacks'],
  ])("is another one: %j", async (options, message) => {
    const { source, target, ends } = move({ target: new SmallMachine(options) });
    const [out, into] = await ends;
    expect(reasonOf(into).message).toBe(message);
    expect(reasonOf(out).code).toMatch(/refused|channelLost/);
    expect([source.isRunning, target.isRunning]).toEqual([true, false]);
  });
});

describe("a source goes on", () => {
  test("but not when it is cancelled at the moment in which it has arrived", async () => {
    const { ends, target, phases } = move({
      onPhase: (phase, outgoing) => phase === "completed" && outgoing.cancel(),
    });
    expect((await ends).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    expect([target.isRunning, phases.at(-1)]).toEqual([true, "completed"]);
  });

  test("when it is cancelled, at any moment", async () => {
    for (let turns = 0; turns < 12; turns++) {
      let seen = 0;
      const made: Move = move({
        onTurn: () => {
          if (seen++ === turns) made.outgoing.cancel();
        },
        parameters: { downtimeLimitMs: 0.0001 },
      });
      const { source, target, ends, phases } = made;
      if (turns === 11) made.outgoing.cancel();
      const [out] = await ends;
      if (out!.status === "fulfilled") continue;
      expect(reasonOf(out).code).toBe("cancelled");
      expect(phases.at(-1)).toBe("cancelled");
      expect([source.isRunning, target.isRunning]).toEqual([true, false]);
      expect(source.notes.openEpochs).toBe(0);
    }
  });

  test("when the channel is cut at any byte; never do both sides run", async () => {
    const whole = 22 * 4096 + 2000;
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole }), async (cutAfterBytes) => {
        const { source, target, ends } = move({ faults: { cutAfterBytes } });
        await ends;
        expect(source.isRunning && target.isRunning).toBe(false);
        expect(source.notes.openEpochs).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});

describe("over a slow channel", () => {
  const pages = 2048;
  const written = (byteOf: (at: number) => number): SmallMachine => {
    const machine = new SmallMachine({ pages });
    for (let at = 0; at < machine.ram.bytes.length; at++) machine.ram.bytes[at] = byteOf(at);
    machine.isRunning = true;
    return machine;
  };
  const alike = (): SmallMachine => written((at) => 1 + ((at >>> 9) & 0x7f));
  const slow = { lookNs: SLOW_LOOK_NS, packing: { source: packing, target: packing } };

  test("memory is compressed once the channel is known to be slow, and arrives as it was", async () => {
    const target = new SmallMachine({ pages });
    const { source, ends, outgoing } = move({ ...slow, source: alike(), target });
    expect((await ends).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    expect(isSame(target, source)).toBe(true);
    const { sentBytes, normalPages } = outgoing.progress;
    expect(normalPages).toBe(pages);
    const [round] = outgoing.progress.rounds;
    expect(round!.sentBytes + round!.savedBytes).toBeGreaterThan(pages * 4096);
    const channel = /the channel takes ([0-9.]+) MiB a second/.exec(outgoing.progress.prediction!.reasons.join());
    expect((Number(channel![1]) * round!.durationMs) / 1000).toBeGreaterThan(7);
    // Of eight mebibytes one or two were sent before.
    expect(sentBytes).toBeGreaterThan(2 ** 20);
    expect(sentBytes).toBeLessThan(3 * 2 ** 20);
  });

  test("what compression does not make smaller goes as it is, and is not tried each time", async () => {
    let state = 1;
    const noise = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) >>> 24;
    let tries = 0;
    const counting: PackingPort = { ...packing, pack: (bytes) => packing.pack(bytes).finally(() => tries++) };
    const target = new SmallMachine({ pages });
    const { source, ends, outgoing } = move({
      ...slow,
      source: written(noise),
      target,
      packing: { source: counting, target: packing },
    });
    await ends;
    expect(isSame(target, source)).toBe(true);
    expect(outgoing.progress.sentBytes).toBeGreaterThan(pages * 4096);
    expect(tries).toBe(1);
  });

  test("nothing is compressed for a channel that keeps up", async () => {
    const { ends, outgoing } = move({ ...slow, lookNs: 1, source: alike(), target: new SmallMachine({ pages }) });
    await ends;
    expect(outgoing.progress.sentBytes).toBeGreaterThan(pages * 4096);
  });

  test("a target that cannot undo it says so, and the source goes on", async () => {
    const target = new SmallMachine({ pages });
    const { source, ends } = move({ ...slow, source: alike(), target, packing: { source: packing } });
    const [out] = await ends;
    expect(reasonOf(out).message).toBe("The other side refused: The stream is compressed, which cannot be undone here");
    expect([source.isRunning, target.isRunning]).toEqual([true, false]);
  });

  test.each([
    ["what was never packed", (): Uint8Array => Uint8Array.of(1, 2, 3), "that cannot be unpacked"],
    ["more than was ever packed", () => deflateRawSync(new Uint8Array(2 ** 21)), "that cannot be unpacked"],
    ["a part of a frame", () => deflateRawSync(Uint8Array.of(2, 0, 0)), "in which not all are whole frames of pages"],
    ["another frame", () => deflateRawSync(new FrameWriter().frame(4)), "in which not all are whole frames of pages"],
    ["a longer frame", () => deflateRawSync(Uint8Array.of(2, 0, 0, 0, 1, ...new Uint8Array(11))), "not all are whole"],
  ])("%s in a packed frame is refused", async (_, make, message) => {
    const wrong: PackingPort = { ...packing, pack: async () => make() };
    const target = new SmallMachine({ pages });
    const { source, ends } = move({ ...slow, source: alike(), target, packing: { source: wrong, target: packing } });
    const [, into] = await ends;
    expect(reasonOf(into).code).toBe("badStream");
    expect(reasonOf(into).message).toContain('begins a frame "packed"');
    expect(reasonOf(into).message).toContain(message);
    expect([source.isRunning, target.isRunning]).toEqual([true, false]);
  });
});

describe("a damaged stream", () => {
  test.each([
    ["in another's place", (frames: Uint8Array[]) => frames.splice(4, 0, ...frames.splice(6, 1)), "6, where 4"],
    ["missing", (frames: Uint8Array[]) => frames.splice(5, 1), "6, where 5"],
    ["doubled", (frames: Uint8Array[]) => frames.splice(5, 0, frames[5]!), "5, where 6"],
  ])("with a whole frame %s is refused", async (_, change, numbers) => {
    const frames = framesOf(await saved(filled()));
    change(frames);
    const read: MigrationChannel["read"] = async (sink) => {
      for (let next = frames.shift(); next !== undefined; next = frames.shift()) {
        const left = pour(next, sink);
        if (left === undefined) continue;
        frames.unshift(left);
        return true;
      }
      return false;
    };
    const incoming = new IncomingMigration({
      machine: new SmallMachine(),
      channel: { ...dryChannel, read },
      starts: () => true,
    });
    await expect(incoming.run()).rejects.toThrow(
      new RegExp(`^The stream is damaged: byte [0-9]+ begins a frame "pages" with number ${numbers} is due$`),
    );
  });

  test("whose frames are longer than they were keeps nobody waiting for ever", async () => {
    // By a mebibyte, more than comes.
    const damage = (bytes: Uint8Array): void => {
      if (bytes[0] === 2 && bytes.length > 4096) bytes[6]! ^= 16;
    };
    const { source, target, ends } = move({ faults: { damage } });
    const [out] = await ends;
    expect(reasonOf(out).code).toBe("channelLost");
    expect([source.isRunning, target.isRunning]).toEqual([true, false]);
  });

  test("is refused whichever byte is changed, and the source goes on", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 22 * 4096 }), fc.integer({ min: 1, max: 255 }), async (where, by) => {
        const damage = (bytes: Uint8Array, at: number): void => {
          if (where >= at && where < at + bytes.length) bytes[where - at]! ^= by;
        };
        const { source, target, ends } = move({ faults: { damage } });
        const [, into] = await ends;
        expect(["badStream", "unknownPart", "channelLost"]).toContain(reasonOf(into).code);
        expect([source.isRunning, target.isRunning]).toEqual([true, false]);
      }),
      { numRuns: 50 },
    );
  });
});
