// Each step of a scenario that touches every object type is made to fail in turn. What refuses leaves the host as it was, the
// same call then succeeds, the scenario ends as if nothing had been, and nothing stays behind.
import { beforeAll, describe, expect, test } from "vitest";
import { Errno } from "../uapi/index.ts";
import { attachDevice } from "./attach-device.ts";
import { everyObject, leaveScene, makeScene } from "./test-scenario.ts";
import type { FailPoint } from "./host-memory.ts";
import { testBench } from "./test-bench.ts";
import { NO_PASID } from "./unit.ts";
import { unitProfiles } from "./unit-description.ts";

// What 7.2 itself forgets to undo has tests of its own.
const SOUND = { kernelQuirks: false };
const NOTHING = { pinnedPages: 0, accountsClear: true, openContexts: 0 };
const EMPTY = { contexts: [], frames: [], accounting: { users: [], spaces: [] } };
const billed = { credentials: { capable: (c: string) => c !== "IPC_LOCK" }, space: { id: 1 } };

/** A failure that is to happen: the `nth` of its kind, while step `at` runs. */
interface Failure {
  readonly point: FailPoint;
  readonly nth: number;
  readonly at: number;
}

/** Runs every step and gives the last snapshot. The step that is refused must have changed nothing, and is made again. */
function play(failure?: Failure): object {
  const bench = testBench(SOUND, billed);
  const scene = makeScene(bench);
  if (failure !== undefined) bench.host.failNext(failure.point, failure.nth);
  for (const [i, step] of everyObject.entries()) {
    if (i !== failure?.at) {
      step.run(scene);
      continue;
    }
    const before = bench.host.snapshot();
    expect(() => step.run(scene), step.name).toThrow(/refused|failed with|no mock device/);
    expect(bench.host.awaitsFailure).toBe(false);
    if (step.outlivesReply === true && failure.point === "reply") continue;
    const doorbells = step.leavesDoorbells === true && failure.point === "attach";
    if (!doorbells) expect(bench.host.snapshot(), `after "${step.name}" failed`).toEqual(before);
    step.run(scene);
  }
  const end = bench.host.snapshot();
  leaveScene(scene);
  bench.caller.files.closeAll();
  expect(bench.host.audit()).toEqual(NOTHING);
  expect(bench.host.snapshot()).toEqual(EMPTY);
  return end;
}

/** Every step of the host that could fail, in the order of the scenario's steps. */
function failures(): Failure[] {
  const bench = testBench(SOUND, billed);
  const scene = makeScene(bench);
  const counts = bench.host.countSteps();
  const found: Failure[] = [];
  for (const [at, step] of everyObject.entries()) {
    const before = new Map(counts);
    step.run(scene);
    for (const [point, count] of counts) {
      for (let nth = (before.get(point) ?? 0) + 1; nth <= count; nth++) found.push({ point, nth, at });
    }
  }
  leaveScene(scene);
  bench.caller.files.closeAll();
  return found;
}

/** Steps of this room; the others belong to device files. */
const POINTS = [
  "alloc",
  "lookup",
  "pin",
  "account",
  "map",
  "domain",
  "attach",
  "tracking",
  "invalidate",
  "hw-info",
  "viommu",
  "queue",
  "descriptor",
  "reply",
] as const;

describe("a scenario that touches every object type", () => {
  let end: object;
  let all: readonly Failure[];
  beforeAll(() => {
    end = play();
    all = failures();
  });

  test("holds every type at its end", () => {
    const [context] = (end as { contexts: { objects: { type: string }[] }[] }).contexts;
    expect([...new Set(context!.objects.map((o) => o.type))].sort()).toEqual([
      ...["access", "device", "fault", "hw-queue", "hwpt-nested", "hwpt-paging", "ioas", "selftest"],
      ...["vdevice", "veventq", "viommu"],
    ]);
  });

  test("takes every kind of step", () => {
    expect([...new Set(all.map((f) => f.point))].sort()).toEqual([...POINTS].sort());
  });

  test.for(POINTS)(
    "with any %s step failing, changes nothing, goes on as if it had not, and leaves nothing",
    (point) => {
      for (const failure of all.filter((f) => f.point === point)) {
        expect(play(failure), `${point}:${failure.nth}, at the end`).toEqual(end);
      }
    },
  );
});

test("a step beyond those that a program takes never fails", () => {
  expect(() => play({ point: "pin", nth: 1000, at: -1 })).not.toThrow();
});

test("the errno is the kernel's for that step", () => {
  const refusal = (point: FailPoint, nth = 1): number => {
    const b = testBench(SOUND, billed);
    const ioas_id = b.client.ioasAlloc();
    attachDevice(b.bind(unitProfiles["vtd"]!).bound, NO_PASID, ioas_id);
    b.host.failNext(point, nth);
    return b.client.attempt("ioasMap", { flags: 7, ioas_id, iova: 0x10_0000n, length: 0x1000n }).errno;
  };
  expect(refusal("lookup")).toBe(Errno.ENOENT);
  expect(refusal("alloc")).toBe(Errno.ENOMEM);
  expect(refusal("pin")).toBe(Errno.EFAULT);
  expect(refusal("account")).toBe(Errno.ENOMEM);
  expect(refusal("map")).toBe(Errno.ENOMEM);
  expect(refusal("reply")).toBe(Errno.EFAULT);
  expect(refusal("pin", 2)).toBe(0);
});
