import { describe, expect, test } from "vitest";
import { chooseTrackers, TRACKER_POLICIES, type TrackedDevice, type TrackerPolicy } from "./policy.ts";

const device = (name: string, has: string): TrackedDevice => ({
  name,
  hasLog: has.includes("log"),
  mayLog: !has.includes("off"),
  hasDirtyBits: has.includes("bits"),
  canMigrate: !has.includes("stays"),
});

function choices(policy: TrackerPolicy, ...devices: readonly string[]): string {
  const named = devices.map((has, i) => device(`d${i}`, has));
  return chooseTrackers(named, policy)
    .map((choice) => choice.tracker)
    .join(" ");
}

describe("one device", () => {
  test.each([
    ["log bits", "device", "device", "iommu", "device"],
    ["log", "device", "device", "none", "device"],
    ["log off", "none", "none", "none", "none"],
    ["log off bits", "iommu", "iommu", "iommu", "none"],
    ["bits", "iommu", "iommu", "iommu", "none"],
    ["", "none", "none", "none", "none"],
  ])("that has '%s'", (has, mixed, allOrNothing, iommuOnly, deviceOnly) => {
    expect(choices("mixed", has)).toBe(mixed);
    expect(choices("all-or-nothing", has)).toBe(allOrNothing);
    expect(choices("iommu-only", has)).toBe(iommuOnly);
    expect(choices("device-only", has)).toBe(deviceOnly);
  });
});

describe("several devices", () => {
  test("each by what it has, when mixed", () => {
    expect(choices("mixed", "log bits", "bits", "log", "")).toBe("device iommu device none");
  });

  test("all by the IOMMU when one cannot log; one without dirty bits is not silently clean", () => {
    expect(choices("all-or-nothing", "log bits", "log bits")).toBe("device device");
    expect(choices("all-or-nothing", "log bits", "bits")).toBe("iommu iommu");
    expect(choices("all-or-nothing", "log", "bits")).toBe("none iommu");
    expect(choices("all-or-nothing", "log off bits", "log bits")).toBe("iommu iommu");
    // QEMU does not even ask a device that stays.
    expect(choices("all-or-nothing", "log stays bits", "log bits")).toBe("iommu iommu");
    expect(choices("mixed", "log stays bits", "log bits")).toBe("device device");
  });

  test("only what has neither cannot be tracked at all", () => {
    const devices = [device("a", "log"), device("b", "bits"), device("c", "log off"), device("d", "")];
    for (const policy of TRACKER_POLICIES) {
      expect(chooseTrackers(devices, policy).map((choice) => choice.isUntrackable)).toEqual([false, false, true, true]);
    }
  });

  test("the reason names who decides", () => {
    const [first] = chooseTrackers([device("a", "log"), device("b", "bits")], "all-or-nothing");
    expect(first!.because).toBe(
      "all that it can reach counts as written: its page table has no dirty bits, and b has no log that counts: the device cannot log what it writes",
    );
  });
});
