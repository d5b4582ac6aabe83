// Every call with every length, flag, reserved field, id and pointer that is wrong by itself.
import { beforeAll, describe, expect, test } from "vitest";
import {
  Errno,
  HwptAllocFlag,
  IoasMapFlag,
  ioctlCommand,
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  iommufdIoctls,
  type IommufdIoctl,
} from "../uapi/index.ts";
import { MEMORY_BYTES, testBench, type TestBench } from "./test-bench.ts";
import { everyObject, makeScene } from "./test-scenario.ts";

const CALLS = Object.keys(iommufdIoctls) as IommufdIoctl[];
const TOP = 0xffff_ffff_ffff_ffffn;
const AT = 0x8000;
const NOWHERE = BigInt(MEMORY_BYTES) * 4n;

/** A host with an object of every type; nothing that a test here does makes or destroys one. */
let b: TestBench;
let ids: ReadonlyMap<string, number>;
/** One id of each type. */
let byType: ReadonlyMap<string, number>;

beforeAll(() => {
  b = testBench();
  const scene = makeScene(b);
  for (const step of everyObject) step.run(scene);
  ids = scene.ids;
  byType = new Map([...b.context.objects.all()].map((object) => [object.type, object.id]));
});

function raw(call: IommufdIoctl, bytes: Uint8Array, command = ioctlCommand(iommufdIoctls[call].nr)): number {
  b.bytes.fill(0, AT, AT + 256);
  b.bytes.set(bytes, AT);
  return b.session.ioctl(b.client.fd, command, BigInt(AT));
}

function sized(size: number, lengthBytes = size): Uint8Array {
  const bytes = new Uint8Array(Math.max(4, lengthBytes));
  new DataView(bytes.buffer).setUint32(0, size, true);
  return bytes;
}

describe.each(CALLS)("%s", (call) => {
  const { layout, minBytes } = iommufdIoctls[call];

  test("every size below the least is EINVAL", () => {
    for (let size = 0; size < minBytes; size++) expect(raw(call, sized(size)), `${size} bytes`).toBe(-Errno.EINVAL);
  });

  test("a byte past the structure that is not zero is E2BIG, wherever it is", () => {
    for (const past of [1, 7, 8, 40]) {
      const bytes = sized(layout.lengthBytes + past);
      bytes[bytes.length - 1] = 1;
      expect(raw(call, bytes), `${past} bytes past`).toBe(-Errno.E2BIG);
    }
  });

  test("the command is compared whole", () => {
    const command = ioctlCommand(iommufdIoctls[call].nr);
    for (const other of [command | 0x4000_0000, command | 0x8000_0000, command | 0x1_0000, command ^ 0x100]) {
      expect(raw(call, sized(layout.lengthBytes), other >>> 0)).toBe(-Errno.ENOTTY);
    }
  });

  test("an argument that cannot be read is EFAULT, as is one of which the end cannot", () => {
    const command = ioctlCommand(iommufdIoctls[call].nr);
    expect(b.session.ioctl(b.client.fd, command, NOWHERE)).toBe(-Errno.EFAULT);
    expect(b.session.ioctl(b.client.fd, command, TOP - 2n)).toBe(-Errno.EFAULT);
    const at = MEMORY_BYTES - 4;
    new DataView(b.bytes.buffer).setUint32(at, layout.lengthBytes, true);
    expect(b.session.ioctl(b.client.fd, command, BigInt(at))).toBe(-Errno.EFAULT);
  });
});

describe("reserved fields", () => {
  // By hand: what the table of the host says must not be its own proof.
  const RESERVED: readonly (readonly [IommufdIoctl, readonly number[]])[] = [
    ["ioasAllowIovas", [12]],
    ["ioasIovaRanges", [12]],
    ["ioasMap", [12]],
    ["option", [10]],
    ["vfioIoas", [10]],
    ["hwptAlloc", [20]],
    ["getHwInfo", [29, 30, 31]],
    ["hwptGetDirtyBitmap", [12]],
    ["hwptInvalidate", [28]],
    ["ioasChangeProcess", [4]],
    ["veventqAlloc", [28]],
  ];

  test.for(RESERVED)("%s: each is EOPNOTSUPP", ([call, offsets]) => {
    for (const offset of offsets) {
      const bytes = sized(iommufdIoctls[call].layout.lengthBytes);
      bytes[offset] = 1;
      expect(raw(call, bytes), `byte ${offset}`).toBe(-Errno.EOPNOTSUPP);
    }
  });

  test("those that 7.2 does not look at are let through to the next check", () => {
    expect(b.client.attempt("hwptSetDirtyTracking", { __reserved: 1 }).errno).toBe(Errno.ENOENT);
    expect(b.client.attempt("viommuAlloc", { __reserved: 1, type: 1 }).errno).toBe(Errno.ENOENT);
    expect(b.client.attempt("hwptAlloc", { __reserved2: 1 }).errno).toBe(Errno.ENOENT);
  });
});

describe("flags", () => {
  const FLAGS: readonly (readonly [IommufdIoctl, number, object])[] = [
    ["ioasAlloc", 0, {}],
    ["ioasCopy", 7, {}],
    ["ioasMap", 7, {}],
    ["ioasMapFile", 7, {}],
    ["getHwInfo", 1, {}],
    ["hwptSetDirtyTracking", 1, {}],
    ["hwptGetDirtyBitmap", 1, {}],
    ["faultQueueAlloc", 0, {}],
    ["viommuAlloc", 0, { type: 1 }],
    ["veventqAlloc", 0, { type: 1, veventq_depth: 1 }],
    ["hwQueueAlloc", 0, { type: 1, length: 1n }],
  ];

  test.for(FLAGS)("%s: every bit but those of %i is EOPNOTSUPP, before anything else", ([call, known, rest]) => {
    for (let bit = 0; bit < 32; bit++) {
      const flags = (1 << bit) >>> 0;
      if ((flags & known) !== 0) continue;
      expect(b.client.attempt(call, { ...rest, flags }).errno, `bit ${bit}`).toBe(Errno.EOPNOTSUPP);
    }
  });

  test("hwptAlloc: unknown bits are EOPNOTSUPP for every parent, when device and parent are there", () => {
    const dev_id = ids.get("mock")!;
    for (let bit = 4; bit < 32; bit++) {
      const flags = (1 << bit) >>> 0;
      expect(b.client.attempt("hwptAlloc", { flags, dev_id, pt_id: ids.get("ioas")! }).errno).toBe(Errno.EOPNOTSUPP);
      for (const parent of ["parent", "viommu"]) {
        const nested = { flags, dev_id, pt_id: ids.get(parent)!, data_type: IOMMU_HWPT_DATA_SELFTEST, data_len: 8 };
        expect(b.client.attempt("hwptAlloc", nested).errno).toBe(Errno.EOPNOTSUPP);
      }
    }
  });

  test("a type of 0 is no type", () => {
    for (const call of ["viommuAlloc", "veventqAlloc", "hwQueueAlloc"] as const) {
      expect(b.client.attempt(call, { type: 0 }).errno).toBe(Errno.EOPNOTSUPP);
    }
  });
});

describe("ids", () => {
  const map = { flags: IoasMapFlag.READABLE, length: 0x1000n };
  const query = { iova: 0n, length: 0x1000n, page_size: 0x1000n };
  // Call, field, what is there, the type that it names, the other fields; the errno of a missing and of a wrong one.
  const IDS: readonly (readonly [IommufdIoctl, string, string, () => object, number?, number?])[] = [
    ["ioasAllowIovas", "ioas_id", "ioas", () => ({})],
    ["ioasIovaRanges", "ioas_id", "ioas", () => ({})],
    ["ioasMap", "ioas_id", "ioas", () => map],
    ["ioasMapFile", "ioas_id", "ioas", () => map],
    ["ioasCopy", "src_ioas_id", "ioas", () => ({ ...map, dst_ioas_id: ids.get("other") })],
    ["ioasCopy", "dst_ioas_id", "ioas", () => ({ ...map, src_ioas_id: ids.get("ioas"), src_iova: 0x200_0000n })],
    ["ioasUnmap", "ioas_id", "ioas", () => ({ length: 0x1000n })],
    ["option", "object_id", "ioas", () => ({ option_id: 1, op: 1 })],
    ["vfioIoas", "ioas_id", "ioas", () => ({ op: 1 })],
    ["hwptAlloc", "dev_id", "device", () => ({ pt_id: ids.get("ioas") })],
    ["hwptAlloc", "fault_id", "fault", () => ({ dev_id: ids.get("mock"), pt_id: ids.get("ioas"), flags: 4 })],
    ["getHwInfo", "dev_id", "device", () => ({})],
    ["hwptSetDirtyTracking", "hwpt_id", "hwpt-paging", () => ({})],
    ["hwptGetDirtyBitmap", "hwpt_id", "hwpt-paging", () => query],
    ["hwptInvalidate", "hwpt_id", "hwpt-nested viommu", () => ({}), Errno.ENOENT, Errno.EINVAL],
    ["viommuAlloc", "dev_id", "device", () => ({ type: IOMMU_VIOMMU_TYPE_SELFTEST })],
    ["viommuAlloc", "hwpt_id", "hwpt-paging", () => ({ type: IOMMU_VIOMMU_TYPE_SELFTEST, dev_id: ids.get("mock") })],
    ["vdeviceAlloc", "viommu_id", "viommu", () => ({ dev_id: ids.get("mock") })],
    ["vdeviceAlloc", "dev_id", "device", () => ({ viommu_id: ids.get("viommu") })],
    ["veventqAlloc", "viommu_id", "viommu", () => ({ type: IOMMU_VEVENTQ_TYPE_SELFTEST, veventq_depth: 1 })],
    ["hwQueueAlloc", "viommu_id", "viommu", () => ({ type: IOMMU_HW_QUEUE_TYPE_SELFTEST, length: 1n })],
  ];

  test.for(IDS)(
    "%s %s: missing and of another type",
    ([call, field, types, rest, missing = Errno.ENOENT, wrong = Errno.ENOENT]) => {
      for (const id of [0, 9999, 0x7fff_ffff, 0xffff_ffff]) {
        expect(b.client.attempt(call, { ...rest(), [field]: id }).errno, `id ${id}`).toBe(missing);
      }
      for (const [type, id] of byType) {
        if (types.split(" ").includes(type)) continue;
        expect(b.client.attempt(call, { ...rest(), [field]: id }).errno, type).toBe(wrong);
      }
    },
  );

  test("hwptAlloc pt_id: missing and of another type is EINVAL, once the device is found", () => {
    for (const id of [0, 9999, 0xffff_ffff]) {
      expect(b.client.attempt("hwptAlloc", { dev_id: ids.get("mock")!, pt_id: id }).errno).toBe(Errno.EINVAL);
    }
    for (const type of ["device", "access", "fault", "vdevice", "veventq", "hw-queue", "selftest", "hwpt-nested"]) {
      const request = { dev_id: ids.get("mock")!, pt_id: byType.get(type)! };
      expect(b.client.attempt("hwptAlloc", request).errno, type).toBe(Errno.EINVAL);
    }
  });

  test("DESTROY: missing is ENOENT, of every type that something uses EBUSY", () => {
    for (const id of [0, 9999, 0xffff_ffff]) expect(b.client.attempt("destroy", { id }).errno).toBe(Errno.ENOENT);
    for (const name of ["ioas", "dirty", "parent", "nested", "viommu", "fault", "events", "mock"]) {
      expect(b.client.attempt("destroy", { id: ids.get(name)! }).errno, name).toBe(Errno.EBUSY);
    }
    expect(b.client.attempt("destroy", { id: byType.get("access")! }).errno).toBe(Errno.EBUSY);
  });
});

describe("pointers", () => {
  const POINTERS: readonly (readonly [IommufdIoctl, string, () => object])[] = [
    ["ioasIovaRanges", "allowed_iovas", () => ({ ioas_id: ids.get("ioas"), num_iovas: 1 })],
    ["ioasAllowIovas", "allowed_iovas", () => ({ ioas_id: ids.get("other"), num_iovas: 1 })],
    ["ioasMap", "user_va", () => ({ flags: 7, ioas_id: ids.get("ioas"), length: 0x1000n, iova: 0x300_0000n })],
    [
      "hwptAlloc",
      "data_uptr",
      () => ({ dev_id: ids.get("mock"), pt_id: ids.get("parent"), data_type: IOMMU_HWPT_DATA_SELFTEST, data_len: 8 }),
    ],
    ["getHwInfo", "data_uptr", () => ({ dev_id: ids.get("mock"), data_len: 8 })],
    [
      "hwptInvalidate",
      "data_uptr",
      () => ({
        hwpt_id: ids.get("nested"),
        data_type: IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
        entry_len: 8,
        entry_num: 1,
      }),
    ],
    [
      "viommuAlloc",
      "data_uptr",
      () => ({ dev_id: ids.get("mock"), hwpt_id: ids.get("parent"), type: IOMMU_VIOMMU_TYPE_SELFTEST, data_len: 24 }),
    ],
  ];

  test.for(POINTERS)(
    "%s %s: nowhere, and half out of the caller's memory, is EFAULT and changes nothing",
    ([call, field, rest]) => {
      const before = b.host.snapshot();
      for (const pointer of [NOWHERE, BigInt(MEMORY_BYTES), 1n << 47n, (1n << 63n) + 0x1000n]) {
        expect(b.client.attempt(call, { ...rest(), [field]: pointer }).errno, `at ${pointer}`).toBe(Errno.EFAULT);
      }
      if (call !== "ioasMap") {
        expect(b.client.attempt(call, { ...rest(), [field]: BigInt(MEMORY_BYTES - 4) }).errno).toBe(Errno.EFAULT);
      }
      expect(b.host.snapshot()).toEqual(before);
    },
  );
});

describe("overlaps", () => {
  const PAGE = 0x1000n;
  /** Four pages at 0x10000, and free pages around them. */
  function space() {
    const own = testBench();
    const ioas_id = own.client.ioasAlloc();
    own.client.map(0n, { ioasId: ioas_id, lengthBytes: 4n * PAGE, iova: 0x1_0000n });
    return { own, ioas_id };
  }

  test.for([
    [0xf000n, 1n, 0],
    [0xf000n, 2n, Errno.EEXIST],
    [0xf000n, 6n, Errno.EEXIST],
    [0x1_0000n, 1n, Errno.EEXIST],
    [0x1_0000n, 4n, Errno.EEXIST],
    [0x1_1000n, 2n, Errno.EEXIST],
    [0x1_3000n, 2n, Errno.EEXIST],
    [0x1_4000n, 1n, 0],
  ] as const)("a map at 0x%s of %i pages", ([iova, pages, errno]) => {
    const { own, ioas_id } = space();
    expect(own.client.attempt("ioasMap", { flags: 7, ioas_id, length: pages * PAGE, iova }).errno).toBe(errno);
    const copy = { flags: 7, src_ioas_id: ioas_id, dst_ioas_id: ioas_id, src_iova: 0x1_0000n, dst_iova: iova };
    const again = space();
    const length = (pages < 4n ? pages : 4n) * PAGE;
    expect(again.own.client.attempt("ioasCopy", { ...copy, length }).errno).toBe(errno);
  });

  test.for([
    [0xf000n, 1n, Errno.ENOENT],
    [0xf000n, 2n, Errno.ENOENT],
    [0x1_0000n, 3n, Errno.ENOENT],
    [0x1_1000n, 2n, Errno.ENOENT],
    [0x1_1000n, 3n, Errno.ENOENT],
    [0x1_3000n, 2n, Errno.ENOENT],
    [0x1_0000n, 4n, 0],
    [0xf000n, 6n, 0],
  ] as const)("an unmap at 0x%s of %i pages", ([iova, pages, errno]) => {
    const { own, ioas_id } = space();
    expect(own.client.attempt("ioasUnmap", { ioas_id, iova, length: pages * PAGE }).errno).toBe(errno);
    expect(own.client.attempt("ioasUnmap", { ioas_id, iova: 0n, length: TOP }).reply.length).toBe(
      errno === 0 ? 0n : 4n * PAGE,
    );
  });

  test.for([
    [[0n, 0xffffn], [0x1_0000n, 0x1_ffffn], 0],
    [[0n, 0x1_0000n], [0x1_0000n, 0x1_ffffn], Errno.EINVAL],
    [[0x1_0000n, 0x1_ffffn], [0x1_0000n, 0x1_ffffn], Errno.EINVAL],
    [[0x1_0000n, 0x1_ffffn], [0x1_8000n, 0x1_9000n], Errno.EINVAL],
    [[0n, TOP], [5n, 6n], Errno.EINVAL],
    [[7n, 6n], [9n, 10n], Errno.EINVAL],
  ] as const)("allowed ranges %s and %s", ([[a, c], [d, e], errno]) => {
    const { own, ioas_id } = space();
    const view = new DataView(own.bytes.buffer);
    [a, c, d, e].forEach((n, i) => view.setBigUint64(AT + 8 * i, n, true));
    const request = { ioas_id, num_iovas: 2, allowed_iovas: BigInt(AT) };
    expect(own.client.attempt("ioasAllowIovas", request).errno).toBe(errno);
  });
});

describe("values past what there is", () => {
  test("queues: depth, index, length", () => {
    const viommu_id = ids.get("viommu")!;
    const events = (veventq_depth: number) =>
      b.client.attempt("veventqAlloc", { viommu_id, type: 5, veventq_depth }).errno;
    expect([events(0), events(0x8_0001), events(0xffff_ffff)]).toEqual(new Array(3).fill(Errno.EINVAL));
    const queue = (fields: object) =>
      b.client.attempt("hwQueueAlloc", {
        viommu_id,
        type: IOMMU_HW_QUEUE_TYPE_SELFTEST,
        index: 1,
        nesting_parent_iova: 0x200_0000n,
        length: 0x1000n,
        ...fields,
      }).errno;
    expect(queue({ length: 0n })).toBe(Errno.EINVAL);
    expect(queue({ nesting_parent_iova: TOP, length: 2n })).toBe(Errno.EOVERFLOW);
    expect(queue({ nesting_parent_iova: 0xfffn, length: TOP - 0xfffn })).toBe(Errno.ERANGE);
    expect(queue({ nesting_parent_iova: 0n, length: 1n << 50n })).toBe(Errno.ENOMEM);
    expect(queue({ type: 2 })).toBe(Errno.EOPNOTSUPP);
    expect(queue({ nesting_parent_iova: 0x7000_0000n })).toBe(Errno.ENOENT);
    expect(queue({ index: 0 })).toBe(Errno.EEXIST);
    expect(queue({ index: 2 })).toBe(Errno.EINVAL);
  });

  test("invalidation: entries without a pointer or a size, too large, too many; none is a question about the type", () => {
    const good = { hwpt_id: ids.get("nested")!, data_type: IOMMU_HWPT_INVALIDATE_DATA_SELFTEST };
    const errno = (fields: object) => {
      const request = { ...good, data_uptr: BigInt(AT), entry_len: 8, entry_num: 1, ...fields };
      const { errno: found, reply } = b.client.attempt("hwptInvalidate", request);
      expect(reply.entry_num).toBe(0);
      return found;
    };
    expect(errno({ data_uptr: 0n })).toBe(Errno.EINVAL);
    expect(errno({ entry_len: 0 })).toBe(Errno.EINVAL);
    expect(errno({ entry_len: 4097 })).toBe(Errno.EINVAL);
    expect(errno({ entry_num: (1 << 19) + 1 })).toBe(Errno.EINVAL);
    expect(errno({ entry_num: 0, data_uptr: 0n, entry_len: 0 })).toBe(0);
    expect(errno({ entry_num: 0, data_type: 1 })).toBe(Errno.EINVAL);
  });

  test("page tables: data without a type, a type without data, flags that exclude each other", () => {
    const request = { dev_id: ids.get("mock")!, pt_id: ids.get("ioas")! };
    const errno = (fields: object) => b.client.attempt("hwptAlloc", { ...request, ...fields }).errno;
    expect(errno({ data_len: 8 })).toBe(Errno.EINVAL);
    expect(errno({ data_type: IOMMU_HWPT_DATA_SELFTEST })).toBe(Errno.EINVAL);
    expect(errno({ flags: HwptAllocFlag.FAULT_ID_VALID | HwptAllocFlag.NEST_PARENT })).toBe(Errno.EOPNOTSUPP);
  });

  test("options: an operation or an option that is none, a value that is none", () => {
    const object_id = ids.get("ioas")!;
    const errno = (fields: object) => b.client.attempt("option", { object_id, ...fields }).errno;
    expect(errno({ option_id: 2, op: 1 })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ option_id: 1, op: 2 })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ option_id: 1, op: 0, val64: 2n })).toBe(Errno.EINVAL);
    expect(errno({ option_id: 0, op: 1 })).toBe(Errno.EOPNOTSUPP);
    expect(b.client.attempt("vfioIoas", { op: 9 }).errno).toBe(Errno.EOPNOTSUPP);
  });

  test("events are read at their own position only", () => {
    const own = testBench();
    const queue = own.client.faultQueueAlloc();
    expect(own.session.read(queue.fd, 0x100n, 40, 40n)).toBe(-Errno.ESPIPE);
    expect(own.session.write(queue.fd, 0x100n, 8, 8n)).toBe(-Errno.ESPIPE);
    expect(own.session.read(queue.fd, 0x100n, 40, 0n)).toBe(0);
  });
});
