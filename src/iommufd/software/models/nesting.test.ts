// What each model's driver nests, and with which errno it refuses.
import { describe, expect, test } from "vitest";
import {
  Errno,
  HwInfoType,
  HwptAllocFlag,
  HwptDataType,
  InvalidateDataType,
  IommuHwInfoAmd,
  IommuHwInfoArmSmmuv3,
  IommuHwInfoVtd,
  IommuHwptAmdGuest,
  IommuHwptArmSmmuv3,
  IommuHwptVtdS1,
  IommuHwptVtdS1Invalidate,
  IommuVeventArmSmmuv3,
  IommuViommuArmSmmuv3Invalidate,
  VeventqType,
  ViommuType,
} from "../../uapi/index.ts";
import { attachDevice } from "../attach-device.ts";
import { detachDevice, unbindDevice } from "../bound-device.ts";
import { DmaResult } from "../device-dma.ts";
import { testBench, type TestBench } from "../test-bench.ts";
import { NO_PASID } from "../unit.ts";
import { unitProfiles } from "../unit-description.ts";
import { reportStreamEvent } from "./smmuv3.ts";

const { NEST_PARENT, DIRTY_TRACKING, PASID } = HwptAllocFlag;
const profile = (name: string) => unitProfiles[name]!;

function errnoOf(call: () => unknown): string {
  try {
    call();
    return "0";
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("which page tables a model makes", () => {
  const SETS = [0, 1, 2, 3, 8, 9, 10, 11];
  test.for([
    ["vtd-ssads", SETS],
    ["vtd", [0, 1, 8, 9]],
    ["amd", [0, 1, 2, 3, 8]],
    ["smmuv3-httu", [0, 1, 2, 8, 10]],
    ["smmuv3", [0, 1, 8]],
    ["riscv-hwad", [0, 2]],
    ["riscv", [0]],
    ["mock", [0, 2, 8, 10]],
  ] as const)("%s", ([name, taken]) => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const { bound } = b.bind(profile(name));
    const ok = SETS.filter((flags) => {
      const { errno } = b.client.attempt("hwptAlloc", { dev_id: bound.id, pt_id: ioasId, flags });
      expect([0, Errno.EOPNOTSUPP]).toContain(errno);
      return errno === 0;
    });
    expect(ok).toEqual(taken);
  });

  test("VT-d maps nothing read-only where a guest may nest, before or after", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const { bound } = b.bind(profile("vtd"));
    const parent = b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags: NEST_PARENT });
    const readOnly = { ioasId, lengthBytes: 0x1000n, iova: 0x1000n, writable: false };
    expect(errnoOf(() => b.client.map(0n, readOnly))).toBe("EINVAL");
    b.client.destroy(parent);
    b.client.map(0n, readOnly);
    expect(errnoOf(() => b.client.hwptAlloc({ deviceId: bound.id, parentId: ioasId, flags: NEST_PARENT }))).toBe(
      "EINVAL",
    );
    expect(b.host.audit().pinnedPages).toBe(0);
  });
});

describe("GET_HW_INFO", () => {
  const info = (name: string) => {
    const b = testBench();
    return b.client.getHwInfo(b.bind(profile(name)).bound.id);
  };

  test("VT-d tells its registers", () => {
    const { type, data, capabilities } = info("vtd-ssads");
    expect(type).toBe(HwInfoType.INTEL_VTD);
    const { flags, cap_reg: cap, ecap_reg: ecap } = IommuHwInfoVtd.decode(data);
    expect(flags).toBe(1);
    expect((cap >> 16n) & 0x3fn).toBe(47n);
    expect([(ecap >> 45n) & 1n, (ecap >> 26n) & 1n, (ecap >> 35n) & 0x1fn]).toEqual([1n, 1n, 19n]);
    expect(capabilities & 1n).toBe(1n);
    expect((IommuHwInfoVtd.decode(info("vtd").data).ecap_reg >> 45n) & 1n).toBe(0n);
  });

  test("SMMUv3 tells its identification registers", () => {
    const { type, data } = info("smmuv3-httu");
    expect(type).toBe(HwInfoType.ARM_SMMUV3);
    const { idr } = IommuHwInfoArmSmmuv3.decode(data);
    expect([idr[0]! & 3, (idr[0]! >> 6) & 3, (idr[1]! >> 6) & 31, idr[5]! & 7]).toEqual([3, 2, 20, 5]);
  });

  test("AMD tells its feature registers", () => {
    const { efr, efr2 } = IommuHwInfoAmd.decode(info("amd").data);
    expect([(efr >> 52n) & 1n, (efr >> 48n) & 1n, (efr2 >> 3n) & 1n]).toEqual([1n, 1n, 1n]);
  });

  test("RISC-V has no structure of its own, and says so by the type NONE", () => {
    expect(info("riscv-hwad")).toMatchObject({ type: HwInfoType.NONE, data: new Uint8Array(0), capabilities: 9n });
  });

  test("a type that is not the unit's is refused", () => {
    const b = testBench();
    const dev_id = b.bind(profile("vtd")).bound.id;
    expect(b.client.attempt("getHwInfo", { dev_id, flags: 1, data_type: 1 }).errno).toBe(0);
    expect(b.client.attempt("getHwInfo", { dev_id, flags: 1, data_type: 2 }).errno).toBe(Errno.EOPNOTSUPP);
  });
});

describe("VT-d nesting", () => {
  function parentOf(b: TestBench) {
    const ioasId = b.client.ioasAlloc();
    const device = b.bind(profile("vtd-ssads"));
    const parentId = b.client.hwptAlloc({ deviceId: device.bound.id, parentId: ioasId, flags: NEST_PARENT });
    return { ...device, ioasId, parentId, deviceId: device.bound.id };
  }
  const s1 = (values: object) => ({
    type: HwptDataType.VTD_S1,
    bytes: IommuHwptVtdS1.encode({ addr_width: 48, ...values }),
  });

  test("takes its own structure, whole, on a nest parent", () => {
    const b = testBench();
    const { deviceId, parentId, ioasId } = parentOf(b);
    const alloc = (options: object) =>
      errnoOf(() => b.client.hwptAlloc({ deviceId, parentId, data: s1({}), ...options }));
    expect(alloc({})).toBe("0");
    expect(alloc({ flags: PASID })).toBe("0");
    expect(alloc({ flags: DIRTY_TRACKING })).toBe("EOPNOTSUPP");
    expect(alloc({ data: { type: HwptDataType.ARM_SMMUV3, bytes: new Uint8Array(16) } })).toBe("EOPNOTSUPP");
    expect(alloc({ data: { type: HwptDataType.VTD_S1, bytes: new Uint8Array(23) } })).toBe("EINVAL");
    expect(alloc({ data: { type: HwptDataType.VTD_S1, bytes: new Uint8Array(25) } })).toBe("EINVAL");
    const plain = b.client.hwptAlloc({ deviceId, parentId: ioasId });
    expect(alloc({ parentId: plain })).toBe("EINVAL");
    expect(alloc({ deviceId: b.bind(profile("amd")).bound.id })).toBe("EOPNOTSUPP");
  });

  test("what the hardware cannot do is refused when attaching", () => {
    const b = testBench();
    const { bound, deviceId, parentId } = parentOf(b);
    const attach = (values: object) =>
      attachDevice(bound, NO_PASID, b.client.hwptAlloc({ deviceId, parentId, data: s1(values) }));
    expect(attach({ addr_width: 57 })).toBe(-Errno.EINVAL);
    expect(attach({ addr_width: 39 })).toBe(-Errno.EINVAL);
    expect(attach({ flags: 1n })).toBe(-Errno.EINVAL);
    expect(attach({ flags: 2n })).toBe(-Errno.EINVAL);
    expect(attach({ flags: 4n })).toBeGreaterThan(0);
  });

  test("invalidation counts the entries before the first bad one", () => {
    const b = testBench();
    const { deviceId, parentId } = parentOf(b);
    const hwpt = b.client.hwptAlloc({ deviceId, parentId, data: s1({}) });
    const invalidate = (entries: readonly object[], type: number = InvalidateDataType.VTD_S1) => {
      const at = 0x1000;
      entries.forEach((e, i) => IommuHwptVtdS1Invalidate.encode(e, b.bytes, at + i * 24));
      const request = { hwpt_id: hwpt, data_uptr: 0x1000n, data_type: type, entry_len: 24, entry_num: entries.length };
      const { errno, reply } = b.client.attempt("hwptInvalidate", request);
      return [Errno.name(errno), reply.entry_num];
    };
    const good = { addr: 0x1000n, npages: 1n, flags: 1 };
    expect(invalidate([good, { npages: 0xffff_ffff_ffff_ffffn }])).toEqual(["errno(0)", 2]);
    expect(invalidate([good, { ...good, addr: 0x1001n }])).toEqual(["EINVAL", 1]);
    expect(invalidate([good, { ...good, npages: 0xffff_ffff_ffff_ffffn }])).toEqual(["EINVAL", 1]);
    expect(invalidate([{ ...good, flags: 2 }, good])).toEqual(["EOPNOTSUPP", 0]);
    expect(invalidate([good], InvalidateDataType.VIOMMU_ARM_SMMUV3)).toEqual(["EINVAL", 0]);
    expect(invalidate([])).toEqual(["errno(0)", 0]);
  });

  test("has no vIOMMU", () => {
    const b = testBench();
    const { deviceId, parentId } = parentOf(b);
    expect(errnoOf(() => b.client.viommuAlloc(deviceId, parentId, ViommuType.ARM_SMMUV3))).toBe("EOPNOTSUPP");
  });
});

describe("SMMUv3 nesting", () => {
  const V = 1n;
  const config = (n: bigint) => V | (n << 1n);
  const TRANSLATE = config(5n);
  const BYPASS = config(4n);
  const ABORT = config(0n);

  function vsmmuOf(b: TestBench) {
    const ioasId = b.client.ioasAlloc();
    const device = b.bind(profile("smmuv3-httu"));
    const deviceId = device.bound.id;
    const parentId = b.client.hwptAlloc({ deviceId, parentId: ioasId, flags: NEST_PARENT });
    const viommuId = b.client.viommuAlloc(deviceId, parentId, ViommuType.ARM_SMMUV3);
    const nested = (ste0: bigint, ste1 = 0n, flags = 0) =>
      b.client.hwptAlloc({
        deviceId,
        parentId: viommuId,
        flags,
        data: { type: HwptDataType.ARM_SMMUV3, bytes: IommuHwptArmSmmuv3.encode({ ste: [ste0, ste1] }) },
      });
    return { ...device, ioasId, deviceId, parentId, viommuId, nested };
  }

  test("only through a vIOMMU of its type, made on a table of the same SMMU", () => {
    const b = testBench();
    const { deviceId, parentId, bound } = vsmmuOf(b);
    const data = { type: HwptDataType.ARM_SMMUV3, bytes: new Uint8Array(16) };
    expect(errnoOf(() => b.client.hwptAlloc({ deviceId, parentId, data }))).toBe("EOPNOTSUPP");
    expect(errnoOf(() => b.client.viommuAlloc(deviceId, parentId, ViommuType.TEGRA241_CMDQV))).toBe("EOPNOTSUPP");
    const other = b.bind({ ...profile("smmuv3-httu") }).bound.id;
    expect(errnoOf(() => b.client.viommuAlloc(other, parentId, ViommuType.ARM_SMMUV3))).toBe("EINVAL");
    expect(bound.users).toBe(2);
  });

  test.for([
    [V << 0n, 0n, "0"],
    [0n, 0xffn << 40n, "0"],
    [TRANSLATE | (0x1234n << 6n), 0xffn, "0"],
    [TRANSLATE, 1n << 28n, "0"],
    [TRANSLATE, 2n << 28n, "EIO"],
    [TRANSLATE, 1n << 25n, "EIO"],
    [TRANSLATE | (1n << 55n), 0n, "EIO"],
    [config(6n), 0n, "EIO"],
    [config(7n), 0n, "EIO"],
  ] as const)("a guest's entry %s %s: %s", ([ste0, ste1, code]) => {
    const b = testBench();
    const { nested } = vsmmuOf(b);
    expect(errnoOf(() => nested(ste0, ste1))).toBe(code);
  });

  test("no flags for a guest's table but the fault queue", () => {
    const b = testBench();
    const { nested } = vsmmuOf(b);
    expect(errnoOf(() => nested(BYPASS, 0n, PASID))).toBe("EOPNOTSUPP");
  });

  test("a translating entry needs a vDevice; bypass and abort do not", () => {
    const b = testBench();
    const { nested, bound, deviceId, viommuId, ioasId, dma } = vsmmuOf(b);
    b.client.map(0x1000n, { ioasId, lengthBytes: 0x1000n, iova: 0x1000n });
    expect(attachDevice(bound, NO_PASID, nested(TRANSLATE))).toBe(-Errno.ENOENT);
    expect(attachDevice(bound, NO_PASID, nested(ABORT))).toBeGreaterThan(0);
    expect(dma.write(0x1000n, new Uint8Array(1))).toBe(DmaResult.unmapped);
    detachDevice(bound, NO_PASID);
    expect(attachDevice(bound, NO_PASID, nested(BYPASS))).toBeGreaterThan(0);
    expect(dma.write(0x1000n, new Uint8Array(1))).toBe(DmaResult.ok);
    detachDevice(bound, NO_PASID);
    b.client.vdeviceAlloc(viommuId, deviceId, 0x18n);
    expect(attachDevice(bound, NO_PASID, nested(TRANSLATE))).toBeGreaterThan(0);
  });

  test("not while the device uses PASIDs", () => {
    const b = testBench();
    const { nested, bound, deviceId, ioasId } = vsmmuOf(b);
    const table = b.client.hwptAlloc({ deviceId, parentId: ioasId, flags: PASID });
    attachDevice(bound, 5, table);
    expect(attachDevice(bound, NO_PASID, nested(BYPASS))).toBe(-Errno.EINVAL);
  });

  test("commands are the guest's own, about its own streams", () => {
    const b = testBench();
    const { viommuId, deviceId } = vsmmuOf(b);
    b.client.vdeviceAlloc(viommuId, deviceId, 0x18n);
    const run = (...commands: readonly bigint[]) => {
      commands.forEach((cmd, i) => IommuViommuArmSmmuv3Invalidate.encode({ cmd: [cmd, 0n] }, b.bytes, 0x1000 + i * 16));
      const { errno, reply } = b.client.attempt("hwptInvalidate", {
        hwpt_id: viommuId,
        data_uptr: 0x1000n,
        data_type: InvalidateDataType.VIOMMU_ARM_SMMUV3,
        entry_len: 16,
        entry_num: commands.length,
      });
      return [errno === 0 ? "0" : Errno.name(errno), reply.entry_num];
    };
    expect(run(0x10n, 0x11n, 0x12n, 0x13n, 0x30n)).toEqual(["0", 5]);
    expect(run(0x40n | (0x18n << 32n), 0x05n | (0x18n << 32n), 0x06n | (0x18n << 32n))).toEqual(["0", 3]);
    expect(run(0x10n, 0x05n | (0x19n << 32n))).toEqual(["EIO", 1]);
    expect(run(0x04n)).toEqual(["EIO", 0]);
    expect(run()).toEqual(["EINVAL", 0]);
  });

  test("events reach the guest under its own stream number", () => {
    const b = testBench();
    const { nested, bound, deviceId, viommuId } = vsmmuOf(b);
    const { fd } = b.client.veventqAlloc(viommuId, VeventqType.ARM_SMMUV3, 4);
    expect(reportStreamEvent(bound.device, [0x10n, 2n, 3n, 4n])).toBe(-Errno.EOPNOTSUPP);
    b.client.vdeviceAlloc(viommuId, deviceId, 0x18n);
    attachDevice(bound, NO_PASID, nested(TRANSLATE));
    expect(reportStreamEvent(bound.device, [0x10n | (0xffffn << 32n), 2n, 3n, 4n])).toBe(0);
    expect(b.session.read(fd, 0x1000n, 40)).toBe(40);
    expect(IommuVeventArmSmmuv3.decode(b.bytes, 0x1008).evt).toEqual([0x10n | (0x18n << 32n), 2n, 3n, 4n]);
  });

  test("has no hardware queues", () => {
    const b = testBench();
    const { viommuId, ioasId } = vsmmuOf(b);
    b.client.map(0x1000n, { ioasId, lengthBytes: 0x1000n, iova: 0x1000n });
    expect(errnoOf(() => b.client.hwQueueAlloc(viommuId, 1, 0, 0x1000n, 0x1000n))).toBe("EOPNOTSUPP");
  });

  test("a vDevice goes with its device, and its number stays taken", () => {
    const b = testBench();
    const { bound, deviceId, viommuId } = vsmmuOf(b);
    const vdevice = b.client.vdeviceAlloc(viommuId, deviceId, 0x18n);
    unbindDevice(bound);
    expect(errnoOf(() => b.client.destroy(vdevice))).toBe("ENOENT");
    expect(b.client.ioasAlloc()).toBe(deviceId);
    expect(b.client.ioasAlloc()).not.toBe(vdevice);
  });
});

describe("AMD nesting", () => {
  test("has parents and vIOMMUs, and nothing on them yet", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    const deviceId = b.bind(profile("amd")).bound.id;
    const parentId = b.client.hwptAlloc({ deviceId, parentId: ioasId, flags: NEST_PARENT });
    const data = { type: HwptDataType.AMD_GUEST, bytes: IommuHwptAmdGuest.encode({ dte: [0n, 0n, 0n, 0n] }) };
    expect(errnoOf(() => b.client.hwptAlloc({ deviceId, parentId, data }))).toBe("EOPNOTSUPP");
    const viommuId = b.client.viommuAlloc(deviceId, parentId, ViommuType.ARM_SMMUV3);
    expect(errnoOf(() => b.client.hwptAlloc({ deviceId, parentId: viommuId, data }))).toBe("EOPNOTSUPP");
    expect(errnoOf(() => b.client.destroy(parentId))).toBe("EBUSY");
    b.client.vdeviceAlloc(viommuId, deviceId, 1n);
    expect(errnoOf(() => b.client.invalidate(viommuId, 0, 8, new Uint8Array(8)))).toBe("EOPNOTSUPP");
  });
});
