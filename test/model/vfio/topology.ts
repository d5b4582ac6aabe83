// Random hosts: units with and without dirty tracking, with large and small pages, groups of several devices, mediated
// devices, logs here and there.
import { readHostDescription, unitProfiles, type HostPlan } from "../../../src/iommufd/index.ts";
import { TRACKER_POLICIES, type TrackerPolicy } from "../../../src/vfio/index.ts";
import { builtInKinds } from "../../../src/vfiohost/index.ts";
import type { Random } from "./random.ts";

export interface Topology {
  readonly host: HostPlan;
  readonly policy: TrackerPolicy;
  /** RAM lies so that the IOMMU can use large pages. */
  readonly largePages: boolean;
}

export type TrackingSourceKind = "dirty bits" | "device log" | "untracked reach";

const PROFILES = Object.keys(unitProfiles).filter((name) => name !== "mock");
export const MAX_NVME = 3;

/** With `favoured`, every device is tracked so, and nothing else. */
export function randomTopology(random: Random, favoured?: TrackingSourceKind): Topology {
  const { host, policy, largePages } = anyTopology(random);
  if (favoured === undefined)
    return { host: readHostDescription(JSON.stringify(host), builtInKinds), policy, largePages };
  const units = host.units.map((unit) => ({
    ...unit,
    ...(favoured === "dirty bits" && {
      profile: random.pick(["vtd-ssads", "smmuv3-httu", "amd"]),
      dirtyTracking: true,
    }),
  }));
  const physical = host.devices.filter(({ kind }) => kind !== "mdev-serial" || favoured !== "dirty bits");
  // What one untracked device reaches covers all others; a lone one shows what is lost of it.
  const isLone = favoured === "untracked reach" && random.chance(1, 2);
  const devices = physical
    .slice(0, isLone ? 1 : undefined)
    .map((device) => ({ ...device, dmaLog: favoured === "device log" }));
  return {
    host: readHostDescription(JSON.stringify({ units, devices }), builtInKinds),
    policy: favoured === "dirty bits" ? "iommu-only" : "device-only",
    largePages,
  };
}

function anyTopology(random: Random) {
  const largePages = random.chance(1, 4);
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
  const devices: { readonly kind: string; readonly [field: string]: unknown }[] = [];
  let nvmes = 0;
  for (let group = 1; group <= random.between(1, 4); group++) {
    const unit = random.pick(units).id;
    for (let fn = 0; fn < random.between(1, 2); fn++) {
      const place = { bdf: `0000:0${group}:00.${fn}`, unit, group };
      const able = { dmaLog: random.chance(1, 3), migration: ["stop-copy", "p2p"] };
      if (nvmes < MAX_NVME && random.chance(1, 3)) {
        nvmes += 1;
        devices.push({ ...place, ...able, kind: "nvme", properties: { serial: `n${nvmes}`, drive: `d${nvmes}` } });
      } else devices.push({ ...place, ...able, kind: "dma-engine" });
    }
  }
  if (random.chance(1, 3)) {
    const dma = random.pick(["pin", "copy"]);
    devices.push({ id: "m0", kind: "mdev-serial", dmaLog: random.chance(1, 2), properties: { dma } });
  }
  return { host: { units, devices }, policy: random.pick(TRACKER_POLICIES), largePages };
}
