import { describe, expect, test } from "vitest";
import { Errno, IommufdError, makeGroup } from "../iommufd/index.ts";
import { AutoDomains, type AttachableDevice } from "./autodomains.ts";
import { makeRig, OTHER_UNIT, PLAIN_UNIT, TRACKING_UNIT } from "./testing/rig.ts";

function setUp() {
  const rig = makeRig();
  const ioasId = rig.iommufd.ioasAlloc();
  return { rig, ioasId, domains: new AutoDomains(rig.iommufd, ioasId) };
}

describe("a device is attached", () => {
  test("to a page table of its own, with dirty bits when its unit has them", () => {
    const { rig, domains } = setUp();
    expect(domains.attach(rig.device(TRACKING_UNIT))?.hasDirtyBits).toBe(true);
    expect(domains.attach(rig.device(PLAIN_UNIT))?.hasDirtyBits).toBe(false);
    expect(domains.domains).toHaveLength(2);
  });

  test("to the newest page table that takes it", () => {
    const { rig, domains } = setUp();
    const tracking = domains.attach(rig.device(TRACKING_UNIT));
    const plain = domains.attach(rig.device(PLAIN_UNIT));
    domains.attach(rig.device(OTHER_UNIT));
    // A unit with dirty bits takes a page table without them, and the one without is newer.
    expect(domains.attach(rig.device(TRACKING_UNIT))).toBe(plain);
    expect(domains.attach(rig.device(PLAIN_UNIT))).toBe(plain);
    expect(tracking!.devices.size).toBe(1);
    expect(domains.domains).toHaveLength(3);
  });

  test("where its group is", () => {
    const { rig, domains } = setUp();
    const group = makeGroup(7);
    const first = domains.attach(rig.device(TRACKING_UNIT, { group }));
    domains.attach(rig.device(OTHER_UNIT));
    expect(domains.attach(rig.device(TRACKING_UNIT, { group }))).toBe(first);
  });

  test("to the IOAS when it is mediated", () => {
    const { domains, ioasId } = setUp();
    const tables: number[] = [];
    const device = {
      name: "m0",
      deviceId: 9,
      isMediated: true,
      attach: (id: number) => void tables.push(id),
      detach() {},
    };
    expect(domains.attach(device)).toBeUndefined();
    expect(tables).toEqual([ioasId]);
    expect(domains.domains).toEqual([]);
  });
});

describe("a device is not attached", () => {
  const refusing = (errno: Errno): AttachableDevice => ({
    name: "bad",
    deviceId: 1,
    isMediated: false,
    attach() {
      throw new IommufdError("VFIO_DEVICE_ATTACH_IOMMUFD_PT", errno);
    },
    detach() {},
  });

  test("when an existing page table fails with anything but EINVAL", () => {
    const { rig, domains } = setUp();
    domains.attach(rig.device(TRACKING_UNIT));
    expect(() => domains.attach(refusing(Errno.ENOMEM))).toThrow(expect.objectContaining({ code: "ENOMEM" }));
    expect(domains.domains).toHaveLength(1);
  });

  test("when its own page table does not take it, which is destroyed", () => {
    const { rig, domains } = setUp();
    const { deviceId } = rig.device(TRACKING_UNIT);
    const before = JSON.stringify(rig.host.audit());
    expect(() => domains.attach({ ...refusing(Errno.EINVAL), deviceId })).toThrow(IommufdError);
    expect(domains.domains).toEqual([]);
    expect(JSON.stringify(rig.host.audit())).toBe(before);
  });

  test("when its unit reports dirty tracking and then refuses it", () => {
    const { rig, domains } = setUp();
    const device = rig.device(TRACKING_UNIT);
    const flags: (number | undefined)[] = [];
    const calls = {
      getHwInfo: (id: number) => rig.iommufd.getHwInfo(id),
      destroy: (id: number) => rig.iommufd.destroy(id),
      hwptAlloc: (options: { readonly flags?: number }): number => {
        flags.push(options.flags);
        throw new IommufdError("IOMMU_HWPT_ALLOC", Errno.EOPNOTSUPP);
      },
    };
    expect(() => new AutoDomains(calls, 1).attach(device)).toThrow(expect.objectContaining({ code: "EOPNOTSUPP" }));
    expect(flags).toEqual([2]);
    expect(domains.domains).toEqual([]);
  });
});

test("a page table goes with its last device, and is not offered again", () => {
  const { rig, domains, ioasId } = setUp();
  const [a, b] = [rig.device(TRACKING_UNIT), rig.device(TRACKING_UNIT)];
  domains.attach(a);
  domains.attach(b);
  domains.detach(a);
  expect(domains.domainOf(b)?.devices).toEqual(new Set([b]));
  domains.detach(b);
  expect(domains.domains).toEqual([]);
  rig.iommufd.destroy(ioasId);
  a.unbind();
  b.unbind();
  rig.iommufd.close();
  expect(rig.host.audit()).toEqual({ pinnedPages: 0, accountsClear: true, openContexts: 0 });
});
