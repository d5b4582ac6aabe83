// Random hosts: units with and without dirty tracking, with large and small pages, groups of several devices, mediated
// devices, logs here and there.
import { readHostDescription, unitProfiles, type HostPlan } from "../../../src/iommufd/index.ts";
import { TRACKER_POLICIES, type TrackerPolicy } from "../../../src/vfio/index.ts";
import { builtInKinds } from "../../../src/vfiohost/index.ts";
import type { Random } from "./random.ts";

export interface Topology {
  readonly host: HostPlan;
  readonly policy: TrackerPolicy;
}

const PROFILES = Object.keys(unitProfiles).filter((name) => name !== "mock");

export function randomTopology(random: Random): Topology {
  const units = Array.from({ length: random.between(1, 3) }, (_, i) => {
    const profile = random.pick(PROFILES);
    const { pageSizes, dirtyTracking } = unitProfiles[profile]!;
    return {
      id: `u${i}`,
      profile,
      cacheCoherency: random.pick(["snoop", "enforced"]),
      isolatedMsi: true,
      // A model with dirty tracking may stand here without, and small pages alone are a unit too.
      dirtyTracking: dirtyTracking && random.chance(4, 5),
      ...(random.chance(1, 3) && { pageSizes: [Math.min(...pageSizes)] }),
      // Every byte below 16 MiB may be memory here.
      reserved: [],
    };
  });
  const devices: object[] = [];
  for (let group = 1; group <= random.between(1, 4); group++) {
    const unit = random.pick(units).id;
    for (let fn = 0; fn < random.between(1, 2); fn++) {
      const dmaLog = random.chance(1, 3);
      const bdf = `0000:0${group}:00.${fn}`;
      devices.push({ bdf, kind: "dma-engine", unit, group, dmaLog, migration: ["stop-copy", "p2p"] });
    }
  }
  if (random.chance(1, 3)) {
    const dma = random.pick(["pin", "copy"]);
    devices.push({ id: "m0", kind: "mdev-serial", dmaLog: random.chance(1, 2), properties: { dma } });
  }
  return {
    host: readHostDescription(JSON.stringify({ units, devices }), builtInKinds),
    policy: random.pick(TRACKER_POLICIES),
  };
}
