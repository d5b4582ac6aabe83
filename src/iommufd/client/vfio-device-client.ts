// Typed calls on one VFIO device file. Requests are written into an arena of the caller's memory that the host can reach;
// a refusal is an IommufdError with the call, the errno and the sentence.
import { assert } from "../../base/index.ts";
import type { HostMapping, HostSession } from "../port.ts";
import {
  Errno,
  ioctlCommand,
  MAX_LOG_RANGES,
  VfioDeviceAttachFlag,
  VfioDeviceFeature,
  VfioDeviceFeatureDmaBuf,
  VfioDeviceFeatureDmaLoggingControl,
  VfioDeviceFeatureDmaLoggingRange,
  VfioDeviceFeatureDmaLoggingReport,
  VfioDeviceFeatureFlag,
  VfioDeviceFeatureMigDataSize,
  VfioDeviceFeatureMigration,
  VfioDeviceFeatureMigState,
  vfioDeviceIoctls,
  VfioDeviceLowPowerEntryWithWakeup,
  VfioFeature,
  VfioIrqSet,
  VfioIrqSetFlag,
  VfioPciDependentDevice,
  VfioPciHotResetFlag,
  VfioPciHotResetInfo,
  VfioRegionDmaRange,
  VfioRegionInfo,
  type AnyLayout,
  type VfioDeviceIoctl,
} from "../uapi/index.ts";
import { LEAST_ARENA_BYTES, PAYLOAD_AT, placePayload, type ClientArena } from "./arena.ts";
import { IommufdError } from "./error.ts";
import type { IovaRange } from "./iommufd-client.ts";
import { atomicCompletionOf, regionOf, type VfioDeviceFacts, type VfioIrq, type VfioRegion } from "./vfio-info.ts";

const { GET, SET, PROBE } = VfioDeviceFeatureFlag;

export type VfioRequest<K extends VfioDeviceIoctl> = (typeof vfioDeviceIoctls)[K]["layout"] extends AnyLayout
  ? ReturnType<(typeof vfioDeviceIoctls)[K]["layout"]["decode"]>
  : object;

/** What SET_IRQS does to interrupts `start` on. Exactly one of eventFds, values and count says which and how. */
export interface IrqChange {
  /** One of `VfioPciIrq`. */
  readonly index: number;
  readonly start?: number;
  readonly action: "trigger" | "mask" | "unmask";
  /** Descriptors to be signalled, or that signal; -1 takes one away. */
  readonly eventFds?: readonly number[];
  /** Which of them the action is done to. */
  readonly values?: readonly boolean[];
  /** To all of so many; 0 with "trigger" turns the kind off. */
  readonly count?: number;
}

/** A function that a reset of the bus resets too. */
export interface HotResetDevice {
  /** Its id in this context; 0 when it is the caller's through its group; -1 when it is not the caller's. */
  readonly deviceId: number;
  readonly segment: number;
  readonly bus: number;
  readonly devfn: number;
}

const ACTION = {
  trigger: VfioIrqSetFlag.ACTION_TRIGGER,
  mask: VfioIrqSetFlag.ACTION_MASK,
  unmask: VfioIrqSetFlag.ACTION_UNMASK,
} as const;

const featureNames = new Map<number, string>(Object.entries(VfioFeature).map(([name, index]) => [index, name]));

export class VfioDeviceClient {
  readonly fd: number;
  readonly path: string;
  readonly #session: HostSession;
  readonly #arena: ClientArena;

  private constructor(session: HostSession, fd: number, path: string, arena: ClientArena) {
    this.#session = session;
    this.fd = fd;
    this.path = path;
    this.#arena = arena;
  }

  /** Opens a device's file (`/dev/vfio/devices/vfio0`); throws IommufdError. */
  static open(session: HostSession, arena: ClientArena, path: string): VfioDeviceClient {
    assert(arena.bytes.length >= LEAST_ARENA_BYTES, "an arena holds a request and a payload", arena.bytes.length);
    const fd = session.open(path);
    if (fd < 0) throw new IommufdError("open", -fd, path);
    return new VfioDeviceClient(session, fd, path, arena);
  }

  /** Gives the device back, once nothing of it is mapped. */
  close(): void {
    this.#session.close(this.fd);
  }

  /** One ioctl as it is: the errno (0 for success) and the request as the host left it. */
  attempt<K extends VfioDeviceIoctl>(
    ioctl: K,
    request: Partial<VfioRequest<K>> = {},
  ): { readonly errno: Errno; readonly reply: VfioRequest<K> } {
    const row = vfioDeviceIoctls[ioctl];
    const layout = row.layout as AnyLayout | undefined;
    const { va, bytes } = this.#arena;
    layout?.encode({ argsz: layout.lengthBytes, ...request }, bytes, 0);
    const result = this.#session.ioctl(this.fd, ioctlCommand(row.nr), layout === undefined ? 0n : va);
    return { errno: result < 0 ? -result : 0, reply: (layout?.decode(bytes, 0) ?? {}) as VfioRequest<K> };
  }

  /** One ioctl; throws IommufdError when the host refuses. */
  call<K extends VfioDeviceIoctl>(ioctl: K, request: Partial<VfioRequest<K>> = {}): VfioRequest<K> {
    const { errno, reply } = this.attempt(ioctl, request);
    if (errno !== 0) throw this.#error(vfioDeviceIoctls[ioctl].name, errno);
    return reply;
  }

  #error(name: string, errno: Errno): IommufdError {
    return new IommufdError(name, errno, this.path);
  }

  // Binding and attaching

  /** Takes the device for a context; its id there. */
  bind(iommufd: number): number {
    return this.call("bind", { iommufd }).out_devid;
  }

  /**
   * Attaches to an IOAS or a page table, or moves there; the id of the page table (of the IOAS for a mediated device).
   * EINVAL means that this page table does not fit the device.
   */
  attach(ptId: number, pasid?: number): number {
    return this.call("attach", { pt_id: ptId, ...passFlag(pasid) }).pt_id;
  }

  detach(pasid?: number): void {
    this.call("detach", passFlag(pasid));
  }

  // What it is

  info(): VfioDeviceFacts {
    const argsz = this.#arena.bytes.length;
    const { flags, num_regions, num_irqs, cap_offset } = this.call("getInfo", { argsz });
    const atomicCompletion = atomicCompletionOf(this.#arena.bytes, cap_offset);
    return { flags, regionCount: num_regions, irqCount: num_irqs, atomicCompletion };
  }

  region(index: number): VfioRegion {
    const { bytes } = this.#arena;
    this.call("getRegionInfo", { index, argsz: bytes.length });
    return regionOf(VfioRegionInfo.decode(bytes, 0), bytes);
  }

  irq(index: number): VfioIrq {
    const { count, flags } = this.call("getIrqInfo", { index });
    return { index, count, flags };
  }

  // Regions

  /** Fills `into` from byte `at` of a region. */
  read(region: VfioRegion, at: bigint, into: Uint8Array): void {
    this.#transfer("read", region, at, into.length, (done, part) => {
      into.set(this.#arena.bytes.subarray(0, part), done);
    });
  }

  write(region: VfioRegion, at: bigint, from: Uint8Array): void {
    const stage = (done: number, part: number): void => this.#arena.bytes.set(from.subarray(done, done + part));
    this.#transfer("write", region, at, from.length, () => {}, stage);
  }

  #transfer(
    how: "read" | "write",
    region: VfioRegion,
    at: bigint,
    lengthBytes: number,
    took: (done: number, part: number) => void,
    stage: (done: number, part: number) => void = () => {},
  ): void {
    const { va, bytes } = this.#arena;
    for (let done = 0; done < lengthBytes;) {
      const wanted = Math.min(bytes.length, lengthBytes - done);
      stage(done, wanted);
      const got = this.#session[how](this.fd, va, wanted, region.offset + at + BigInt(done));
      // A region that ends is as one that refuses.
      if (got <= 0) throw this.#error(how, got === 0 ? Errno.EINVAL : -got);
      took(done, got);
      done += got;
    }
  }

  /** Maps a stretch of one of the region's areas, for reading and writing. */
  map(region: VfioRegion, at: bigint, lengthBytes: number): HostMapping {
    const request = { offset: region.offset + at, lengthBytes, protection: 3, shared: true };
    const mapping = this.#session.mmap(this.fd, request);
    if (typeof mapping === "number") throw this.#error("mmap", -mapping);
    return mapping;
  }

  // Interrupts and reset

  setIrqs(change: IrqChange): void {
    const { index, start = 0, action, eventFds, values } = change;
    const data = new Uint8Array(eventFds === undefined ? (values?.length ?? 0) : 4 * eventFds.length);
    const view = new DataView(data.buffer);
    eventFds?.forEach((fd, i) => view.setInt32(4 * i, fd, true));
    values?.forEach((value, i) => view.setUint8(i, value ? 1 : 0));
    const kind =
      eventFds !== undefined
        ? VfioIrqSetFlag.DATA_EVENTFD
        : values !== undefined
          ? VfioIrqSetFlag.DATA_BOOL
          : VfioIrqSetFlag.DATA_NONE;
    const headBytes = VfioIrqSet.lengthBytes;
    const { bytes } = this.#arena;
    assert(headBytes + data.length <= bytes.length, "interrupts fit the arena", data.length);
    bytes.set(data, headBytes);
    this.call("setIrqs", {
      argsz: headBytes + data.length,
      flags: kind | ACTION[action],
      index,
      start,
      count: eventFds?.length ?? values?.length ?? change.count ?? 1,
    });
  }

  /** Writes `data` to a BAR whenever the eventfd is signalled; -1 ends it. */
  setIoeventfd(region: VfioRegion, at: bigint, widthBytes: 1 | 2 | 4, data: bigint, fd: number): void {
    this.call("ioeventfd", { flags: widthBytes, offset: region.offset + at, data, fd });
  }

  reset(): void {
    this.call("reset");
  }

  hotResetInfo(): { readonly owned: boolean; readonly devices: readonly HotResetDevice[] } {
    const { bytes } = this.#arena;
    const { flags, count } = this.call("getHotResetInfo", { argsz: bytes.length });
    const step = VfioPciDependentDevice.lengthBytes;
    const devices = Array.from({ length: count }, (_, i) => {
      const entry = VfioPciDependentDevice.decode(bytes, VfioPciHotResetInfo.lengthBytes + i * step);
      return { deviceId: entry.id, segment: entry.segment, bus: entry.bus, devfn: entry.devfn };
    });
    return { owned: (flags & VfioPciHotResetFlag.DEV_ID_OWNED) !== 0, devices };
  }

  /** Resets every function on the device's bus; all of them must be the caller's. */
  hotReset(): void {
    this.call("hotReset");
  }

  // Features

  /** One feature as it is: the result, the errno, and the payload as the host left it. */
  attemptFeature(
    index: number,
    flags: number,
    layout?: AnyLayout,
    values: object = {},
  ): { readonly result: number; readonly errno: Errno; readonly payload: Uint8Array } {
    const { bytes, va } = this.#arena;
    const headBytes = VfioDeviceFeature.lengthBytes;
    const dataBytes = layout?.lengthBytes ?? 0;
    VfioDeviceFeature.encode({ argsz: headBytes + dataBytes, flags: index | flags }, bytes, 0);
    layout?.encode(values, bytes, headBytes);
    const result = this.#session.ioctl(this.fd, ioctlCommand(vfioDeviceIoctls.feature.nr), va);
    const payload = bytes.slice(headBytes, headBytes + dataBytes);
    return { result, errno: result < 0 ? -result : 0, payload };
  }

  /** Whether the device has a feature, and lets it be had that way. */
  hasFeature(index: number, how: "get" | "set"): boolean {
    return this.attemptFeature(index, PROBE | (how === "get" ? GET : SET)).errno === 0;
  }

  #feature<L extends AnyLayout>(index: number, flags: number, layout: L, values: object = {}): ReturnType<L["decode"]> {
    const { errno, payload } = this.attemptFeature(index, flags, layout, values);
    if (errno !== 0) throw this.#error(featureCall(index), errno);
    return layout.decode(payload) as ReturnType<L["decode"]>;
  }

  #plainFeature(index: number): void {
    const { errno } = this.attemptFeature(index, SET);
    if (errno !== 0) throw this.#error(featureCall(index), errno);
  }

  /** Lets the device sleep between calls; `wakeupFd` is told when something wakes it, which ends it. */
  enterLowPower(wakeupFd?: number): void {
    if (wakeupFd === undefined) this.#plainFeature(VfioFeature.LOW_POWER_ENTRY);
    else {
      const layout = VfioDeviceLowPowerEntryWithWakeup;
      this.#feature(VfioFeature.LOW_POWER_ENTRY_WITH_WAKEUP, SET, layout, { wakeup_eventfd: wakeupFd });
    }
  }

  exitLowPower(): void {
    this.#plainFeature(VfioFeature.LOW_POWER_EXIT);
  }

  /** Shares memory of a BAR, so that other devices can be let reach it (`mapFile`); its descriptor. */
  exportDmaBuf(region: VfioRegion, at: bigint, lengthBytes: bigint): number {
    const { bytes } = this.#arena;
    const request = { region_index: region.index, nr_ranges: 1 };
    const head = VfioDeviceFeature.lengthBytes + VfioDeviceFeatureDmaBuf.lengthBytes;
    VfioRegionDmaRange.encode({ offset: at, length: lengthBytes }, bytes, head);
    const { errno, result } = this.attemptFeature(VfioFeature.DMA_BUF, GET, VfioDeviceFeatureDmaBuf, request);
    if (errno !== 0) throw this.#error(featureCall(VfioFeature.DMA_BUF), errno);
    return result;
  }

  /** What is mapped of it stays so. */
  closeDmaBuf(fd: number): void {
    this.#session.close(fd);
  }

  /** Bits of `VfioMigrationFlag`; 0 when the device cannot migrate. */
  migrationFlags(): number {
    const layout = VfioDeviceFeatureMigration;
    const { errno, payload } = this.attemptFeature(VfioFeature.MIGRATION, GET, layout);
    if (errno === Errno.ENOTTY) return 0;
    if (errno !== 0) throw this.#error(featureCall(VfioFeature.MIGRATION), errno);
    return Number(layout.decode(payload).flags);
  }

  /** One of `VfioDeviceState`. */
  deviceState(): number {
    return this.#feature(VfioFeature.MIG_DEVICE_STATE, GET, VfioDeviceFeatureMigState).device_state;
  }

  /** Takes the device to another state; the descriptor of the data stream that begins there, if one does. */
  setDeviceState(state: number): number | undefined {
    const layout = VfioDeviceFeatureMigState;
    const { data_fd: fd } = this.#feature(VfioFeature.MIG_DEVICE_STATE, SET, layout, { device_state: state });
    return fd < 0 ? undefined : fd;
  }

  /** How much data a transfer with the device stopped would take, estimated. */
  stopCopyBytes(): bigint {
    return this.#feature(VfioFeature.MIG_DATA_SIZE, GET, VfioDeviceFeatureMigDataSize).stop_copy_length;
  }

  /** From now on pre-copy information says when initial data begins anew. */
  enablePrecopyReinit(): void {
    this.#plainFeature(VfioFeature.MIG_PRECOPY_INFOv2);
  }

  /** The device logs what it writes in these ranges; the page size that it chose. */
  startDmaLog(ranges: readonly IovaRange[], pageBytes: bigint): bigint {
    assert(ranges.length <= MAX_LOG_RANGES, "so many ranges can be logged", ranges.length);
    const step = VfioDeviceFeatureDmaLoggingRange.lengthBytes;
    const payload = new Uint8Array(ranges.length * step);
    ranges.forEach(({ start, last }, i) =>
      VfioDeviceFeatureDmaLoggingRange.encode({ iova: start, length: last - start + 1n }, payload, i * step),
    );
    return this.#feature(VfioFeature.DMA_LOGGING_START, SET, VfioDeviceFeatureDmaLoggingControl, {
      page_size: pageBytes,
      num_ranges: ranges.length,
      ranges: placePayload(this.#arena, payload),
    }).page_size;
  }

  stopDmaLog(): void {
    this.#plainFeature(VfioFeature.DMA_LOGGING_STOP);
  }

  /** What the device wrote since it was last asked: bit i stands for `pageBytes` bytes from `iova + i * pageBytes`. */
  reportDmaLog(iova: bigint, lengthBytes: bigint, pageBytes: bigint): Uint8Array {
    const { va, bytes } = this.#arena;
    const room = bytes.length - PAYLOAD_AT;
    const pages = (lengthBytes + pageBytes - 1n) / pageBytes;
    const result = new Uint8Array(Number((pages + 7n) / 8n));
    for (let done = 0; done < result.length; done += room) {
      const part = Math.min(room, result.length - done);
      bytes.fill(0, PAYLOAD_AT, PAYLOAD_AT + part);
      const from = BigInt(done) * 8n * pageBytes;
      const most = BigInt(part) * 8n * pageBytes;
      this.#feature(VfioFeature.DMA_LOGGING_REPORT, GET, VfioDeviceFeatureDmaLoggingReport, {
        iova: iova + from,
        length: lengthBytes - from < most ? lengthBytes - from : most,
        page_size: pageBytes,
        bitmap: va + BigInt(PAYLOAD_AT),
      });
      result.set(bytes.subarray(PAYLOAD_AT, PAYLOAD_AT + part), done);
    }
    return result;
  }
}

function passFlag(pasid: number | undefined): { readonly flags: number; readonly pasid: number } {
  return pasid === undefined ? { flags: 0, pasid: 0 } : { flags: VfioDeviceAttachFlag.PASID, pasid };
}

function featureCall(index: number): string {
  return `${vfioDeviceIoctls.feature.name} (${featureNames.get(index) ?? index})`;
}
