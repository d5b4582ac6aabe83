// Typed calls on one open /dev/iommu. Requests are written into an arena of the caller's memory that the host can reach.
import { assert } from "../../base/index.ts";
import type { HostSession } from "../port.ts";
import {
  GetDirtyBitmapFlag,
  IoasMapFlag,
  ioctlCommand,
  iommufdIoctls,
  IommuIovaRange,
  IommuOptionId,
  IommuOptionOp,
  SetDirtyTrackingFlag,
  VfioIoasOp,
  type AnyLayout,
  type Errno,
  type IommufdIoctl,
  type IommufdRequest,
} from "../uapi/index.ts";
import { LEAST_ARENA_BYTES, PAYLOAD_AT, placePayload, type ClientArena } from "./arena.ts";
import { IommufdError } from "./error.ts";

export interface IovaRange {
  readonly start: bigint;
  readonly last: bigint;
}

export interface MapOptions {
  readonly ioasId: number;
  readonly lengthBytes: bigint;
  /** Where to map; chosen by the host when absent. */
  readonly iova?: bigint;
  /** Default: both. */
  readonly readable?: boolean;
  readonly writable?: boolean;
}

export interface HwptOptions {
  readonly deviceId: number;
  /** An IOAS, or a page table or vIOMMU to nest on. */
  readonly parentId: number;
  /** Bits of `HwptAllocFlag`. */
  readonly flags?: number;
  readonly faultQueueId?: number;
  /** The unit's own structure. */
  readonly data?: { readonly type: number; readonly bytes: Uint8Array };
}

export interface HwInfo {
  readonly type: number;
  readonly data: Uint8Array;
  readonly maxPasidLog2: number;
  /** Bits of `HwCapability`. */
  readonly capabilities: bigint;
}

function mapFlags(options: MapOptions): number {
  return (
    (options.iova === undefined ? 0 : IoasMapFlag.FIXED_IOVA) |
    (options.readable === false ? 0 : IoasMapFlag.READABLE) |
    (options.writable === false ? 0 : IoasMapFlag.WRITEABLE)
  );
}

export class IommufdClient {
  readonly fd: number;
  readonly #session: HostSession;
  readonly #arena: ClientArena;

  private constructor(session: HostSession, fd: number, arena: ClientArena) {
    this.#session = session;
    this.fd = fd;
    this.#arena = arena;
  }

  /** Opens a context; throws IommufdError. */
  static open(session: HostSession, arena: ClientArena): IommufdClient {
    assert(arena.bytes.length >= LEAST_ARENA_BYTES, "an arena holds a request and a payload", arena.bytes.length);
    const fd = session.open("/dev/iommu");
    if (fd < 0) throw new IommufdError("open", -fd, "/dev/iommu");
    return new IommufdClient(session, fd, arena);
  }

  close(): void {
    this.#session.close(this.fd);
  }

  /** One ioctl as it is: the errno (0 for success) and the request as the host left it. */
  attempt<K extends IommufdIoctl>(
    ioctl: K,
    request: Partial<IommufdRequest<K>>,
  ): { readonly errno: Errno; readonly reply: IommufdRequest<K> } {
    const row = iommufdIoctls[ioctl];
    const { va, bytes } = this.#arena;
    const { layout } = row as { readonly layout: AnyLayout };
    layout.encode({ size: layout.lengthBytes, ...request }, bytes, 0);
    const result = this.#session.ioctl(this.fd, ioctlCommand(row.nr), va);
    return { errno: result < 0 ? -result : 0, reply: layout.decode(bytes, 0) as IommufdRequest<K> };
  }

  /** One ioctl; throws IommufdError when the host refuses. */
  call<K extends IommufdIoctl>(ioctl: K, request: Partial<IommufdRequest<K>>): IommufdRequest<K> {
    const { errno, reply } = this.attempt(ioctl, request);
    if (errno !== 0) throw new IommufdError(iommufdIoctls[ioctl].name, errno);
    return reply;
  }

  destroy(id: number): void {
    this.call("destroy", { id });
  }

  ioasAlloc(): number {
    return this.call("ioasAlloc", {}).out_ioas_id;
  }

  /** Maps memory of this process; the IOVA. */
  map(va: bigint, options: MapOptions): bigint {
    return this.call("ioasMap", {
      flags: mapFlags(options),
      ioas_id: options.ioasId,
      user_va: va,
      length: options.lengthBytes,
      iova: options.iova ?? 0n,
    }).iova;
  }

  /** Maps a file from byte `start` on; the IOVA. */
  mapFile(fd: number, start: bigint, options: MapOptions): bigint {
    return this.call("ioasMapFile", {
      flags: mapFlags(options),
      ioas_id: options.ioasId,
      fd,
      start,
      length: options.lengthBytes,
      iova: options.iova ?? 0n,
    }).iova;
  }

  /** Maps what another IOAS has at `sourceIova`, sharing its pages; the IOVA. */
  copy(sourceIoasId: number, sourceIova: bigint, options: MapOptions): bigint {
    return this.call("ioasCopy", {
      flags: mapFlags(options),
      dst_ioas_id: options.ioasId,
      src_ioas_id: sourceIoasId,
      length: options.lengthBytes,
      dst_iova: options.iova ?? 0n,
      src_iova: sourceIova,
    }).dst_iova;
  }

  /** Unmaps whole areas; how many bytes went. */
  unmap(ioasId: number, iova: bigint, lengthBytes: bigint): bigint {
    return this.call("ioasUnmap", { ioas_id: ioasId, iova, length: lengthBytes }).length;
  }

  unmapAll(ioasId: number): bigint {
    return this.unmap(ioasId, 0n, 0xffff_ffff_ffff_ffffn);
  }

  /** What may be mapped, and how it must be aligned. */
  iovaRanges(ioasId: number): { readonly ranges: readonly IovaRange[]; readonly alignment: bigint } {
    const { va, bytes } = this.#arena;
    const step = IommuIovaRange.lengthBytes;
    const capacity = Math.floor((bytes.length - PAYLOAD_AT) / step);
    const request = { ioas_id: ioasId, num_iovas: capacity, allowed_iovas: va + BigInt(PAYLOAD_AT) };
    const { num_iovas: count, out_iova_alignment: alignment } = this.call("ioasIovaRanges", request);
    const ranges = Array.from({ length: count }, (_, i) => IommuIovaRange.decode(bytes, PAYLOAD_AT + i * step));
    return { ranges, alignment };
  }

  /** Restricts where the host may choose IOVAs; an empty list lifts it. */
  allowIovas(ioasId: number, ranges: readonly IovaRange[]): void {
    const payload = new Uint8Array(ranges.length * IommuIovaRange.lengthBytes);
    ranges.forEach((range, i) => IommuIovaRange.encode(range, payload, i * IommuIovaRange.lengthBytes));
    const allowed = this.#place(payload);
    this.call("ioasAllowIovas", { ioas_id: ioasId, num_iovas: ranges.length, allowed_iovas: allowed });
  }

  setLargePages(ioasId: number, on: boolean): void {
    this.call("option", {
      option_id: IommuOptionId.HUGE_PAGES,
      op: IommuOptionOp.SET,
      object_id: ioasId,
      val64: on ? 1n : 0n,
    });
  }

  /** Bills pins to the process instead of the user; only before the first object exists. */
  accountPerProcess(): void {
    this.call("option", { option_id: IommuOptionId.RLIMIT_MODE, op: IommuOptionOp.SET, val64: 1n });
  }

  /** Names the IOAS that VFIO's type 1 calls work on. */
  setVfioIoas(ioasId: number): void {
    this.call("vfioIoas", { op: VfioIoasOp.SET, ioas_id: ioasId });
  }

  /** Moves the bill of every mapping to this process. */
  changeProcess(): void {
    this.call("ioasChangeProcess", {});
  }

  hwptAlloc(options: HwptOptions): number {
    const { data } = options;
    return this.call("hwptAlloc", {
      flags: options.flags ?? 0,
      dev_id: options.deviceId,
      pt_id: options.parentId,
      fault_id: options.faultQueueId ?? 0,
      data_type: data?.type ?? 0,
      data_len: data?.bytes.length ?? 0,
      data_uptr: data === undefined ? 0n : this.#place(data.bytes),
    }).out_hwpt_id;
  }

  getHwInfo(deviceId: number): HwInfo {
    const { va, bytes } = this.#arena;
    const room = bytes.length - PAYLOAD_AT;
    const reply = this.call("getHwInfo", { dev_id: deviceId, data_len: room, data_uptr: va + BigInt(PAYLOAD_AT) });
    return {
      type: reply.data_type,
      data: bytes.slice(PAYLOAD_AT, PAYLOAD_AT + Math.min(room, reply.data_len)),
      maxPasidLog2: reply.out_max_pasid_log2,
      capabilities: reply.out_capabilities,
    };
  }

  /** Turning it on starts from clean, also when it was on. */
  setDirtyTracking(hwptId: number, on: boolean): void {
    this.call("hwptSetDirtyTracking", { hwpt_id: hwptId, flags: on ? SetDirtyTrackingFlag.ENABLE : 0 });
  }

  /**
   * Dirty pages of a range: bit i stands for `pageBytes` bytes from `iova + i * pageBytes`. Linux 7.2 reports nothing past
   * the first hole of the mapping, so ask per mapped range.
   */
  getDirtyBitmap(
    hwptId: number,
    iova: bigint,
    lengthBytes: bigint,
    pageBytes: bigint,
    options: { readonly keep?: boolean } = {},
  ): Uint8Array {
    const { va, bytes } = this.#arena;
    const room = bytes.length - PAYLOAD_AT;
    const result = new Uint8Array(Number((lengthBytes / pageBytes + 7n) / 8n));
    for (let done = 0; done < result.length; done += room) {
      const part = Math.min(room, result.length - done);
      bytes.fill(0, PAYLOAD_AT, PAYLOAD_AT + part);
      const from = BigInt(done) * 8n * pageBytes;
      const most = BigInt(part) * 8n * pageBytes;
      this.call("hwptGetDirtyBitmap", {
        hwpt_id: hwptId,
        flags: options.keep === true ? GetDirtyBitmapFlag.NO_CLEAR : 0,
        iova: iova + from,
        length: lengthBytes - from < most ? lengthBytes - from : most,
        page_size: pageBytes,
        data: va + BigInt(PAYLOAD_AT),
      });
      result.set(bytes.subarray(PAYLOAD_AT, PAYLOAD_AT + part), done);
    }
    return result;
  }

  /** Invalidates cached translations of a nested page table or vIOMMU; how many entries were handled. */
  invalidate(targetId: number, type: number, entryBytes: number, entries: Uint8Array): number {
    return this.call("hwptInvalidate", {
      hwpt_id: targetId,
      data_type: type,
      entry_len: entryBytes,
      entry_num: entries.length / entryBytes,
      data_uptr: this.#place(entries),
    }).entry_num;
  }

  faultQueueAlloc(): { readonly id: number; readonly fd: number } {
    const reply = this.call("faultQueueAlloc", {});
    return { id: reply.out_fault_id, fd: reply.out_fault_fd };
  }

  viommuAlloc(deviceId: number, parentHwptId: number, type: number): number {
    return this.call("viommuAlloc", { dev_id: deviceId, hwpt_id: parentHwptId, type }).out_viommu_id;
  }

  vdeviceAlloc(viommuId: number, deviceId: number, virtualId: bigint): number {
    return this.call("vdeviceAlloc", { viommu_id: viommuId, dev_id: deviceId, virt_id: virtualId }).out_vdevice_id;
  }

  veventqAlloc(viommuId: number, type: number, depth: number): { readonly id: number; readonly fd: number } {
    const reply = this.call("veventqAlloc", { viommu_id: viommuId, type, veventq_depth: depth });
    return { id: reply.out_veventq_id, fd: reply.out_veventq_fd };
  }

  hwQueueAlloc(viommuId: number, type: number, index: number, iova: bigint, lengthBytes: bigint): number {
    const request = { viommu_id: viommuId, type, index, nesting_parent_iova: iova, length: lengthBytes };
    return this.call("hwQueueAlloc", request).out_hw_queue_id;
  }

  #place(payload: Uint8Array): bigint {
    return placePayload(this.#arena, payload);
  }
}
