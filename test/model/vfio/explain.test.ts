// What `explain` says of a description is what a machine then meets, device by device and call by call.
import { expect, test } from "vitest";
import { readHostDescription, unitProfiles, type HostPlan } from "../../../src/iommufd/index.ts";
import { DMA_MODES, MIGRATION_WISHES, TRACKER_POLICIES, type PlannedUse } from "../../../src/vfio/index.ts";
import { builtInKinds } from "../../../src/vfiohost/index.ts";
import { meet, MEMORY, saidOf } from "./meet.ts";
import { Random } from "./random.ts";

const PROFILES = Object.keys(unitProfiles).filter((name) => name !== "mock");
const ABILITIES = [[], ["stop-copy"], ["stop-copy", "p2p"], ["stop-copy", "p2p", "pre-copy"]];

function randomPlan(random: Random): HostPlan {
  const units = Array.from({ length: random.between(1, 3) }, (_, i) => {
    const profile = random.pick(PROFILES);
    return {
      id: `u${i}`,
      profile,
      dirtyTracking: unitProfiles[profile]!.dirtyTracking && random.chance(2, 3),
      cacheCoherency: random.pick(["snoop", "snoop", "enforced", "none"]),
      ...(random.chance(1, 8) && { aperture: { start: "0x0", last: "0x7fffffff" } }),
      reserved: random.chance(1, 8) ? [{ start: "0x80080000", last: "0x80080fff", kind: "reserved" }] : [],
    };
  });
  const groups = [1, 2, 3].map((id) => ({ id, isolatedMsi: random.chance(5, 6) }));
  const places = groups.map(() => random.pick(units).id);
  const common = () => ({ dmaLog: random.chance(1, 2), migration: random.pick(ABILITIES) });
  const devices: object[] = Array.from({ length: random.between(1, 5) }, (_, i) => {
    const group = random.between(1, 3);
    const where = { bdf: `0000:0${group}:0${i}.0`, unit: places[group - 1]!, group };
    return { kind: "dma-engine", ...where, ...common() };
  });
  if (random.chance(1, 2)) devices.push({ id: "m0", kind: "mdev-serial", ...common() });
  const used = groups.filter(({ id }) => devices.some((device) => (device as { group?: number }).group === id));
  return readHostDescription(JSON.stringify({ units, groups: used, devices }), builtInKinds);
}

function randomUse(random: Random): PlannedUse {
  return {
    policy: random.pick(TRACKER_POLICIES),
    mode: random.pick(DMA_MODES),
    wish: random.pick(MIGRATION_WISHES),
    mayLog: random.chance(3, 4),
    memory: MEMORY,
  };
}

test("on a hundred random hosts", () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const random = new Random(seed);
    const plan = randomPlan(random);
    const use = randomUse(random);
    const { reasons, ...said } = saidOf(plan, use);
    expect({ seed, ...meet(plan, use) }).toEqual({ seed, ...said });
    for (const reason of reasons) seen.add(`${reason.what} ${reason.refusal.call} ${reason.refusal.errno}`);
  }
  // Each kind of reason came up.
  expect(seen.size).toBeGreaterThanOrEqual(9);
});
