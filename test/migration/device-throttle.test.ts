// A device that writes faster than its machine can be sent, in simulated time: without x-device-throttle rounds lead nowhere,
// with it the machine arrives with all that was written.
import { afterEach, expect, test } from "vitest";
import { readHostDescription } from "../../src/iommufd/index.ts";
import { PciBench } from "../../src/machine/testing/pci-bench.ts";
import {
  IncomingMigration,
  OutgoingMigration,
  type MigrationParameters,
  type MigrationRound,
} from "../../src/migration/index.ts";
import { makePipe } from "../../src/migration/testing/pipe.ts";
import { builtInKinds } from "../../src/vfiohost/index.ts";

const RAM = 0x8000_0000;
const REGISTERS = 0x4000_0000;
const STEP_NS = 100_000;
/** The engine writes all of its area some twenty times a second; the channel would need a tenth of a second for it. */
const AREA_BYTES = 2 ** 20;
const ENGINE_BYTES_PER_US = 20;
const CHANNEL_BYTES_PER_US = 10;
const DOWNTIME_MS = 20;

const immediate = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A machine with an engine in slot 2 whose time goes on by itself, a step in each turn of the event loop. */
class SimulatedMachine {
  readonly bench: PciBench;
  #isOver = false;

  constructor(incoming: boolean) {
    const description = {
      units: [{ id: "u0", profile: "vtd-ssads" }],
      devices: [
        { bdf: "0000:01:00.0", kind: "dma-engine", unit: "u0", group: 1, migration: ["stop-copy", "p2p", "pre-copy"] },
      ],
    };
    const host = readHostDescription(JSON.stringify(description), builtInKinds);
    let isWoken = false;
    this.bench = new PciBench(
      [{ driver: "vfio-pci", properties: { host: "0000:01:00.0", iommufd: "f0", addr: "2" } }],
      {
        iommufds: [{ id: "f0", host, policy: "mixed" }],
        memoryBytes: 8 << 20,
        incoming,
        turns: {
          turn: immediate,
          sleep: async (delayMs = Infinity) => {
            isWoken = false;
            const until = this.nowMs + delayMs;
            while (!isWoken && !this.#isOver && this.nowMs < until) await immediate();
          },
          wake: () => (isWoken = true),
        },
      },
    );
    open.push(this);
    void this.#goOn();
  }

  get nowMs(): number {
    return this.bench.timers.clock.nowNs() / 1e6;
  }

  /** Words that count up from 1, in each pass over the area one higher. */
  startEngine(): void {
    const { bench } = this;
    const config = bench.ecam(0, 2);
    bench.write(config + 0x10, REGISTERS);
    bench.write(config + 4, 6, 2);
    const registers = { 0x08: 1, 0x1c: ENGINE_BYTES_PER_US, 0x28: RAM + 0x10_0000, 0x30: AREA_BYTES, 0x34: 1 };
    for (const [at, value] of Object.entries(registers)) bench.write(REGISTERS + Number(at), value >>> 0);
    bench.write(REGISTERS + 0x38, 0xffff_ffff);
    bench.write(REGISTERS + 0x48, 6);
  }

  get passes(): number {
    return this.bench.read(REGISTERS + 0x4c);
  }

  /** Passes that words of the area are of and that are neither the one under way nor the one before. */
  strangePasses(): number[] {
    const words = Array.from({ length: AREA_BYTES / 4 / 509 }, (_, n) => n * 509);
    const found = words.map((i) => this.bench.read(RAM + 0x10_0000 + 4 * i) - 1 - i);
    return found.filter((pass) => pass !== this.passes && pass !== this.passes - 1);
  }

  get ram(): Uint8Array {
    const { blocks, u8 } = this.bench.world;
    const { offset, lengthBytes } = blocks.find(({ name }) => name === "virt.ram")!;
    return u8.subarray(offset, offset + lengthBytes);
  }

  async pass(ms: number): Promise<void> {
    const until = this.nowMs + ms;
    while (this.nowMs < until) await immediate();
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.bench.machine.close();
  }

  async #goOn(): Promise<void> {
    while (!this.#isOver) {
      await immediate();
      this.bench.timers.advanceByNs(STEP_NS);
    }
  }
}

const open: SimulatedMachine[] = [];
afterEach(async () => {
  for (const made of open.splice(0)) await made.close();
});

async function atWork(): Promise<SimulatedMachine> {
  const source = new SimulatedMachine(false);
  // Pages of zeroes would be sent in no time.
  source.ram.fill(0x5a);
  source.startEngine();
  source.bench.machine.start();
  await source.pass(100);
  return source;
}

/** To `into`, as slowly as the channel is. */
function leaving(
  source: SimulatedMachine,
  into: ReturnType<typeof makePipe>[0],
  parameters: Partial<MigrationParameters>,
  onRound: (round: MigrationRound) => void = () => undefined,
): OutgoingMigration {
  const { timers, machine } = source.bench;
  const channel = {
    name: "slow",
    isDuplex: true,
    unwrittenBytes: 0,
    write: async (bytes: Uint8Array) => {
      const until = source.nowMs + bytes.length / CHANNEL_BYTES_PER_US / 1000;
      while (source.nowMs < until) await immediate();
      await into.write(bytes);
    },
    read: into.read.bind(into),
    flush: () => into.flush(),
    close: () => into.close(),
  };
  return new OutgoingMigration({
    ...{ machine: machine.movable, channel, timers, yield: { turn: immediate }, onRound },
    parameters: { maxBandwidth: 0, dirtyOracle: true, downtimeLimitMs: DOWNTIME_MS, ...parameters },
  });
}

test("without x-device-throttle it never comes to its end, which is predicted with the reason", async () => {
  const source = await atWork();
  const target = new SimulatedMachine(true);
  const [out, into] = makePipe();
  const arriving = new IncomingMigration({
    machine: target.bench.machine.movable,
    channel: into,
    starts: () => false,
  }).run();
  const outgoing = leaving(source, out, { autoConverge: true }, () => {
    if (source.nowMs > 4000) outgoing.cancel();
  });
  await Promise.all([
    expect(outgoing.run()).rejects.toMatchObject({ code: "cancelled" }),
    expect(arriving).rejects.toMatchObject({ code: "channelLost" }),
  ]);
  const { rounds, prediction, oracle, deviceThrottlePercent, throttlePercent } = outgoing.progress;
  expect(rounds.length).toBeGreaterThan(20);
  // All of the area, in each round.
  for (const { dirtyPages } of rounds) expect(dirtyPages).toBeGreaterThanOrEqual(AREA_BYTES / 4096);
  expect(prediction).toMatchObject({ canMeet: false, dominant: expect.stringMatching(/^vfio page table \d+$/) });
  expect(prediction!.reasons.at(-1)).toContain("x-device-throttle");
  expect([deviceThrottlePercent, oracle?.missedPages]).toEqual([0, 0]);
  expect(throttlePercent).toBe(0);
  const before = source.passes;
  await source.pass(200);
  expect(source.bench.machine.runState).toBe("running");
  expect(source.passes).toBeGreaterThan(before);
});

test("with it the engine is held for a part of the time, and the machine arrives with all that was written", async () => {
  const source = await atWork();
  await source.pass(1000);
  const passesASecond = source.passes;
  const target = new SimulatedMachine(true);
  const [out, into] = makePipe();
  const steps: number[] = [];
  const outgoing = leaving(source, out, { deviceThrottlePercent: 100 }, () => {
    const { deviceThrottlePercent } = outgoing.progress;
    if (steps.at(-1) !== deviceThrottlePercent) steps.push(deviceThrottlePercent);
  });
  const arriving = new IncomingMigration({
    machine: target.bench.machine.movable,
    channel: into,
    starts: () => false,
  }).run();
  await Promise.all([outgoing.run(), arriving]);
  source.bench.machine.handedOver();
  const { oracle, downtimeMs, rounds } = outgoing.progress;
  expect(steps.slice(0, 2)).toEqual([0, 50]);
  expect(oracle).toMatchObject({ missedPages: 0, missed: [] });
  expect(rounds.at(-1)!.dirtyPages).toBeLessThan(AREA_BYTES / 4096);
  expect(downtimeMs).toBeLessThan(2 * DOWNTIME_MS);
  expect(Buffer.compare(target.ram, source.ram)).toBe(0);
  const { passes } = source;
  expect(target.strangePasses()).toEqual([]);
  // There it goes on, as fast as it did at first.
  target.bench.machine.arrived();
  target.bench.machine.start();
  await target.pass(1000);
  expect(target.passes - passes).toBeGreaterThan(passesASecond * 0.8);
  expect(target.strangePasses()).toEqual([]);
});
