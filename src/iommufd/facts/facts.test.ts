// What is said beforehand is what the host then does.
import { describe, expect, test } from "vitest";
import { attachDevice, replaceDevice } from "../software/attach-device.ts";
import { bindDevice } from "../software/bound-device.ts";
import { DescribedDevice, DescribedUnit } from "../software/described-unit.ts";
import { testBench } from "../software/test-bench.ts";
import { makeGroup, NO_PASID } from "../software/unit.ts";
import { unitProfiles, type UnitDescription } from "../software/unit-description.ts";
import { Errno, HwptAllocFlag } from "../uapi/index.ts";
import { attachRefusal, bindRefusal, memoryRefusal, planAttachments } from "./attachment.ts";
import { migrationRefusals, trackerOf } from "./migration.ts";

const vtd = unitProfiles["vtd"]!;
const UNITS: Readonly<Record<string, UnitDescription>> = {
  ...unitProfiles,
  "vtd without enforcement": { ...vtd, cacheCoherency: "snoop" },
  "vtd with small pages": { ...vtd, pageSizes: [0x1000] },
  "vtd with 39 bits": { ...vtd, apertureLast: 0x7f_ffff_ffffn },
  "riscv with 39 bits": { ...unitProfiles["riscv"]!, apertureLast: 0x3f_ffff_ffffn },
  "vtd with dirty bits, without enforcement": { ...vtd, dirtyTracking: true, cacheCoherency: "snoop" },
};
const NAMES = Object.keys(UNITS);

function subject(name: string, unit: string, group = name) {
  const description = UNITS[unit]!;
  return {
    name,
    unit: { id: unit, description },
    group: { id: NAMES.indexOf(unit) * 100 + Number(group), isolatedMsi: description.isolatedMsi },
    reserved: description.reserved,
  };
}

describe("attaching", () => {
  test.for(NAMES.flatMap((first) => NAMES.map((second) => [first, second] as const)))(
    "a page table made for %s and a device behind %s",
    ([first, second]) => {
      const b = testBench();
      const ioasId = b.client.ioasAlloc();
      const maker = b.bind(UNITS[first]!);
      const taker = b.bind(UNITS[second]!);
      const dirtyBits = UNITS[first]!.dirtyTracking;
      const flags = dirtyBits ? HwptAllocFlag.DIRTY_TRACKING : 0;
      const hwpt = b.client.hwptAlloc({ deviceId: maker.bound.id, parentId: ioasId, flags });
      const made = maker.bound.device.unit as DescribedUnit;
      const { model, pageSizes, apertureStart, apertureLast } = UNITS[first]!;
      const needs = {
        unitId: made.id,
        model,
        pageSizes: pageSizes.reduce((bitmap, bytes) => bitmap | BigInt(bytes), 0n),
        apertureStart,
        apertureLast,
        dirtyBits,
        enforcedCoherency: UNITS[first]!.cacheCoherency === "enforced",
        pageRequests: false,
      };
      const refusal = attachRefusal(needs, taker.bound.device.unit as DescribedUnit);
      expect(attachDevice(taker.bound, NO_PASID, hwpt)).toBe(refusal === undefined ? hwpt : -refusal.errno);
    },
  );

  test("a VMM that tries each table gets the planned ones", () => {
    const order = ["vtd-ssads", "vtd", "vtd without enforcement", "vtd", "amd", "smmuv3-httu", "vtd-ssads"];
    const plan = planAttachments(order.map((unit, i) => subject(String(i), unit)));
    expect(plan.tables.map((t) => t.devices)).toEqual([["0"], ["1"], ["2", "3", "6"], ["4"], ["5"]]);
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const tables: number[] = [];
    const places = order.map((unit) => {
      const { bound } = b.bind(UNITS[unit]!);
      for (const table of [...tables].reverse()) {
        const result = attachDevice(bound, NO_PASID, table);
        if (result >= 0) return tables.indexOf(table);
        expect(result).toBe(-Errno.EINVAL);
      }
      const flags = UNITS[unit]!.dirtyTracking ? HwptAllocFlag.DIRTY_TRACKING : 0;
      tables.push(b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags }));
      expect(attachDevice(bound, NO_PASID, tables.at(-1)!)).toBe(tables.at(-1));
      return tables.length - 1;
    });
    expect(places).toEqual([0, 1, 2, 2, 3, 4, 2]);
  });

  test.for([
    [{ ...vtd, cacheCoherency: "none" as const }, true],
    [vtd, false],
    [vtd, true],
  ] as const)("binding is refused as foretold (%#)", ([description, isolatedMsi]) => {
    const b = testBench();
    const device = new DescribedDevice({
      name: "d",
      unit: new DescribedUnit("u", description),
      group: makeGroup(1, isolatedMsi),
    });
    const bound = bindDevice(b.context, device, { holdsContext: false, allowUnsafeInterrupts: false });
    const refusal = bindRefusal(description, isolatedMsi);
    expect(typeof bound === "number" ? -bound : 0).toBe(refusal?.errno ?? 0);
  });

  test("memory over a reserved region or past the aperture cannot be mapped", () => {
    const big = { start: 0x8000_0000n, last: 0xffff_ffffn };
    expect(memoryRefusal(vtd, vtd.reserved, [big])?.because).toContain("0xfee00000 to 0xfeefffff (hw-msi)");
    expect(memoryRefusal(vtd, [], [big])).toBeUndefined();
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    attachDevice(b.bind(vtd).bound, NO_PASID, ioasId);
    const map = { flags: 7, ioas_id: ioasId, user_va: 0n, length: 0x1000n };
    expect(b.client.attempt("ioasMap", { ...map, iova: 0xfee0_0000n }).errno).toBe(Errno.EINVAL);
    expect(b.client.attempt("ioasMap", { ...map, iova: 0x1_0000_0000_0000n }).errno).toBe(Errno.EINVAL);
    const far = { start: 0x1_0000_0000_0000n, last: 0x1_0000_0000_0fffn };
    expect(memoryRefusal(vtd, [], [far])?.because).toContain("past what its unit can translate");
  });

  test("two ways for interrupts on one device are refused", () => {
    const window = { start: 0x900_0000n, last: 0x90f_ffffn, kind: "sw-msi" as const };
    const smmu = subject("1", "smmuv3");
    const plan = planAttachments([{ ...smmu, reserved: [...smmu.reserved, window] }]);
    expect(plan.refusals[0]!.refusal.errno).toBe(Errno.EINVAL);
    const b = testBench();
    const { bound } = b.bind(UNITS["smmuv3"]!, undefined, [window]);
    expect(attachDevice(bound, NO_PASID, b.client.ioasAlloc())).toBe(-Errno.EINVAL);
    expect(replaceDevice(bound, NO_PASID, 1)).toBe(-Errno.EINVAL);
  });
});

describe("migration", () => {
  const device = {
    name: "d",
    migration: ["stop-copy", "p2p"],
    dmaLog: false,
    dirtyBits: true,
    mediated: false,
  } as const;

  test("what tracks a device: its own log before the IOMMU", () => {
    expect(trackerOf({ dmaLog: true, dirtyBits: true })).toBe("device");
    expect(trackerOf({ dmaLog: false, dirtyBits: true })).toBe("iommu");
    expect(trackerOf({ dmaLog: false, dirtyBits: false })).toBe("none");
  });

  test("a tracked device alone may lack P2P", () => {
    expect(migrationRefusals([{ ...device, migration: ["stop-copy"] }])).toEqual([]);
  });

  test.for([
    [{ ...device, migration: [] as const }, Errno.ENOTTY, "the device has no migration"],
    [{ ...device, migration: ["stop-copy"] as const }, Errno.EINVAL, "bad has no P2P state, and 2 devices"],
    [{ ...device, dirtyBits: false }, Errno.EOPNOTSUPP, "its page table no dirty bits"],
    [{ ...device, dirtyBits: false, unitHasDirtyBits: true }, Errno.EOPNOTSUPP, "it shares a page table made without"],
    [{ ...device, dirtyBits: false, mediated: true }, Errno.ENOTTY, "a mediated device has no page table"],
  ] as const)("a device beside another is refused for %j", ([bad, errno, because]) => {
    const found = migrationRefusals([
      { ...device, name: "good" },
      { ...bad, name: "bad" },
    ]);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ device: "bad", refusal: { errno } });
    expect(found[0]!.refusal.because).toContain(because);
  });
});
