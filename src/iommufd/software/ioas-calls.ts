// The IOAS calls: alloc, ranges, map, copy, unmap, options, change of process, and the VFIO compatibility slot.
import type { Caller } from "../port.ts";
import {
  Errno,
  IoasMapFlag,
  IommuIovaRange,
  IommuOptionId,
  IommuOptionOp,
  VfioIoasOp,
  type IommufdRequest,
} from "../uapi/index.ts";
import type { AccountMode } from "./accounting.ts";
import { payerOf } from "./accounting.ts";
import type { Area } from "./area.ts";
import type { Call } from "./call.ts";
import type { IommufdContext } from "./context.ts";
import { DmaBuf } from "./dma-buf.ts";
import { PAGE_SIZE } from "./frames.ts";
import { IntervalTree } from "./interval-tree.ts";
import { Ioas } from "./ioas.ts";
import { holes, TOP } from "./iova-allocator.ts";
import { MappedPages, type PageSource } from "./mapped-pages.ts";

const PAGE = BigInt(PAGE_SIZE);

export function ioasAlloc(call: Call<IommufdRequest<"ioasAlloc">>): number {
  const context = call.context;
  const ioas = context.newIoas();
  let rc = context.objects.reserve(ioas);
  if (rc < 0) return rc;
  call.request.out_ioas_id = ioas.id;
  rc = call.respond();
  if (rc < 0) {
    context.abort(ioas);
    return rc;
  }
  context.objects.publish(ioas);
  return 0;
}

export function ioasIovaRanges(call: Call<IommufdRequest<"ioasIovaRanges">>): number {
  const { request, caller } = call;
  const ioas = call.context.ioas(request.ioas_id);
  if (ioas === undefined) return -Errno.ENOENT;
  const capacity = request.num_iovas;
  let count = 0;
  request.out_iova_alignment = ioas.space.iovaAlignment;
  for (const hole of holes(ioas.space.reserved, 0n, TOP)) {
    if (count < capacity) {
      const bytes = IommuIovaRange.encode({ start: hole.first, last: hole.last });
      if (!caller.memory.write(request.allowed_iovas + BigInt(count * bytes.length), bytes)) return -Errno.EFAULT;
    }
    count++;
  }
  request.num_iovas = count;
  const rc = call.respond();
  if (rc < 0) return rc;
  return count > capacity ? -Errno.EMSGSIZE : 0;
}

export function ioasAllowIovas(call: Call<IommufdRequest<"ioasAllowIovas">>): number {
  const { request, caller } = call;
  const ioas = call.context.ioas(request.ioas_id);
  if (ioas === undefined) return -Errno.ENOENT;
  const allowed = new IntervalTree<undefined>();
  const bytes = new Uint8Array(IommuIovaRange.lengthBytes);
  for (let i = 0; i < request.num_iovas; i++) {
    if (!caller.memory.read(request.allowed_iovas + BigInt(i * bytes.length), bytes)) return -Errno.EFAULT;
    const { start, last } = IommuIovaRange.decode(bytes);
    if (start >= last || allowed.first(start, last) !== undefined) return -Errno.EINVAL;
    allowed.insert(start, last, undefined);
  }
  return ioas.space.setAllowed(allowed);
}

function accountModeFor(context: IommufdContext, caller: Caller): AccountMode {
  if (caller.credentials.capable("IPC_LOCK")) return "none";
  return context.accountMode === "space" ? "space" : "user";
}

/** What MAP and the VFIO call share once their own checks are done. The IOVA, or a negative errno. */
export function mapUserMemory(
  context: IommufdContext,
  caller: Caller,
  ioas: Ioas,
  va: bigint,
  lengthBytes: bigint,
  iova: bigint | undefined,
  readable: boolean,
  writable: boolean,
): bigint | number {
  if (va + lengthBytes > TOP) return -Errno.EOVERFLOW;
  const startByte = va % PAGE;
  return mapSource(context, caller, ioas, {
    source: { kind: "user", memory: caller.memory, start: va - startByte },
    startByte,
    lengthBytes,
    iova,
    readable,
    writable,
    mode: accountModeFor(context, caller),
  });
}

interface SourceMap {
  readonly source: PageSource;
  readonly startByte: bigint;
  readonly lengthBytes: bigint;
  readonly iova: bigint | undefined;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly mode: AccountMode;
}

function mapSource(context: IommufdContext, caller: Caller, ioas: Ioas, map: SourceMap): bigint | number {
  const { lengthBytes, startByte } = map;
  if (lengthBytes === 0n || lengthBytes > TOP - PAGE) return -Errno.EINVAL;
  const pageCount = Number((lengthBytes + startByte + PAGE - 1n) / PAGE);
  if (context.memory.failAt("alloc")) return -Errno.ENOMEM;
  const pages = new MappedPages(context.memory, caller, map.source, pageCount, map.writable, map.mode);
  const at = ioas.space.map([{ pages, startByte, lengthBytes }], lengthBytes, map.iova, map.readable, map.writable);
  pages.put();
  return at;
}

function prot(flags: number): { readonly readable: boolean; readonly writable: boolean } {
  return { readable: (flags & IoasMapFlag.READABLE) !== 0, writable: (flags & IoasMapFlag.WRITEABLE) !== 0 };
}

export function ioasMap(call: Call<IommufdRequest<"ioasMap">>): number {
  const { request, context, caller } = call;
  if (request.iova === TOP || request.length === TOP) return -Errno.EOVERFLOW;
  const { readable, writable } = prot(request.flags);
  if (!readable && !writable) return -Errno.EINVAL;
  const ioas = context.ioas(request.ioas_id);
  if (ioas === undefined) return -Errno.ENOENT;
  const fixed = (request.flags & IoasMapFlag.FIXED_IOVA) !== 0 ? request.iova : undefined;
  const iova = mapUserMemory(context, caller, ioas, request.user_va, request.length, fixed, readable, writable);
  if (typeof iova === "number") return iova;
  request.iova = iova;
  return call.respond();
}

export function ioasMapFile(call: Call<IommufdRequest<"ioasMapFile">>): number {
  const { request, context, caller } = call;
  if (request.iova === TOP || request.length === TOP) return -Errno.EOVERFLOW;
  const { readable, writable } = prot(request.flags);
  if (!readable && !writable) return -Errno.EINVAL;
  const ioas = context.ioas(request.ioas_id);
  if (ioas === undefined) return -Errno.ENOENT;
  if (request.length === 0n) return -Errno.EINVAL;
  if (request.start + request.length - 1n > TOP) return -Errno.EOVERFLOW;
  const startByte = request.start % PAGE;
  const source = fileSource(caller, request.fd, request.start - startByte, request.start + request.length - 1n);
  if (typeof source === "number") return source;
  const iova = mapSource(context, caller, ioas, {
    source,
    startByte,
    lengthBytes: request.length,
    iova: (request.flags & IoasMapFlag.FIXED_IOVA) !== 0 ? request.iova : undefined,
    readable,
    writable,
    mode: source.kind === "dmabuf" ? "none" : accountModeFor(context, caller),
  });
  if (typeof iova === "number") return iova;
  request.iova = iova;
  return call.respond();
}

function fileSource(caller: Caller, fd: number, start: bigint, last: bigint): PageSource | number {
  const own = caller.files.lookup(fd);
  if (own instanceof DmaBuf) {
    if (BigInt(own.lengthBytes) <= last) return -Errno.EINVAL;
    if (!own.offersPhysicalRange) return -Errno.EOPNOTSUPP;
    if (own.revoked) return -Errno.ENODEV;
    return { kind: "dmabuf", buffer: own, start };
  }
  const file = caller.files.backing(fd);
  return file === undefined ? -Errno.EBADF : { kind: "file", file, start };
}

export function ioasCopy(call: Call<IommufdRequest<"ioasCopy">>): number {
  const { request, context } = call;
  if (request.length === TOP || request.src_iova === TOP || request.dst_iova === TOP) return -Errno.EOVERFLOW;
  const { readable, writable } = prot(request.flags);
  if (!readable && !writable) return -Errno.EINVAL;
  const from = context.ioas(request.src_ioas_id);
  if (from === undefined) return -Errno.ENOENT;
  const slices = from.space.slices(request.src_iova, request.length);
  if (typeof slices === "number") return slices;
  const fixed = (request.flags & IoasMapFlag.FIXED_IOVA) !== 0 ? request.dst_iova : undefined;
  const to = context.ioas(request.dst_ioas_id);
  const iova = to === undefined ? -Errno.ENOENT : to.space.map(slices, request.length, fixed, readable, writable);
  for (const slice of slices) slice.pages.put();
  if (typeof iova === "number") return iova;
  request.dst_iova = iova;
  return call.respond();
}

export function ioasUnmap(call: Call<IommufdRequest<"ioasUnmap">>): number {
  const { request } = call;
  const ioas = call.context.ioas(request.ioas_id);
  if (ioas === undefined) return -Errno.ENOENT;
  if (request.iova === 0n && request.length === TOP) {
    const { unmapped, rc } = ioas.space.unmap(0n, TOP);
    if (rc < 0) return rc;
    request.length = unmapped;
    return call.respond();
  }
  if (request.iova === TOP || request.length === TOP) return -Errno.EOVERFLOW;
  if (request.length === 0n) return -Errno.EINVAL;
  const last = request.iova + request.length - 1n;
  if (last > TOP) return -Errno.EOVERFLOW;
  const { unmapped, rc } = ioas.space.unmap(request.iova, last);
  if (rc < 0) return rc;
  if (unmapped === 0n) return -Errno.ENOENT;
  request.length = unmapped;
  return call.respond();
}

export function option(call: Call<IommufdRequest<"option">>): number {
  const { request, caller } = call;
  let rc: number;
  if (request.option_id === IommuOptionId.RLIMIT_MODE) rc = rlimitMode(call);
  else if (request.option_id === IommuOptionId.HUGE_PAGES) rc = hugePages(call);
  else return -Errno.EOPNOTSUPP;
  if (rc < 0) return rc;
  // Only the value goes back, whatever size the caller named.
  const value = new Uint8Array(8);
  new DataView(value.buffer).setBigUint64(0, request.val64, true);
  return caller.memory.write(call.argument + 16n, value) ? 0 : -Errno.EFAULT;
}

function rlimitMode(call: Call<IommufdRequest<"option">>): number {
  const { request, context, caller } = call;
  if (request.object_id !== 0) return -Errno.EOPNOTSUPP;
  if (request.op === IommuOptionOp.GET) {
    request.val64 = context.accountMode === "space" ? 1n : 0n;
    return 0;
  }
  if (request.op !== IommuOptionOp.SET) return -Errno.EOPNOTSUPP;
  if (!caller.credentials.capable("SYS_RESOURCE")) return -Errno.EPERM;
  if (!context.objects.isEmpty) return -Errno.EBUSY;
  if (request.val64 > 1n) return -Errno.EINVAL;
  context.accountMode = request.val64 === 1n ? "space" : "user";
  return 0;
}

function hugePages(call: Call<IommufdRequest<"option">>): number {
  const { request } = call;
  const ioas = call.context.ioas(request.object_id);
  if (ioas === undefined) return -Errno.ENOENT;
  if (request.op === IommuOptionOp.GET) {
    request.val64 = ioas.space.largePagesOff ? 0n : 1n;
    return 0;
  }
  if (request.op !== IommuOptionOp.SET) return -Errno.EOPNOTSUPP;
  return request.val64 > 1n ? -Errno.EINVAL : ioas.space.setLargePages(request.val64 === 1n);
}

export function vfioIoas(call: Call<IommufdRequest<"vfioIoas">>): number {
  const { request, context } = call;
  switch (request.op) {
    case VfioIoasOp.GET:
      if (context.vfioIoas === undefined) return -Errno.ENODEV;
      request.ioas_id = context.vfioIoas.id;
      return call.respond();
    case VfioIoasOp.SET: {
      const ioas = context.ioas(request.ioas_id);
      if (ioas === undefined) return -Errno.ENOENT;
      context.vfioIoas = ioas;
      return 0;
    }
    case VfioIoasOp.CLEAR:
      context.vfioIoas = undefined;
      return 0;
    default:
      return -Errno.EOPNOTSUPP;
  }
}

/** Moves the bill for every area of the context to the caller. */
export function ioasChangeProcess(call: Call<IommufdRequest<"ioasChangeProcess">>): number {
  const { context, caller } = call;
  const sets = new Set<MappedPages>();
  for (const object of context.objects.all()) {
    if (!(object instanceof Ioas)) continue;
    for (const area of object.space.eachArea() as Iterable<Area>) {
      if (area.pages.source.kind !== "file") return -Errno.EINVAL;
      sets.add(area.pages);
    }
  }
  const accounting = context.memory.accounting;
  const space = caller.memory.space;
  const uid = caller.credentials.uid;
  const moving = [...sets].filter(
    ({ payer }) => payer.mode !== "none" && (payer.space !== space || (payer.mode === "user" && payer.uid !== uid)),
  );
  // The new bill is paid before the old one is settled, mode by mode, and undone as a whole.
  const charged: { readonly mode: AccountMode; readonly pages: number }[] = [];
  for (const mode of ["user", "space"] as const) {
    const pages = moving.filter((p) => p.payer.mode === mode).reduce((sum, p) => sum + p.pinnedPages, 0);
    const rc = accounting.charge(payerOf(caller, mode), pages);
    if (rc < 0) {
      for (const c of charged) accounting.uncharge(payerOf(caller, c.mode), c.pages);
      return rc;
    }
    charged.push({ mode, pages });
  }
  for (const pages of moving) accounting.uncharge(pages.payer, pages.pinnedPages);
  for (const pages of sets) {
    // Nobody is charged, but VmPin follows the pages (7.2 leaves it with the old process and underflows the new one's).
    if (pages.payer.mode === "none" && pages.payer.space !== space) {
      accounting.uncharge(pages.payer, pages.pinnedPages);
      accounting.charge(payerOf(caller, "none"), pages.pinnedPages);
    }
    pages.payer = payerOf(caller, pages.payer.mode);
  }
  return 0;
}
