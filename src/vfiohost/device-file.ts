// An open device file: binding to a context, attaching, and the calls that every kind of device answers alike
// (drivers/vfio/device_cdev.c and vfio_main.c of Linux 7.2).
import {
  Errno,
  IommufdContext,
  ioctlCommand,
  PollEvent,
  VfioDeviceAttachFlag,
  VfioDeviceAttachIommufdPt,
  VfioDeviceBindFlag,
  VfioDeviceBindIommufd,
  VfioDeviceDetachIommufdPt,
  VfioNr,
  VfioRegionInfo,
  VfioRegionInfoFlag,
  type Caller,
  type HostFile,
  type HostMapping,
  type MapRequest,
} from "../iommufd/index.ts";
import type { VfioDevice } from "./device.ts";
import { capabilityChain, DeviceCall } from "./device-call.ts";
import { deviceFeature } from "./feature.ts";

const PAGE = 4096;
const MAX_SIGNED = 0x7fff_ffff_ffff_ffffn;

export class DeviceFile implements HostFile {
  readonly #device: VfioDevice;
  /** The descriptor and each mapping. */
  #references = 1;
  #bound = false;
  #position = 0n;

  constructor(device: VfioDevice) {
    this.#device = device;
  }

  ioctl(caller: Caller, command: number, argument: bigint): number {
    const call = new DeviceCall(caller, argument, this.#device.memory);
    const nr = command & 0xff;
    if (command !== ioctlCommand(nr)) return this.#bound ? -Errno.ENOTTY : -Errno.EINVAL;
    if (nr === VfioNr.DEVICE_BIND_IOMMUFD) return this.#bind(call);
    if (!this.#bound) return -Errno.EINVAL;
    const { driver } = this.#device;
    driver.wake?.();
    switch (nr) {
      case VfioNr.DEVICE_ATTACH_IOMMUFD_PT:
        return this.#attach(call);
      case VfioNr.DEVICE_DETACH_IOMMUFD_PT:
        return this.#detach(call);
      case VfioNr.DEVICE_FEATURE:
        return deviceFeature(this.#device, call);
      case VfioNr.DEVICE_GET_REGION_INFO:
        return this.#regionInfo(call);
      default:
        return driver.ioctl(call, nr);
    }
  }

  #bind(call: DeviceCall): number {
    const layout = VfioDeviceBindIommufd;
    const size = call.bytes(0, 4);
    if (size === undefined) return -Errno.EFAULT;
    const callerBytes = new DataView(size.buffer).getUint32(0, true);
    if (callerBytes < layout.offsets.token_uuid_ptr) return -Errno.EINVAL;
    const rc = call.tailIsZero(layout.lengthBytes, callerBytes);
    if (rc < 0) return rc;
    const request = call.values(layout, Math.min(callerBytes, layout.lengthBytes));
    if (typeof request === "number") return request;
    if (request.iommufd < 0 || (request.flags & ~VfioDeviceBindFlag.TOKEN) !== 0) return -Errno.EINVAL;
    if (this.#bound) return -Errno.EINVAL;
    if ((request.flags & VfioDeviceBindFlag.TOKEN) !== 0) {
      // No function here has virtual functions, or is one: a token is one too many.
      if (this.#device.kind.bus === "pci" && !call.caller.memory.read(request.token_uuid_ptr, new Uint8Array(16)))
        return -Errno.EFAULT;
      return -Errno.EINVAL;
    }
    const context = contextOf(call.caller, request.iommufd);
    if (typeof context === "number") return context;
    // A context of another host has other pages.
    if (context.memory !== this.#device.memory) return -Errno.EBADFD;
    const id = this.#device.open(context);
    if (id < 0) return id;
    if (call.reply(layout, { ...request, out_devid: id }, layout.offsets.token_uuid_ptr) < 0) {
      this.#device.close();
      return -Errno.EFAULT;
    }
    this.#bound = true;
    return 0;
  }

  #attach(call: DeviceCall): number {
    const layout = VfioDeviceAttachIommufdPt;
    const request = this.#passRequest(call, layout, layout.offsets.pasid);
    if (typeof request === "number") return request;
    const { driver } = this.#device;
    const { pasid, pt_id: ptId } = request;
    const withPasid = (request.flags & VfioDeviceAttachFlag.PASID) !== 0;
    const id = withPasid ? driver.attachPasid!(pasid, ptId) : driver.attach(ptId);
    if (id < 0) return id;
    if (call.reply(layout, { ...request, pt_id: id }, layout.offsets.pasid) === 0) return 0;
    // Whichever form it was, the kernel undoes the one without PASID.
    driver.detach();
    return -Errno.EFAULT;
  }

  #detach(call: DeviceCall): number {
    const layout = VfioDeviceDetachIommufdPt;
    const request = this.#passRequest(call, layout, layout.offsets.pasid);
    if (typeof request === "number") return request;
    const { driver } = this.#device;
    if ((request.flags & VfioDeviceAttachFlag.PASID) !== 0) driver.detachPasid!(request.pasid);
    else driver.detach();
    return 0;
  }

  /** A request whose last field is there only with the PASID flag. */
  #passRequest<L extends typeof VfioDeviceAttachIommufdPt | typeof VfioDeviceDetachIommufdPt>(
    call: DeviceCall,
    layout: L,
    minBytes: number,
  ): (ReturnType<L["decode"]> & { argsz: number }) | number {
    const request = call.request(layout, minBytes);
    if (typeof request === "number") return request;
    if ((request.flags & ~VfioDeviceAttachFlag.PASID) !== 0) return -Errno.EINVAL;
    if ((request.flags & VfioDeviceAttachFlag.PASID) === 0) return request;
    if (this.#device.driver.attachPasid === undefined) return -Errno.EOPNOTSUPP;
    return call.request(layout, layout.lengthBytes);
  }

  #regionInfo(call: DeviceCall): number {
    const layout = VfioRegionInfo;
    const request = call.request(layout, layout.lengthBytes);
    if (typeof request === "number") return request;
    const region = this.#device.driver.region(request.index);
    if (typeof region === "number") return region;
    const info = {
      ...request,
      flags: region.flags,
      size: BigInt(region.sizeBytes),
      offset: region.offset ?? request.offset,
    };
    const headBytes = layout.lengthBytes;
    const chain = capabilityChain(region.capabilities, headBytes);
    if (chain.length > 0) {
      info.flags |= VfioRegionInfoFlag.CAPS;
      info.cap_offset = 0;
      if (info.argsz < headBytes + chain.length) {
        info.argsz = headBytes + chain.length;
      } else {
        if (call.write(headBytes, chain) < 0) return -Errno.EFAULT;
        info.cap_offset = headBytes;
      }
    }
    return call.reply(layout, info);
  }

  read(caller: Caller, bufferVa: bigint, lengthBytes: number, offset?: bigint): number {
    return this.#access(offset, lengthBytes, (at) => this.#device.driver.read(caller, at, bufferVa, lengthBytes));
  }

  write(caller: Caller, bufferVa: bigint, lengthBytes: number, offset?: bigint): number {
    return this.#access(offset, lengthBytes, (at) => this.#device.driver.write(caller, at, bufferVa, lengthBytes));
  }

  #access(offset: bigint | undefined, lengthBytes: number, run: (at: bigint) => number): number {
    const at = offset ?? this.#position;
    if (at < 0n || at + BigInt(lengthBytes) > MAX_SIGNED || !this.#bound) return -Errno.EINVAL;
    if (lengthBytes === 0) return 0;
    this.#device.driver.wake?.();
    const done = run(at);
    if (done > 0 && offset === undefined) this.#position += BigInt(done);
    return done;
  }

  poll(): number {
    return PollEvent.IN | PollEvent.OUT;
  }

  mmap(_caller: Caller, request: MapRequest): HostMapping | number {
    if (request.offset % BigInt(PAGE) !== 0n || request.lengthBytes <= 0 || !this.#bound) return -Errno.EINVAL;
    const lengthBytes = Math.ceil(request.lengthBytes / PAGE) * PAGE;
    const mapping = this.#device.driver.mmap({ ...request, lengthBytes });
    if (typeof mapping === "number") return mapping;
    // A mapping keeps its file, and with it the device, open.
    this.#references++;
    this.#device.counters.mappings++;
    let live = true;
    return {
      bytes: mapping.bytes,
      release: () => {
        if (!live) return;
        live = false;
        mapping.release();
        this.#device.counters.mappings--;
        this.#put();
      },
    };
  }

  release(): void {
    this.#put();
  }

  #put(): void {
    if (--this.#references > 0 || !this.#bound) return;
    this.#bound = false;
    this.#device.close();
  }
}

/** The context behind a descriptor: -EBADF when it is not open, -EBADFD when it is something else. */
function contextOf(caller: Caller, fd: number): IommufdContext | number {
  const file = caller.files.lookup(fd);
  if (file instanceof IommufdContext) return file;
  if (file !== undefined) return -Errno.EBADFD;
  const backing = caller.files.backing(fd);
  backing?.close?.();
  return backing === undefined ? -Errno.EBADF : -Errno.EBADFD;
}
