// IOMMU_TEST_CMD: the operations by which the kernel's selftest drives mock devices, accesses and checks.
import type { Caller, CallerMemory, HostFile } from "../port.ts";
import {
  Errno,
  iommuTestIoctl,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IommuViommuEventSelftest,
  type IommuTestCmd,
  MOCK_DEV_CACHE_NUM,
  MOCK_IOTLB_NUM,
  MockAccessCreateFlag,
  MockAccessPagesFlag,
  MockAccessRwFlag,
  PgfaultFlag,
  TestAccessPages,
  TestAccessRw,
  TestAddReserved,
  TestCheckMap,
  TestCheckRefs,
  TestCreateAccess,
  TestDirty,
  TestDmabufRevoke,
  TestMockDomain,
  TestOp,
  TestPair,
  TestTriggerIopf,
} from "../uapi/index.ts";
import { Access } from "./access.ts";
import { attachDevice, replaceDevice } from "./attach-device.ts";
import { bindDevice, detachDevice, unbindDevice, type BoundDevice } from "./bound-device.ts";
import type { Call } from "./call.ts";
import type { IoctlHandler } from "./context.ts";
import { DmaBuf } from "./dma-buf.ts";
import { reportPageRequest } from "./fault-queue.ts";
import { PAGE_SIZE } from "./frames.ts";
import { NestedHwpt, PagingHwpt } from "./hw-page-table.ts";
import type { HostMemory } from "./host-memory.ts";
import { TOP } from "./iova-allocator.ts";
import { mockIotlb, MockDevice, MockUnit } from "./mock-unit.ts";
import { IommufdObject } from "./objects.ts";
import { NO_PASID } from "./unit.ts";

type TestCall = Call<ReturnType<(typeof IommuTestCmd)["decode"]>>;

const PAGE = BigInt(PAGE_SIZE);
const MAX_COPY = 16n << 20n;
/** The kernel's own batches; it has no effect here but must be plausible. */
const LEAST_MEMORY_LIMIT = 12;

/** A mock device that a test has made: bound and attached as long as it lives. */
class MockAttachment extends IommufdObject {
  readonly type = "selftest" as const;
  readonly unit: MockUnit;
  readonly device: MockDevice;
  bound: BoundDevice | undefined;

  constructor(unit: MockUnit, device: MockDevice) {
    super();
    this.unit = unit;
    this.device = device;
  }

  override snapshot(): object {
    const { device, bound } = this;
    return { device: device.name, bound: bound?.id, cache: [...device.cache], virtualId: device.virtualId };
  }

  override destroy(): void {
    if (this.bound !== undefined) {
      for (const pasid of [...this.bound.group.attachments.keys()]) detachDevice(this.bound, pasid);
      unbindDevice(this.bound);
    }
    this.unit.freeDevice(this.device);
  }
}

/** The descriptor of a test's access object, and what it has pinned. */
class AccessFile implements HostFile {
  access: Access | undefined;
  readonly pinsPages: boolean;
  readonly items: { readonly id: number; readonly iova: bigint; readonly lengthBytes: bigint }[] = [];
  nextId = 0;

  constructor(pinsPages: boolean) {
    this.pinsPages = pinsPages;
  }

  unmap(iova: bigint, lengthBytes: bigint): void {
    const last = iova + lengthBytes - 1n;
    for (const item of [...this.items]) {
      if (iova > item.iova + item.lengthBytes - 1n || last < item.iova) continue;
      this.items.splice(this.items.indexOf(item), 1);
      this.access!.unpin(item.iova, item.lengthBytes);
    }
  }

  release(): void {
    if (this.access === undefined) return;
    this.unmap(0n, TOP);
    this.access.close();
  }

  ioctl(): number {
    return -Errno.ENOTTY;
  }
  read(): number {
    return -Errno.EINVAL;
  }
  write(): number {
    return -Errno.EINVAL;
  }
  poll(): number {
    return 0;
  }
  mmap(): number {
    return -Errno.ENODEV;
  }
}

export function mockHandlers(unit: MockUnit): readonly IoctlHandler[] {
  return [{ row: iommuTestIoctl, run: (call) => runTest(unit, call as TestCall) }];
}

function runTest(unit: MockUnit, call: TestCall): number {
  const { request, context } = call;
  switch (request.op) {
    case TestOp.ADD_RESERVED:
      return addReserved(call);
    case TestOp.MOCK_DOMAIN:
    case TestOp.MOCK_DOMAIN_FLAGS:
      return mockDomain(unit, call);
    case TestOp.MOCK_DOMAIN_REPLACE:
      return changeAttachment(call, (s) => replaceDevice(s.bound!, NO_PASID, first(call)), 0);
    case TestOp.MD_CHECK_MAP:
      return checkMap(call);
    case TestOp.MD_CHECK_REFS:
      return checkRefs(call);
    case TestOp.MD_CHECK_IOTLB: {
      const hwpt = context.objects.get<NestedHwpt>(request.id, "hwpt-nested");
      if (hwpt === undefined) return -Errno.ENOENT;
      if (!(hwpt.domain!.unit instanceof MockUnit)) return -Errno.EINVAL;
      const pair = TestPair.decode(request.u);
      return pair.first < MOCK_IOTLB_NUM && mockIotlb(hwpt.domain!)[pair.first] === pair.second ? 0 : -Errno.EINVAL;
    }
    case TestOp.DEV_CHECK_CACHE: {
      const bound = context.objects.get<BoundDevice>(request.id, "device");
      if (bound === undefined) return -Errno.ENOENT;
      if (!(bound.device instanceof MockDevice)) return -Errno.EINVAL;
      const pair = TestPair.decode(request.u);
      const { cache } = bound.device;
      return pair.first < MOCK_DEV_CACHE_NUM && cache[pair.first] === pair.second ? 0 : -Errno.EINVAL;
    }
    case TestOp.CREATE_ACCESS:
      return createAccess(call);
    case TestOp.ACCESS_REPLACE_IOAS: {
      const file = accessFile(call.caller, request.id);
      return file === undefined ? -Errno.EBADFD : file.access!.replace(first(call));
    }
    case TestOp.ACCESS_PAGES:
      return accessPages(call);
    case TestOp.ACCESS_RW:
      return accessRw(call);
    case TestOp.DESTROY_ACCESS_PAGES:
      return destroyAccessPages(call);
    case TestOp.SET_TEMP_MEMORY_LIMIT:
      return first(call) < LEAST_MEMORY_LIMIT ? -Errno.EINVAL : 0;
    case TestOp.DIRTY:
      return dirty(call);
    case TestOp.TRIGGER_IOPF:
      return triggerPageRequest(call);
    case TestOp.TRIGGER_VEVENT:
      return triggerEvent(call);
    case TestOp.PASID_ATTACH:
      return changeAttachment(
        call,
        (s) => attachDevice(s.bound!, first(call), second(call)),
        4,
        (s) => detachDevice(s.bound!, first(call)),
      );
    case TestOp.PASID_REPLACE:
      return changeAttachment(call, (s) => replaceDevice(s.bound!, first(call), second(call)), 4);
    case TestOp.PASID_DETACH: {
      const self = attachmentOf(call);
      if (self === undefined) return -Errno.ENOENT;
      detachDevice(self.bound!, first(call));
      return 0;
    }
    case TestOp.PASID_CHECK_HWPT:
      return checkPasid(call);
    case TestOp.DMABUF_GET:
      return getDmabuf(call);
    case TestOp.DMABUF_REVOKE:
      return revokeDmabuf(call);
    default:
      return -Errno.EOPNOTSUPP;
  }
}

function first(call: TestCall): number {
  return TestPair.decode(call.request.u).first;
}

function second(call: TestCall): number {
  return TestPair.decode(call.request.u).second;
}

function attachmentOf(call: TestCall): MockAttachment | undefined {
  return call.context.objects.get<MockAttachment>(call.request.id, "selftest");
}

function accessFile(caller: Caller, fd: number): AccessFile | undefined {
  const file = caller.files.lookup(fd);
  return file instanceof AccessFile ? file : undefined;
}

function addReserved(call: TestCall): number {
  const { start, length } = TestAddReserved.decode(call.request.u);
  if (length === 0n) return -Errno.EINVAL;
  if (start + length - 1n > TOP) return -Errno.EOVERFLOW;
  const ioas = call.context.ioas(call.request.id);
  return ioas === undefined ? -Errno.ENOENT : ioas.space.reserve(start, start + length - 1n, undefined);
}

function mockDomain(unit: MockUnit, call: TestCall): number {
  const { request, context } = call;
  const flags = request.op === TestOp.MOCK_DOMAIN_FLAGS ? TestMockDomain.decode(request.u).dev_flags : 0;
  const device = unit.newDevice(flags);
  if (typeof device === "number") return device;
  const self = new MockAttachment(unit, device);
  let rc = context.objects.reserve(self);
  if (rc < 0) {
    self.destroy();
    return rc;
  }
  const bound = bindDevice(context, device, { holdsContext: false, allowUnsafeInterrupts: true });
  if (typeof bound === "number") {
    context.abort(self);
    return bound;
  }
  self.bound = bound;
  const id = attachDevice(bound, NO_PASID, request.id);
  if (id < 0) {
    context.abort(self);
    return id;
  }
  TestMockDomain.encode({ out_stdev_id: self.id, out_hwpt_id: id, out_idev_id: bound.id, dev_flags: flags }, request.u);
  rc = call.respond();
  if (rc < 0) {
    context.abort(self);
    return rc;
  }
  context.objects.publish(self);
  return 0;
}

/** Runs a change that gives a page table's id, and answers with it at `replyAt` of the union. */
function changeAttachment(
  call: TestCall,
  change: (self: MockAttachment) => number,
  replyAt: number,
  undo?: (self: MockAttachment) => void,
): number {
  const self = attachmentOf(call);
  if (self === undefined) return -Errno.ENOENT;
  const id = change(self);
  if (id < 0) return id;
  const pair = TestPair.decode(call.request.u);
  TestPair.encode(
    replyAt === 0 ? { first: id, second: pair.second } : { first: pair.first, second: id },
    call.request.u,
  );
  const rc = call.respond();
  if (rc < 0) undo?.(self);
  return rc;
}

/** The frame under an address of the caller, pinned or not; undefined for EFAULT, -1 for one that nobody pins. */
function frameAt(memory: CallerMemory, host: HostMemory, va: bigint): number | undefined {
  const run = memory.pages(va & ~(PAGE - 1n), 1, false)?.[0];
  return run === undefined ? undefined : (host.frames.frameOf(run.backing, run.offset) ?? -1);
}

function checkMap(call: TestCall): number {
  const { iova, length, uptr } = TestCheckMap.decode(call.request.u);
  const hwpt = call.context.objects.get<PagingHwpt>(call.request.id, "hwpt-paging");
  if (hwpt === undefined) return -Errno.ENOENT;
  const domain = hwpt.domain!;
  if (!(domain.unit instanceof MockUnit)) return -Errno.EINVAL;
  const step = domain.smallestPage;
  if (((iova | length | uptr) & (step - 1n)) !== 0n || uptr + length > TOP) return -Errno.EINVAL;
  for (let done = 0n; done < length; done += step) {
    const frame = frameAt(call.caller.memory, call.context.memory, uptr + done);
    if (frame === undefined) return -Errno.EFAULT;
    const mapped = domain.lookup(iova + done);
    if (mapped?.frame !== frame || BigInt(mapped.offset) !== (uptr + done) % PAGE) return -Errno.EINVAL;
  }
  return 0;
}

function checkRefs(call: TestCall): number {
  const { length, uptr, refs } = TestCheckRefs.decode(call.request.u);
  if (length % PAGE !== 0n || uptr % PAGE !== 0n || uptr + length > TOP) return -Errno.EINVAL;
  const host = call.context.memory;
  const runs = length === 0n ? [] : call.caller.memory.pages(uptr, Number(length / PAGE), false);
  if (runs === undefined) return -Errno.EFAULT;
  for (const run of runs) {
    const frame = host.frames.frameOf(run.backing, run.offset);
    for (let i = 0; i < run.pageCount; i++) {
      if ((frame === undefined ? 0 : host.frames.pinCount(frame + i)) !== refs) return -Errno.EIO;
    }
  }
  return 0;
}

function createAccess(call: TestCall): number {
  const { flags } = TestCreateAccess.decode(call.request.u);
  if ((flags & ~MockAccessCreateFlag.NEEDS_PIN_PAGES) !== 0) return -Errno.EOPNOTSUPP;
  const file = new AccessFile((flags & MockAccessCreateFlag.NEEDS_PIN_PAGES) !== 0);
  const access = Access.create(call.context, {
    pinsPages: file.pinsPages,
    onUnmap: (iova, lengthBytes) => file.unmap(iova, lengthBytes),
  });
  if (typeof access === "number") return access;
  let rc = access.attach(call.request.id);
  if (rc < 0) {
    access.close();
    return rc;
  }
  file.access = access;
  const fd = call.installFile(file);
  if (fd < 0) {
    file.release();
    return fd;
  }
  TestCreateAccess.encode({ out_access_fd: fd, flags }, call.request.u);
  rc = call.respond();
  if (rc < 0) call.caller.files.close(fd);
  return rc;
}

function accessPages(call: TestCall): number {
  const { request, caller, context } = call;
  const pages = TestAccessPages.decode(request.u);
  const { iova, length } = pages;
  if (length > MAX_COPY) return -Errno.ENOMEM;
  if ((pages.flags & ~(MockAccessPagesFlag.WRITE | MockAccessPagesFlag.SYZ)) !== 0) return -Errno.EOPNOTSUPP;
  const file = accessFile(caller, request.id);
  if (file === undefined) return -Errno.EBADFD;
  if (!file.pinsPages) return -Errno.EOPNOTSUPP;
  const access = file.access!;
  const frames = access.pin(iova, length, (pages.flags & MockAccessPagesFlag.WRITE) !== 0);
  if (typeof frames === "number") return frames;
  let rc = pages.uptr === 0n ? 0 : comparePages(caller, context.memory, pages.uptr - (iova % PAGE), frames);
  if (rc === 0) {
    const id = file.nextId++;
    file.items.push({ id, iova, lengthBytes: length });
    TestAccessPages.encode({ ...pages, out_access_pages_id: id }, request.u);
    rc = call.respond();
    if (rc < 0) file.items.pop();
  }
  if (rc < 0) access.unpin(iova, length);
  return rc;
}

function comparePages(caller: Caller, host: HostMemory, va: bigint, frames: readonly number[]): number {
  for (const [i, frame] of frames.entries()) {
    const actual = frameAt(caller.memory, host, va + BigInt(i) * PAGE);
    if (actual === undefined) return -Errno.EFAULT;
    if (actual !== frame) return -Errno.EBADE;
  }
  return 0;
}

function destroyAccessPages(call: TestCall): number {
  const file = accessFile(call.caller, call.request.id);
  if (file === undefined) return -Errno.EBADFD;
  const item = file.items.find((i) => i.id === first(call));
  if (item === undefined) return -Errno.ENOENT;
  file.items.splice(file.items.indexOf(item), 1);
  file.access!.unpin(item.iova, item.lengthBytes);
  return 0;
}

function accessRw(call: TestCall): number {
  const { caller } = call;
  const { iova, length, uptr, flags } = TestAccessRw.decode(call.request.u);
  if (length > MAX_COPY) return -Errno.ENOMEM;
  const known = MockAccessRwFlag.WRITE | MockAccessRwFlag.SLOW_PATH | MockAccessPagesFlag.SYZ;
  if ((flags & ~known) !== 0) return -Errno.EOPNOTSUPP;
  const file = accessFile(caller, call.request.id);
  if (file === undefined) return -Errno.EBADFD;
  const data = new Uint8Array(Number(length));
  const write = (flags & MockAccessRwFlag.WRITE) !== 0;
  if (write && !caller.memory.read(uptr, data)) return -Errno.EFAULT;
  const rc = file.access!.copy(caller, iova, data, write, (flags & MockAccessRwFlag.SLOW_PATH) !== 0);
  if (rc < 0 || write) return rc;
  return caller.memory.write(uptr, data) ? 0 : -Errno.EFAULT;
}

function dirty(call: TestCall): number {
  const { request, caller, context } = call;
  const args = TestDirty.decode(request.u);
  const { iova, length, page_size: pageSize, uptr } = args;
  if (pageSize === 0n || length === 0n || iova % pageSize !== 0n || length % pageSize !== 0n || uptr === 0n) {
    return -Errno.EINVAL;
  }
  const count = length / pageSize;
  if (count > MAX_COPY * 8n) return -Errno.EOVERFLOW;
  const hwpt = context.objects.get<PagingHwpt>(request.id, "hwpt-paging");
  if (hwpt === undefined) return -Errno.ENOENT;
  const domain = hwpt.domain!;
  if (!domain.tracking) return -Errno.EINVAL;
  const bits = new Uint8Array(Number((count + 7n) / 8n));
  if (!caller.memory.read(uptr, bits)) return -Errno.EFAULT;
  let set = 0n;
  for (let i = 0; i < Number(count); i++) {
    if ((bits[i >> 3]! & (1 << (i & 7))) === 0) continue;
    domain.setDirty(iova + BigInt(i) * pageSize);
    set++;
  }
  TestDirty.encode({ ...args, out_nr_dirty: set }, request.u);
  return call.respond();
}

function triggerPageRequest(call: TestCall): number {
  const fault = TestTriggerIopf.decode(call.request.u);
  const bound = call.context.objects.get<BoundDevice>(fault.dev_id, "device");
  if (bound === undefined) return -Errno.ENOENT;
  reportPageRequest(bound, {
    flags: PgfaultFlag.LAST_PAGE | (fault.pasid === NO_PASID ? 0 : PgfaultFlag.PASID_VALID),
    pasid: fault.pasid,
    groupId: fault.grpid,
    permissions: fault.perm,
    address: fault.addr,
  });
  return 0;
}

function triggerEvent(call: TestCall): number {
  const bound = call.context.objects.get<BoundDevice>(first(call), "device");
  if (bound === undefined) return -Errno.ENOENT;
  const { device } = bound;
  if (!(device instanceof MockDevice) || device.viommu === undefined || device.virtualId === 0n) return -Errno.ENOENT;
  const event = IommuViommuEventSelftest.encode({ virt_id: Number(BigInt.asUintN(32, device.virtualId)) });
  return device.viommu.report(IOMMU_VEVENTQ_TYPE_SELFTEST, event);
}

function checkPasid(call: TestCall): number {
  const self = attachmentOf(call);
  if (self === undefined) return -Errno.ENOENT;
  const attached = self.device.group.pasidDomains.get(first(call));
  const hwptId = second(call);
  if (hwptId === 0) return attached === undefined ? 0 : -Errno.EINVAL;
  const hwpt = call.context.objects.any(hwptId);
  if (hwpt === undefined) return -Errno.ENOENT;
  if (!(hwpt instanceof PagingHwpt || hwpt instanceof NestedHwpt)) return -Errno.EINVAL;
  return attached === hwpt.domain ? 0 : -Errno.EINVAL;
}

function getDmabuf(call: TestCall): number {
  const lengthBytes = Math.ceil(first(call) / PAGE_SIZE) * PAGE_SIZE;
  if (lengthBytes === 0 || lengthBytes > PAGE_SIZE * 512) return -Errno.EINVAL;
  const buffer = new DmaBuf(call.context.memory, new Uint8Array(lengthBytes), true);
  const fd = call.installFile(buffer);
  if (fd < 0) buffer.release();
  return fd;
}

function revokeDmabuf(call: TestCall): number {
  const { dmabuf_fd: fd, revoked } = TestDmabufRevoke.decode(call.request.u);
  const buffer = call.caller.files.lookup(fd);
  if (buffer === undefined) return -Errno.EBADF;
  if (!(buffer instanceof DmaBuf)) return -Errno.EINVAL;
  buffer.setRevoked(revoked !== 0);
  return 0;
}
