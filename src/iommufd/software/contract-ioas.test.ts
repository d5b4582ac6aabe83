// Each errno of the IOAS calls, in the order in which Linux 7.2 checks.
import { describe, expect, test } from "vitest";
import { bytesBacking } from "../local-caller.ts";
import {
  Errno,
  IommuIovaRange,
  ioctlCommand,
  MockAccessCreateFlag,
  TestAccessPages,
  TestAddReserved,
  TestCreateAccess,
  TestOp,
} from "../uapi/index.ts";
import { attachDevice } from "./attach-device.ts";
import { MEMORY_BYTES, testBench } from "./test-bench.ts";
import { NO_PASID } from "./unit.ts";
import { unitProfiles } from "./unit-description.ts";

const TOP = 0xffff_ffff_ffff_ffffn;
const READ_WRITE = 6;
const FIXED = 7;

describe("every call", () => {
  test("an unknown command of the range below is not a VFIO call either: ENOTTY", () => {
    const b = testBench();
    expect(b.session.ioctl(b.client.fd, ioctlCommand(0x7f), 0n)).toBe(-Errno.ENOTTY);
    expect(b.session.ioctl(b.client.fd, ioctlCommand(0xa1), 0n)).toBe(-Errno.ENOTTY);
  });

  test("an address that is not mapped is EFAULT before the command is looked at closely", () => {
    const b = testBench();
    expect(b.session.ioctl(b.client.fd, ioctlCommand(0x81), BigInt(MEMORY_BYTES))).toBe(-Errno.EFAULT);
    expect(b.session.ioctl(b.client.fd, 0xffff_3b81, BigInt(MEMORY_BYTES))).toBe(-Errno.EFAULT);
    expect(b.session.ioctl(b.client.fd, 0xffff_3b81, 0n)).toBe(-Errno.ENOTTY);
  });

  test("a size below the least is EINVAL, a non-zero byte past the structure E2BIG, zeroes there are fine", () => {
    const b = testBench();
    expect(b.client.attempt("ioasAlloc", { size: 11 }).errno).toBe(Errno.EINVAL);
    b.bytes.fill(0, 0, 64);
    const view = new DataView(b.bytes.buffer);
    view.setUint32(0, 20, true);
    b.bytes[19] = 1;
    expect(b.session.ioctl(b.client.fd, ioctlCommand(0x81), 0n)).toBe(-Errno.E2BIG);
    b.bytes[19] = 0;
    expect(b.session.ioctl(b.client.fd, ioctlCommand(0x81), 0n)).toBe(0);
  });

  test("past the structure, what comes first decides: a byte that is not zero, or the end of the caller's memory", () => {
    const b = testBench();
    const at = MEMORY_BYTES - 0x2000;
    const view = new DataView(b.bytes.buffer);
    view.setUint32(at, 0x4000, true);
    expect(b.session.ioctl(b.client.fd, ioctlCommand(0x81), BigInt(at))).toBe(-Errno.EFAULT);
    b.bytes[MEMORY_BYTES - 1] = 1;
    expect(b.session.ioctl(b.client.fd, ioctlCommand(0x81), BigInt(at))).toBe(-Errno.E2BIG);
    view.setUint32(at, 0xffff_ffff, true);
    b.bytes[MEMORY_BYTES - 1] = 0;
    expect(b.session.ioctl(b.client.fd, ioctlCommand(0x81), BigInt(at))).toBe(-Errno.EFAULT);
  });

  test("a caller of an older structure gets only as many bytes back as it knows", () => {
    const b = testBench();
    const { deviceId } = b.mockDevice(b.client.ioasAlloc());
    b.bytes.fill(0xaa, 0, 40);
    new DataView(b.bytes.buffer).setUint32(0, 32, true);
    b.bytes.fill(0, 4, 32);
    new DataView(b.bytes.buffer).setUint32(8, deviceId, true);
    expect(b.session.ioctl(b.client.fd, ioctlCommand(0x8a), 0n)).toBe(0);
    expect([...b.bytes.subarray(32, 40)]).toEqual(new Array(8).fill(0xaa));
  });

  test("an unopened descriptor is EBADF", () => {
    const b = testBench();
    expect(b.session.ioctl(99, ioctlCommand(0x81), 0n)).toBe(-Errno.EBADF);
  });
});

describe("DESTROY", () => {
  test("0, unknown ids and ids already destroyed are ENOENT; the lowest free id comes next", () => {
    const { client } = testBench();
    const [a, b] = [client.ioasAlloc(), client.ioasAlloc()];
    expect([a, b]).toEqual([1, 2]);
    expect(client.attempt("destroy", { id: 0 }).errno).toBe(Errno.ENOENT);
    client.destroy(a);
    expect(client.attempt("destroy", { id: a }).errno).toBe(Errno.ENOENT);
    expect(client.ioasAlloc()).toBe(a);
  });

  test("what is in use is EBUSY: an IOAS with a page table, an attached page table, a bound device", () => {
    const b = testBench();
    const ioas = b.client.ioasAlloc();
    const { hwptId, deviceId } = b.mockDevice(ioas);
    expect(b.client.attempt("destroy", { id: ioas }).errno).toBe(Errno.EBUSY);
    expect(b.client.attempt("destroy", { id: hwptId }).errno).toBe(Errno.EBUSY);
    expect(b.client.attempt("destroy", { id: deviceId }).errno).toBe(Errno.EBUSY);
  });

  test("mapped areas do not hold an IOAS", () => {
    const { client } = testBench();
    const ioas = client.ioasAlloc();
    client.map(0n, { ioasId: ioas, lengthBytes: 4096n });
    expect(client.attempt("destroy", { id: ioas }).errno).toBe(0);
  });
});

describe("IOAS_ALLOC", () => {
  test("flags are EOPNOTSUPP", () => {
    expect(testBench().client.attempt("ioasAlloc", { flags: 1 }).errno).toBe(Errno.EOPNOTSUPP);
  });
});

describe("IOAS_IOVA_RANGES", () => {
  test("a fresh IOAS gives the whole space, alignment 1", () => {
    const { client } = testBench();
    expect(client.iovaRanges(client.ioasAlloc())).toEqual({ ranges: [{ start: 0n, last: TOP }], alignment: 1n });
  });

  test("reserved field EOPNOTSUPP, then unknown id ENOENT", () => {
    const { client } = testBench();
    expect(client.attempt("ioasIovaRanges", { __reserved: 1, ioas_id: 9 }).errno).toBe(Errno.EOPNOTSUPP);
    expect(client.attempt("ioasIovaRanges", { ioas_id: 9 }).errno).toBe(Errno.ENOENT);
  });

  test("too little room is EMSGSIZE, with the number that there are and those that fit", () => {
    const b = testBench();
    const ioas_id = b.client.ioasAlloc();
    b.test(TestOp.ADD_RESERVED, ioas_id, TestAddReserved, { start: 0x1000n, length: 0x1000n });
    const { errno, reply } = b.client.attempt("ioasIovaRanges", { ioas_id, num_iovas: 1, allowed_iovas: 0x100n });
    expect([errno, reply.num_iovas]).toEqual([Errno.EMSGSIZE, 2]);
    expect(IommuIovaRange.decode(b.bytes, 0x100)).toEqual({ start: 0n, last: 0xfffn });
    expect(IommuIovaRange.decode(b.bytes, 0x110)).toEqual({ start: 0n, last: 0n });
  });

  test("a bad buffer is EFAULT", () => {
    const { client } = testBench();
    const ioas_id = client.ioasAlloc();
    expect(client.attempt("ioasIovaRanges", { ioas_id, num_iovas: 1, allowed_iovas: TOP - 15n }).errno).toBe(
      Errno.EFAULT,
    );
  });
});

describe("IOAS_ALLOW_IOVAS", () => {
  test("a one-byte range and overlapping ranges are EINVAL; touching a reserved range is EADDRINUSE and keeps the old list", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    b.test(TestOp.ADD_RESERVED, ioasId, TestAddReserved, { start: 0x8000n, length: 0x1000n });
    const allow = (...ranges: [bigint, bigint][]): void =>
      b.client.allowIovas(
        ioasId,
        ranges.map(([start, last]) => ({ start, last })),
      );
    expect(() => allow([5n, 5n])).toThrow("EINVAL");
    expect(() => allow([0x1000n, 0x1fffn], [0x1fffn, 0x2fffn])).toThrow("EINVAL");
    allow([0x10000n, 0x1ffffn]);
    expect(() => allow([0x8000n, 0x8fffn])).toThrow("EADDRINUSE");
    expect(b.client.map(0n, { ioasId, lengthBytes: 4096n })).toBe(0x10000n);
  });
});

describe("IOAS_MAP", () => {
  const map = { flags: READ_WRITE, user_va: 0n, length: 0x1000n, iova: 0n };

  test("checks come in the kernel's order", () => {
    const { client } = testBench();
    const ioas_id = client.ioasAlloc();
    const errno = (fields: object): number => client.attempt("ioasMap", { ...map, ioas_id, ...fields }).errno;
    expect(errno({ flags: 8, length: TOP })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ __reserved: 1, length: TOP })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ flags: 0, length: TOP })).toBe(Errno.EOVERFLOW);
    expect(errno({ flags: 0, iova: TOP })).toBe(Errno.EOVERFLOW);
    expect(errno({ flags: 1, ioas_id: 9 })).toBe(Errno.EINVAL);
    expect(errno({ ioas_id: 9, length: 0n })).toBe(Errno.ENOENT);
    expect(errno({ user_va: TOP - 0xfffn, length: 0x1000n })).toBe(Errno.EOVERFLOW);
    expect(errno({ length: 0n })).toBe(Errno.EINVAL);
    expect(errno({ flags: FIXED, iova: TOP - 0x7ffn })).toBe(Errno.EOVERFLOW);
  });

  test("a fixed map: misaligned EINVAL, reserved EINVAL, mapped EEXIST, and nothing changes", () => {
    const b = testBench();
    const ioas_id = b.client.ioasAlloc();
    b.mockDevice(ioas_id);
    const errno = (fields: object): number =>
      b.client.attempt("ioasMap", { ...map, flags: FIXED, ioas_id, iova: 0x100_0000n, ...fields }).errno;
    expect(errno({ length: 0x801n })).toBe(Errno.EINVAL);
    expect(errno({ iova: 0x100_0001n })).toBe(Errno.EINVAL);
    expect(errno({ iova: 0xff_f000n, length: 0x2000n })).toBe(Errno.EINVAL);
    expect(errno({ user_va: 1n })).toBe(Errno.EINVAL);
    expect(errno({})).toBe(0);
    expect(errno({ iova: 0x100_0800n })).toBe(Errno.EEXIST);
    expect(b.host.audit().pinnedPages).toBe(1);
  });

  test("with a page table attached, unmapped memory is EFAULT and the limit ENOMEM; without, both wait", () => {
    const b = testBench({}, { credentials: { capable: () => false, memlockLimitPages: () => 2 } });
    const lazy = b.client.ioasAlloc();
    expect(b.client.map(BigInt(MEMORY_BYTES), { ioasId: lazy, lengthBytes: 0x1000n, iova: 0x100_0000n })).toBe(
      0x100_0000n,
    );
    const ioas_id = b.client.ioasAlloc();
    b.mockDevice(ioas_id);
    expect(b.client.attempt("ioasMap", { ...map, ioas_id, user_va: BigInt(MEMORY_BYTES) }).errno).toBe(Errno.EFAULT);
    expect(b.client.attempt("ioasMap", { ...map, ioas_id, length: 0x3000n }).errno).toBe(Errno.ENOMEM);
    expect(b.client.attempt("ioasMap", { ...map, ioas_id, length: 0x2000n }).errno).toBe(0);
    expect(() => b.mockDevice(lazy)).toThrow(`${-Errno.EFAULT}`);
  });

  test("a mapping far longer than the caller's memory is EFAULT at its first bad page", () => {
    const b = testBench();
    const ioas_id = b.client.ioasAlloc();
    attachDevice(b.bind(unitProfiles["amd"]!).bound, NO_PASID, ioas_id);
    const errno = b.client.attempt("ioasMap", {
      ...map,
      flags: FIXED,
      ioas_id,
      iova: 1n << 40n,
      length: 1n << 62n,
    }).errno;
    expect(errno).toBe(Errno.EFAULT);
    expect(b.host.audit().pinnedPages).toBe(0);
  });

  test("more than the host's own memory is ENOMEM, and nothing stays pinned", () => {
    const b = testBench({ memoryBytes: 0x8000 });
    const ioas_id = b.client.ioasAlloc();
    attachDevice(b.bind(unitProfiles["amd"]!).bound, NO_PASID, ioas_id);
    b.client.map(0n, { ioasId: ioas_id, lengthBytes: 0x5000n });
    expect(b.client.attempt("ioasMap", { ...map, ioas_id, user_va: 0x8000n, length: 0x4000n }).errno).toBe(
      Errno.ENOMEM,
    );
    expect(b.host.audit().pinnedPages).toBe(5);
  });

  test("the chosen IOVA keeps the source's place in its page and starts no lower than one page", () => {
    const { client } = testBench();
    const ioasId = client.ioasAlloc();
    expect(client.map(0x2800n, { ioasId, lengthBytes: 0x800n })).toBe(0x1800n);
    expect(client.map(0x20_0000n, { ioasId, lengthBytes: 0x20_0000n })).toBe(0x20_0000n);
    expect(client.map(0x3000n, { ioasId, lengthBytes: 0x1000n })).toBe(0x2000n);
  });

  test("no room is ENOSPC, too long EOVERFLOW", () => {
    const b = testBench();
    const ioas_id = b.client.ioasAlloc();
    b.client.allowIovas(ioas_id, [{ start: 0x10000n, last: 0x10fffn }]);
    expect(b.client.attempt("ioasMap", { ...map, ioas_id, length: 0x2000n }).errno).toBe(Errno.ENOSPC);
    expect(b.client.attempt("ioasMap", { ...map, ioas_id, length: 1n << 63n }).errno).toBe(Errno.EOVERFLOW);
  });
});

describe("IOAS_MAP_FILE", () => {
  test("length 0 EINVAL, wrap EOVERFLOW, closed descriptor EBADF, past the end EINVAL when pinned", () => {
    const b = testBench();
    const ioas_id = b.client.ioasAlloc();
    b.mockDevice(ioas_id);
    const fd = b.caller.files.installBacking(bytesBacking("file", new Uint8Array(0x2000)));
    const errno = (fields: object): number =>
      b.client.attempt("ioasMapFile", { flags: READ_WRITE, ioas_id, fd, start: 0n, length: 0x1000n, ...fields }).errno;
    expect(errno({ flags: 8 })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ fd: 77, length: 0n })).toBe(Errno.EINVAL);
    expect(errno({ fd: 77, start: TOP })).toBe(Errno.EOVERFLOW);
    expect(errno({ fd: 77 })).toBe(Errno.EBADF);
    expect(errno({ length: 0x3000n })).toBe(Errno.EINVAL);
    expect(errno({ length: 0x2000n })).toBe(0);
  });
});

describe("IOAS_COPY", () => {
  test("checks come in the kernel's order", () => {
    const b = testBench();
    const src_ioas_id = b.client.ioasAlloc();
    const dst_ioas_id = b.client.ioasAlloc();
    b.client.map(0n, { ioasId: src_ioas_id, lengthBytes: 0x2000n, iova: 0x10000n, writable: false });
    const copy = { flags: 4, src_ioas_id, dst_ioas_id, length: 0x1000n, src_iova: 0x10000n };
    const errno = (fields: object): number => b.client.attempt("ioasCopy", { ...copy, ...fields }).errno;
    expect(errno({ flags: 8, length: TOP })).toBe(Errno.EOPNOTSUPP);
    expect(errno({ flags: 0, src_iova: TOP })).toBe(Errno.EOVERFLOW);
    expect(errno({ flags: 1 })).toBe(Errno.EINVAL);
    expect(errno({ src_ioas_id: 9 })).toBe(Errno.ENOENT);
    expect(errno({ length: 0n })).toBe(Errno.EINVAL);
    expect(errno({ length: 0x3000n })).toBe(Errno.ENOENT);
    expect(errno({ dst_ioas_id: 9 })).toBe(Errno.ENOENT);
    expect(errno({ flags: READ_WRITE })).toBe(Errno.EPERM);
    expect(errno({ src_iova: 0x10800n })).toBe(0);
  });

  test("copied pages are pinned and counted once", () => {
    const b = testBench();
    const [from, to] = [b.client.ioasAlloc(), b.client.ioasAlloc()];
    b.mockDevice(from);
    b.mockDevice(to);
    b.client.map(0n, { ioasId: from, lengthBytes: 0x3000n, iova: 0x100_0000n });
    b.client.copy(from, 0x100_0000n, { ioasId: to, lengthBytes: 0x3000n });
    expect(b.host.audit().pinnedPages).toBe(3);
    b.client.unmapAll(from);
    expect(b.host.audit().pinnedPages).toBe(3);
    b.client.unmapAll(to);
    expect(b.host.audit().pinnedPages).toBe(0);
  });
});

describe("IOAS_UNMAP", () => {
  test("checks come in the kernel's order", () => {
    const { client } = testBench();
    const ioas_id = client.ioasAlloc();
    const errno = (fields: object): number =>
      client.attempt("ioasUnmap", { ioas_id, iova: 0x1000n, length: 0x1000n, ...fields }).errno;
    expect(errno({ ioas_id: 9 })).toBe(Errno.ENOENT);
    expect(errno({ length: TOP })).toBe(Errno.EOVERFLOW);
    expect(errno({ length: 0n })).toBe(Errno.EINVAL);
    expect(errno({ iova: TOP - 1n })).toBe(Errno.EOVERFLOW);
    expect(errno({})).toBe(Errno.ENOENT);
    expect(errno({ iova: 0n, length: TOP })).toBe(0);
  });

  test("an area that sticks out is ENOENT after earlier areas of the range are gone", () => {
    const { client } = testBench();
    const ioasId = client.ioasAlloc();
    client.map(0n, { ioasId, lengthBytes: 0x1000n, iova: 0x1000n });
    client.map(0n, { ioasId, lengthBytes: 0x2000n, iova: 0x2000n });
    expect(client.attempt("ioasUnmap", { ioas_id: ioasId, iova: 0x1000n, length: 0x2000n }).errno).toBe(Errno.ENOENT);
    expect(client.unmapAll(ioasId)).toBe(0x2000n);
  });

  test("pins of an access are called back before its area goes", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    b.client.map(0n, { ioasId, lengthBytes: 0x2000n, iova: 0x1000n });
    const created = b.test(TestOp.CREATE_ACCESS, ioasId, TestCreateAccess, {
      flags: MockAccessCreateFlag.NEEDS_PIN_PAGES,
    });
    const fd = TestCreateAccess.decode(created.union).out_access_fd;
    const pin = { iova: 0x1000n, length: 0x1000n, uptr: 0n, flags: 1 };
    expect(b.test(TestOp.ACCESS_PAGES, fd, TestAccessPages, pin).result).toBe(0);
    expect(b.host.audit().pinnedPages).toBe(1);
    expect(b.client.unmapAll(ioasId)).toBe(0x2000n);
    expect(b.host.audit().pinnedPages).toBe(0);
  });
});

describe("OPTION", () => {
  test("accounting mode: object EOPNOTSUPP, rights EPERM, objects EBUSY, value EINVAL", () => {
    const poor = testBench({}, { credentials: { capable: () => false } }).client;
    const set = { option_id: 0, op: 0, val64: 1n };
    expect(poor.attempt("option", { ...set, object_id: 1 }).errno).toBe(Errno.EOPNOTSUPP);
    expect(poor.attempt("option", set).errno).toBe(Errno.EPERM);
    const { client } = testBench();
    expect(client.attempt("option", { ...set, val64: 2n }).errno).toBe(Errno.EINVAL);
    expect(client.attempt("option", set).errno).toBe(0);
    expect(client.attempt("option", { option_id: 0, op: 1 }).reply.val64).toBe(1n);
    client.ioasAlloc();
    expect(client.attempt("option", set).errno).toBe(Errno.EBUSY);
    expect(client.attempt("option", { option_id: 2, op: 1 }).errno).toBe(Errno.EOPNOTSUPP);
    expect(client.attempt("option", { option_id: 0, op: 2 }).errno).toBe(Errno.EOPNOTSUPP);
  });

  test("large pages off: EINVAL with mapped domains, EADDRINUSE with misaligned areas, then alignment is a page", () => {
    const b = testBench();
    const off = (object_id: number): number => b.client.attempt("option", { option_id: 1, op: 0, object_id }).errno;
    const mapped = b.client.ioasAlloc();
    b.mockDevice(mapped);
    b.client.map(0n, { ioasId: mapped, lengthBytes: 0x1000n });
    const misaligned = b.client.ioasAlloc();
    b.client.map(0n, { ioasId: misaligned, lengthBytes: 0x800n, iova: 0n });
    const plain = b.client.ioasAlloc();
    expect([off(99), off(mapped), off(misaligned), off(plain)]).toEqual([
      Errno.ENOENT,
      Errno.EINVAL,
      Errno.EADDRINUSE,
      0,
    ]);
    expect(b.client.iovaRanges(plain).alignment).toBe(4096n);
    b.client.setLargePages(plain, true);
    expect(b.client.iovaRanges(plain).alignment).toBe(1n);
  });
});

describe("VFIO_IOAS and CHANGE_PROCESS", () => {
  test("GET without one is ENODEV, SET of an unknown one ENOENT; destroying it clears the slot", () => {
    const { client } = testBench();
    expect(client.attempt("vfioIoas", { op: 0 }).errno).toBe(Errno.ENODEV);
    expect(client.attempt("vfioIoas", { op: 1, ioas_id: 5 }).errno).toBe(Errno.ENOENT);
    expect(client.attempt("vfioIoas", { op: 3 }).errno).toBe(Errno.EOPNOTSUPP);
    const ioas = client.ioasAlloc();
    client.setVfioIoas(ioas);
    expect(client.call("vfioIoas", { op: 0 }).ioas_id).toBe(ioas);
    client.destroy(ioas);
    expect(client.attempt("vfioIoas", { op: 0 }).errno).toBe(Errno.ENODEV);
  });

  test("only file mappings can change process", () => {
    const b = testBench();
    const ioasId = b.client.ioasAlloc();
    b.client.map(0n, { ioasId, lengthBytes: 4096n });
    expect(b.client.attempt("ioasChangeProcess", { __reserved: 1 }).errno).toBe(Errno.EOPNOTSUPP);
    expect(b.client.attempt("ioasChangeProcess", {}).errno).toBe(Errno.EINVAL);
    b.client.unmapAll(ioasId);
    b.client.changeProcess();
  });
});
