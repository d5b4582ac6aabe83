import { describe, expect, test } from "vitest";
import { Errno } from "../iommufd/index.ts";
import { migrationBlockers, refusedWish, type MigratingDevice } from "./blockers.ts";

const full = { stopCopy: true, p2p: true, preCopy: true };
const tracked = { device: "", tracker: "device", because: "", isUntrackable: false } as const;
const untracked = { ...tracked, tracker: "none", isUntrackable: true } as const;

function device(name: string, but: Partial<MigratingDevice> = {}): MigratingDevice {
  return { name, wish: "auto", answer: full, isMediated: false, unitHasDirtyBits: false, choice: tracked, ...but };
}

function messages(...devices: readonly MigratingDevice[]): string[] {
  return migrationBlockers(devices).map((blocker) => blocker.message);
}

describe("blockers", () => {
  test("are none for devices that migrate and are tracked", () => {
    expect(messages(device("a"), device("b"))).toEqual([]);
  });

  test("a device that is not to migrate", () => {
    expect(messages(device("a", { wish: "off" }))).toEqual(["a: Migration is disabled for VFIO device"]);
  });

  test("a device whose driver has no migration", () => {
    expect(messages(device("a", { answer: { errno: Errno.ENOTTY } }))).toEqual([
      "a: VFIO migration is not supported in kernel",
    ]);
  });

  test("a device that fails to answer, or has no stop-and-copy", () => {
    expect(messages(device("a", { answer: { errno: Errno.ENODEV } }))).toEqual([
      "a: Migration couldn't be initialized for VFIO device, err: -19 (No such device)",
    ]);
    expect(messages(device("a", { answer: { stopCopy: false, p2p: true, preCopy: true } }))).toEqual([
      "a: Migration couldn't be initialized for VFIO device, err: -95 (Operation not supported)",
    ]);
  });

  test("several devices of which one has no P2P; alone it may lack it", () => {
    const lone = device("b", { answer: { stopCopy: true, p2p: false, preCopy: true } });
    expect(messages(lone)).toEqual([]);
    expect(messages(device("a"), lone)).toEqual([
      "Multiple VFIO devices migration is supported only if all of them support P2P migration",
    ]);
    // One that does not migrate is nobody's peer.
    expect(messages(device("a", { wish: "off" }), lone)).toHaveLength(1);
  });

  test("a device that nobody tracks, unless the operator insists", () => {
    const message = "a: VFIO device doesn't support device and IOMMU dirty tracking";
    expect(messages(device("a", { choice: untracked }))).toEqual([message]);
    expect(messages(device("a", { choice: untracked, wish: "on" }))).toEqual([]);
  });

  test("a device that must migrate is refused by what it lacks, and by a peer that cannot fall silent", () => {
    const lone = { stopCopy: true, p2p: false, preCopy: true };
    const refused = (...devices: readonly MigratingDevice[]): string | undefined => refusedWish(devices)?.device;
    expect(refused(device("a", { answer: lone }), device("b", { wish: "on" }))).toBe("a");
    expect(refused(device("a"), device("b", { wish: "on", answer: lone }))).toBe("b");
    expect(refused(device("a", { wish: "off", answer: lone }), device("b", { wish: "on" }))).toBeUndefined();
    expect(refused(device("a", { answer: { errno: Errno.ENOTTY } }), device("b", { wish: "on" }))).toBeUndefined();
    expect(refused(device("b", { wish: "on", answer: { errno: Errno.ENOTTY } }))).toBe("b");
    expect(refused(device("b", { wish: "on", choice: untracked }))).toBeUndefined();
  });

  test("say which call it was and what would do", () => {
    const [physical] = migrationBlockers([device("a", { choice: untracked })]);
    expect(physical!.refusal).toMatchObject({
      errno: Errno.EOPNOTSUPP,
      remedy: "dmaLog true, or a unit with dirtyTracking",
    });
    const [mediated] = migrationBlockers([device("m", { choice: untracked, isMediated: true })]);
    expect(mediated!.refusal).toMatchObject({ errno: Errno.ENOTTY, remedy: "dmaLog true" });
  });
});
