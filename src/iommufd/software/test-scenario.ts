// For tests: steps that make an object of every type, pin by every way, and call every driver function, one after the other.
import { bytesBacking } from "../local-caller.ts";
import {
  HwptAllocFlag,
  HwptDataType,
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  IommuHwptInvalidateSelftest,
  IommuHwptSelftest,
  IommuHwptVtdS1,
  ioctlCommand,
  TestAccessPages,
  TestAccessRw,
  TestCreateAccess,
  TestOp,
  TestPair,
  VfioIommuType1DmaMap,
  VfioNr,
} from "../uapi/index.ts";
import { Access } from "./access.ts";
import { attachDevice, replaceDevice } from "./attach-device.ts";
import { bindDevice, detachDevice, unbindDevice, type BoundDevice } from "./bound-device.ts";
import { DescribedDevice, DescribedUnit } from "./described-unit.ts";
import { swMsiAddress } from "./sw-msi.ts";
import type { TestBench } from "./test-bench.ts";
import { makeGroup, NO_PASID } from "./unit.ts";
import { unitProfiles } from "./unit-description.ts";

const { DIRTY_TRACKING, FAULT_ID_VALID, NEST_PARENT, PASID } = HwptAllocFlag;
const PAGE = 0x1000n;
const AT = 0x200_0000n;
const STRUCTURE_AT = 0x3000;

/** What the steps made so far. */
export interface Scene {
  readonly bench: TestBench;
  readonly ids: Map<string, number>;
  readonly bound: BoundDevice[];
  readonly devices: readonly DescribedDevice[];
  readonly pinned: { iova: bigint; lengthBytes: bigint }[];
  access: Access | undefined;
}

export interface SceneStep {
  readonly name: string;
  /** Throws when the host refuses. */
  readonly run: (scene: Scene) => void;
  /** The kernel keeps what the step did when only the answer could not be written. */
  readonly outlivesReply?: boolean;
  /** When the driver refuses the device, the kernel leaves its doorbell pages in the page table. */
  readonly leavesDoorbells?: boolean;
}

export function makeScene(bench: TestBench): Scene {
  const vtd = new DescribedUnit("u0", unitProfiles["vtd-ssads"]!);
  const smmu = new DescribedUnit("u1", unitProfiles["smmuv3-httu"]!);
  const shared = makeGroup(100);
  const devices = [
    new DescribedDevice({ name: "first", unit: vtd, group: shared }),
    new DescribedDevice({ name: "second", unit: vtd, group: shared }),
    new DescribedDevice({ name: "arm", unit: smmu, group: makeGroup(101) }),
  ];
  return { bench, devices, ids: new Map(), bound: [], pinned: [], access: undefined };
}

/** Gives back what drivers hold; the caller closes its descriptors. */
export function leaveScene(scene: Scene): void {
  scene.access?.close();
  for (const bound of scene.bound) {
    for (const pasid of [...bound.group.attachments.keys()]) detachDevice(bound, pasid);
    unbindDevice(bound);
  }
}

function id(scene: Scene, name: string): number {
  return scene.ids.get(name) ?? 0;
}

function done(what: number): number {
  if (what < 0) throw new Error(`refused with ${what}`);
  return what;
}

function makes(name: string, make: (scene: Scene) => number): SceneStep {
  return { name, run: (scene) => void scene.ids.set(name, done(make(scene))) };
}

function bind(at: number): SceneStep {
  return {
    name: `bind device ${at}`,
    run: ({ bench, devices, bound }) => {
      const got = bindDevice(bench.context, devices[at]!, { holdsContext: false, allowUnsafeInterrupts: false });
      if (typeof got === "number") throw new Error(`refused with ${got}`);
      bound[at] = got;
    },
  };
}

const binding: readonly SceneStep[] = [
  bind(0),
  bind(1),
  bind(2),
  makes("ioas", ({ bench }) => bench.client.ioasAlloc()),
  makes("other", ({ bench }) => bench.client.ioasAlloc()),
];

const mapping: readonly SceneStep[] = [
  {
    name: "map, lazily",
    outlivesReply: true,
    run: (s) => s.bench.client.map(0n, { ioasId: id(s, "ioas"), lengthBytes: 4n * PAGE, iova: AT }),
  },
  {
    name: "map a file",
    outlivesReply: true,
    run: (s) => {
      const { files } = s.bench.caller;
      if (!s.ids.has("file")) s.ids.set("file", files.installBacking(bytesBacking("f", new Uint8Array(0x4000))));
      const options = { ioasId: id(s, "ioas"), lengthBytes: 2n * PAGE, iova: AT + 8n * PAGE };
      s.bench.client.mapFile(id(s, "file"), 0n, options);
    },
  },
  makes("automatic", ({ bound, ids }) => attachDevice(bound[0]!, NO_PASID, ids.get("ioas")!)),
  makes("sibling", ({ bound, ids }) => attachDevice(bound[1]!, NO_PASID, ids.get("ioas")!)),
  {
    name: "map into page tables",
    outlivesReply: true,
    run: (s) => s.bench.client.map(0x8000n, { ioasId: id(s, "ioas"), lengthBytes: PAGE, iova: AT + 16n * PAGE }),
  },
  {
    name: "copy two areas",
    outlivesReply: true,
    run: (s) => s.bench.client.copy(id(s, "ioas"), AT, { ioasId: id(s, "other"), lengthBytes: 3n * PAGE, iova: AT }),
  },
  { name: "ranges", run: (s) => s.bench.client.iovaRanges(id(s, "ioas")) },
  {
    name: "unmap",
    outlivesReply: true,
    run: (s) => s.bench.client.unmap(id(s, "ioas"), AT + 16n * PAGE, PAGE),
  },
];

const pageTables: readonly SceneStep[] = [
  makes("fault", ({ bench }) => bench.client.faultQueueAlloc().id),
  makes("dirty", (s) =>
    s.bench.client.hwptAlloc({
      deviceId: s.bound[0]!.id,
      parentId: id(s, "ioas"),
      flags: DIRTY_TRACKING | FAULT_ID_VALID | PASID,
      faultQueueId: id(s, "fault"),
    }),
  ),
  { name: "replace a group's page table", run: (s) => done(replaceDevice(s.bound[0]!, NO_PASID, id(s, "dirty"))) },
  { name: "attach a PASID", run: (s) => done(attachDevice(s.bound[0]!, 5, id(s, "dirty"))) },
  makes("pasids", (s) =>
    s.bench.client.hwptAlloc({ deviceId: s.bound[0]!.id, parentId: id(s, "other"), flags: PASID }),
  ),
  { name: "replace a PASID's page table", run: (s) => done(replaceDevice(s.bound[0]!, 5, id(s, "pasids"))) },
  { name: "track", run: (s) => s.bench.client.setDirtyTracking(id(s, "dirty"), true) },
  { name: "read dirty bits", run: (s) => s.bench.client.getDirtyBitmap(id(s, "dirty"), AT, 4n * PAGE, PAGE) },
  { name: "hardware information", run: (s) => s.bench.client.getHwInfo(s.bound[0]!.id) },
  makes("vtd parent", (s) =>
    s.bench.client.hwptAlloc({ deviceId: s.bound[0]!.id, parentId: id(s, "ioas"), flags: NEST_PARENT }),
  ),
  makes("vtd nested", (s) =>
    s.bench.client.hwptAlloc({
      deviceId: s.bound[0]!.id,
      parentId: id(s, "vtd parent"),
      data: { type: HwptDataType.VTD_S1, bytes: IommuHwptVtdS1.encode({ addr_width: 48 }) },
    }),
  ),
];

const interrupts: readonly SceneStep[] = [
  makes("arm table", (s) => s.bench.client.hwptAlloc({ deviceId: s.bound[2]!.id, parentId: id(s, "other") })),
  { name: "attach behind the SMMU", run: (s) => done(attachDevice(s.bound[2]!, NO_PASID, id(s, "arm table"))) },
  {
    name: "map a doorbell",
    run: (s) => {
      const at = swMsiAddress(s.bound[2]!, 0x2400_0000n);
      if (typeof at === "number") throw new Error(`refused with ${at}`);
    },
  },
  makes("second arm table", (s) => s.bench.client.hwptAlloc({ deviceId: s.bound[2]!.id, parentId: id(s, "other") })),
  {
    name: "move a device and its doorbells",
    leavesDoorbells: true,
    run: (s) => done(replaceDevice(s.bound[2]!, NO_PASID, id(s, "second arm table"))),
  },
];

const nesting: readonly SceneStep[] = [
  {
    name: "mock device",
    run: (s) => {
      const made = s.bench.mockDevice(id(s, "ioas"));
      s.ids.set("selftest", made.mockId).set("mock", made.deviceId);
    },
  },
  makes("parent", (s) =>
    s.bench.client.hwptAlloc({ deviceId: id(s, "mock"), parentId: id(s, "ioas"), flags: NEST_PARENT }),
  ),
  makes("viommu", (s) => s.bench.client.viommuAlloc(id(s, "mock"), id(s, "parent"), IOMMU_VIOMMU_TYPE_SELFTEST)),
  makes("vdevice", (s) => s.bench.client.vdeviceAlloc(id(s, "viommu"), id(s, "mock"), 1n)),
  makes("nested", (s) =>
    s.bench.client.hwptAlloc({
      deviceId: id(s, "mock"),
      parentId: id(s, "viommu"),
      data: { type: IOMMU_HWPT_DATA_SELFTEST, bytes: IommuHwptSelftest.encode({ iotlb: 1 }) },
    }),
  ),
  {
    name: "invalidate",
    outlivesReply: true,
    run: (s) => {
      const entry = IommuHwptInvalidateSelftest.encode({ iotlb_id: 0 });
      s.bench.client.invalidate(id(s, "nested"), IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, 8, entry);
    },
  },
  {
    name: "attach nested",
    outlivesReply: true,
    run: (s) => {
      const { result } = s.bench.test(TestOp.MOCK_DOMAIN_REPLACE, id(s, "selftest"), TestPair, {
        first: id(s, "nested"),
      });
      done(result);
    },
  },
  makes("events", (s) => s.bench.client.veventqAlloc(id(s, "viommu"), IOMMU_VEVENTQ_TYPE_SELFTEST, 4).id),
  makes("queue", (s) => s.bench.client.hwQueueAlloc(id(s, "viommu"), IOMMU_HW_QUEUE_TYPE_SELFTEST, 0, AT, PAGE)),
];

const accesses: readonly SceneStep[] = [
  {
    name: "a driver's access",
    run: (s) => {
      const made = Access.create(s.bench.context, {
        pinsPages: true,
        onUnmap: () => {
          for (const { iova, lengthBytes } of s.pinned.splice(0)) s.access!.unpin(iova, lengthBytes);
        },
      });
      if (typeof made === "number") throw new Error(`refused with ${made}`);
      s.access = made;
    },
  },
  { name: "attach the access", run: (s) => done(s.access!.attach(id(s, "ioas"))) },
  {
    name: "pin through the access",
    run: (s) => {
      const frames = s.access!.pin(AT + PAGE, 2n * PAGE, true);
      if (typeof frames === "number") throw new Error(`refused with ${frames}`);
      s.pinned.push({ iova: AT + PAGE, lengthBytes: 2n * PAGE });
    },
  },
  { name: "move the access", run: (s) => done(s.access!.replace(id(s, "other"))) },
  makes("access file", (s) => {
    const { result, union } = s.bench.test(TestOp.CREATE_ACCESS, id(s, "other"), TestCreateAccess, { flags: 1 });
    return result < 0 ? result : TestCreateAccess.decode(union).out_access_fd;
  }),
  {
    name: "pin through a descriptor",
    run: (s) => {
      const pages = { iova: AT, length: PAGE, flags: 1 };
      done(s.bench.test(TestOp.ACCESS_PAGES, id(s, "access file"), TestAccessPages, pages).result);
    },
  },
  {
    name: "write as a device would",
    run: (s) => {
      const rw = { iova: AT + 10n, length: 20n, uptr: 0x4000n, flags: 5 };
      done(s.bench.test(TestOp.ACCESS_RW, id(s, "access file"), TestAccessRw, rw).result);
    },
  },
  makes("buffer", (s) => s.bench.test(TestOp.DMABUF_GET, 0, TestPair, { first: 0x2000 }).result),
  {
    name: "map a buffer",
    outlivesReply: true,
    run: (s) => {
      const options = { ioasId: id(s, "ioas"), lengthBytes: PAGE, iova: AT + 32n * PAGE };
      s.bench.client.mapFile(id(s, "buffer"), PAGE, options);
    },
  },
];

const compatibility: readonly SceneStep[] = [
  { name: "name the compatibility IOAS", run: (s) => s.bench.client.setVfioIoas(id(s, "ioas")) },
  {
    name: "map as VFIO did",
    run: (s) => {
      const map = { argsz: 32, flags: 3, vaddr: 0x9000n, iova: AT + 64n * PAGE, size: PAGE };
      VfioIommuType1DmaMap.encode(map, s.bench.bytes, STRUCTURE_AT);
      done(s.bench.session.ioctl(s.bench.client.fd, ioctlCommand(VfioNr.IOMMU_MAP_DMA), BigInt(STRUCTURE_AT)));
    },
  },
  {
    name: "move the bill",
    run: (s) => {
      const other = s.bench.client.attempt("ioasChangeProcess", {});
      // Memory that is no file's stays where it is billed.
      if (other.errno !== 22) done(-other.errno);
    },
  },
];

export const everyObject: readonly SceneStep[] = [
  ...binding,
  ...mapping,
  ...pageTables,
  ...interrupts,
  ...nesting,
  ...accesses,
  ...compatibility,
];
