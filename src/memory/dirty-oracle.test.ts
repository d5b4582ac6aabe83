import { describe, expect, test } from "vitest";
import { DirtyOracle, WorldPlan } from "./index.ts";

function setUp() {
  const plan = new WorldPlan();
  const ram = plan.ram("ram", 16 * 4096);
  plan.ram("rom", 4096, { readOnly: true });
  const world = plan.create();
  const epoch = world.notes.openEpoch("test");
  const oracle = new DirtyOracle(world);
  const device = world.notes.source("device");
  const page = (n: number): number => ram.offset / 4096 + n;
  return { ram, world, epoch, oracle, device, page };
}

describe("the oracle", () => {
  test("agrees with a round that has every write", () => {
    const { ram, world, epoch, oracle, device } = setUp();
    ram.bytes[3 * 4096] = 1;
    world.notes.noteWrite(device, ram.offset + 3 * 4096, 1);
    expect(oracle.check(epoch.read())).toEqual([]);
    expect(oracle.counts).toEqual({ rounds: 1, writtenPages: 1, reportedPages: 1, missedPages: 0 });
  });

  test("notices a changed byte that nobody reported", () => {
    const { ram, epoch, oracle, page } = setUp();
    ram.bytes[5 * 4096 + 4095] = 9;
    const missed = { page: page(5), block: "ram", offsetInBlock: 5 * 4096, writers: [] };
    expect(oracle.check(epoch.read())).toEqual([missed]);
    expect(oracle.check(epoch.read())).toEqual([]);
  });

  test("notices a write of what was there already, when told of it", () => {
    const { ram, epoch, oracle, page } = setUp();
    oracle.noteWrite("0000:01:00.0", ram.offset + 4095, 2);
    const missed = oracle.check(epoch.read());
    expect(missed.map((m) => m.page)).toEqual([page(0), page(1)]);
    expect(missed[0]!.writers).toEqual(["0000:01:00.0"]);
  });

  test("counts what was reported in vain", () => {
    const { ram, world, epoch, oracle, device } = setUp();
    world.notes.noteWrite(device, ram.offset, 4 * 4096);
    ram.bytes[0] = 1;
    expect(oracle.check(epoch.read())).toEqual([]);
    expect(oracle.counts).toMatchObject({ writtenPages: 1, reportedPages: 4 });
  });

  test("remembers a page from one round to the next only as it is", () => {
    const { ram, world, epoch, oracle, device } = setUp();
    ram.bytes[0] = 1;
    world.notes.noteWrite(device, ram.offset, 1);
    oracle.check(epoch.read());
    ram.bytes[0] = 0;
    expect(oracle.check(epoch.read())).toHaveLength(1);
  });
});
