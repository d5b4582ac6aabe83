// The mock IOMMU of the kernel's selftest: 2 KiB pages, a narrow aperture, and caches that are just numbers.
import { assert } from "../../base/index.ts";
import {
  Errno,
  HwInfoType,
  HwptAllocFlag,
  HwptDataType,
  INVALIDATE_FLAG_ALL,
  IOMMU_HW_INFO_SELFTEST_REGVAL,
  IOMMU_HW_INFO_TYPE_SELFTEST,
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
  IOMMU_TEST_DEV_CACHE_DEFAULT,
  IOMMU_TEST_HW_QUEUE_MAX,
  IOMMU_TEST_PASID_RESERVED,
  IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  IommuHwptInvalidateSelftest,
  IommuHwptSelftest,
  IommuTestHwInfo,
  IommuViommuInvalidateSelftest,
  IommuViommuSelftest,
  MOCK_APERTURE_LAST,
  MOCK_APERTURE_START,
  MOCK_DEV_CACHE_NUM,
  MOCK_HUGE_PAGE_SIZE,
  MOCK_IOTLB_NUM,
  MOCK_PASID_WIDTH,
  MockDeviceFlag,
  MockPageTable,
} from "../uapi/index.ts";
import { NestedDomain, PagingDomain, type Domain } from "./domain.ts";
import { PAGE_SIZE } from "./frames.ts";
import { TOP } from "./iova-allocator.ts";
import {
  makeGroup,
  type DeviceGroup,
  type HwInfo,
  type PhysicalDevice,
  type ReservedRegion,
  type HardwareQueue,
  type UnitDriver,
  type ViommuDriver,
  type VirtualIommu,
} from "./unit.ts";
import type { UserArray, UserData } from "./user-data.ts";

export class MockDevice implements PhysicalDevice {
  readonly name: string;
  readonly unit: MockUnit;
  readonly group: DeviceGroup;
  readonly reserved: readonly ReservedRegion[] = [];
  readonly maxPasids: number;
  readonly isVfWithPri = false;
  readonly hasDirtyBits: boolean;
  readonly cache: Uint32Array = new Uint32Array(MOCK_DEV_CACHE_NUM).fill(IOMMU_TEST_DEV_CACHE_DEFAULT);
  viommu: VirtualIommu | undefined;
  virtualId = 0n;
  /** The next use of the reserved PASID fails. */
  failReservedPasid = false;

  constructor(unit: MockUnit, number: number, flags: number) {
    this.name = `iommufd_mock${number}`;
    this.unit = unit;
    this.group = makeGroup(number);
    this.group.devices.push(this);
    this.maxPasids = (flags & MockDeviceFlag.PASID) !== 0 ? 1 << MOCK_PASID_WIDTH : 0;
    this.hasDirtyBits = (flags & MockDeviceFlag.NO_DIRTY) === 0;
  }
}

/** The mock's translation cache of a nested domain: a few words, kept in the domain's data. */
export function mockIotlb(domain: NestedDomain): Uint32Array {
  return new Uint32Array(domain.data.buffer, domain.data.byteOffset, MOCK_IOTLB_NUM);
}

interface MockViommu {
  readonly queues: (HardwareQueue | undefined)[];
  regionOffset: bigint | undefined;
}

export class MockUnit implements UnitDriver {
  readonly id = "mock";
  readonly family = "mock";
  readonly takesFlags = true;
  readonly #numbers: boolean[] = [];
  readonly #viommus = new WeakMap<VirtualIommu, MockViommu>();

  newDevice(flags: number): MockDevice | number {
    if ((flags & ~(MockDeviceFlag.NO_DIRTY | MockDeviceFlag.PASID)) !== 0) return -Errno.EINVAL;
    let number = this.#numbers.indexOf(false);
    if (number < 0) number = this.#numbers.length;
    this.#numbers[number] = true;
    return new MockDevice(this, number, flags);
  }

  freeDevice(device: MockDevice): void {
    this.#numbers[device.group.id] = false;
  }

  hwInfo(_device: PhysicalDevice, wantedType: number): HwInfo | number {
    if (wantedType !== HwInfoType.DEFAULT && wantedType !== IOMMU_HW_INFO_TYPE_SELFTEST) return -Errno.EOPNOTSUPP;
    return {
      type: IOMMU_HW_INFO_TYPE_SELFTEST,
      data: IommuTestHwInfo.encode({ flags: 0, test_reg: IOMMU_HW_INFO_SELFTEST_REGVAL }),
    };
  }

  dirtyTracking(device: PhysicalDevice): boolean {
    return (device as MockDevice).hasDirtyBits;
  }

  cacheCoherent(): boolean {
    return true;
  }

  enforcesCoherency(): boolean {
    return false;
  }

  atsSupported(): boolean {
    return false;
  }

  allocPaging(device: PhysicalDevice, flags: number, data: UserData | undefined): PagingDomain | number {
    const known = HwptAllocFlag.DIRTY_TRACKING | HwptAllocFlag.NEST_PARENT | HwptAllocFlag.PASID;
    const dirty = (flags & HwptAllocFlag.DIRTY_TRACKING) !== 0;
    if ((flags & ~known) !== 0 || (dirty && !this.dirtyTracking(device))) return -Errno.EOPNOTSUPP;
    let tableType: number = MockPageTable.DEFAULT;
    if (data !== undefined) {
      if (data.type !== IOMMU_HWPT_DATA_SELFTEST && data.type !== HwptDataType.NONE) return -Errno.EOPNOTSUPP;
      const config = data.read(IommuHwptSelftest, IOMMU_HWPT_DATA_SELFTEST, 4);
      if (typeof config === "number") return config;
      tableType = config.pagetable_type;
    }
    if (tableType === MockPageTable.HUGE) {
      return new PagingDomain({
        unit: this,
        format: { granuleShift: 11, leafLevels: [0, 1] },
        pageSizes: BigInt(MOCK_HUGE_PAGE_SIZE | PAGE_SIZE),
        apertureStart: 0n,
        apertureLast: TOP,
        dirtyTracking: dirty,
      });
    }
    if (tableType !== MockPageTable.DEFAULT) return -Errno.EOPNOTSUPP;
    return new PagingDomain({
      unit: this,
      // The real one forms entries of any power of two; dirt is per 2 KiB here, which is what its tests can see.
      format: { granuleShift: 11, leafLevels: [0] },
      pageSizes: 0x000f_ffff_ffff_f800n,
      apertureStart: MOCK_APERTURE_START,
      apertureLast: MOCK_APERTURE_LAST,
      dirtyTracking: dirty,
    });
  }

  allocNested(_device: PhysicalDevice, parent: PagingDomain, flags: number, data: UserData): NestedDomain | number {
    return (flags & ~HwptAllocFlag.PASID) !== 0 ? -Errno.EOPNOTSUPP : this.#nested(parent, undefined, data);
  }

  #nested(parent: PagingDomain, viommu: VirtualIommu | undefined, data: UserData): NestedDomain | number {
    if (data.type !== IOMMU_HWPT_DATA_SELFTEST) return -Errno.EOPNOTSUPP;
    const config = data.read(IommuHwptSelftest, IOMMU_HWPT_DATA_SELFTEST, 4);
    if (typeof config === "number") return config;
    const iotlb = new Uint32Array(MOCK_IOTLB_NUM).fill(config.iotlb);
    return new NestedDomain(this, parent, viommu, new Uint8Array(iotlb.buffer));
  }

  invalidateNested(domain: NestedDomain, entries: UserArray): number {
    const iotlb = mockIotlb(domain);
    const count = entries.entryCount;
    entries.entryCount = 0;
    if (entries.type !== IOMMU_HWPT_INVALIDATE_DATA_SELFTEST) return -Errno.EINVAL;
    for (let i = 0; i < count; i++) {
      const entry = entries.entry(i).read(IommuHwptInvalidateSelftest, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, 8);
      if (typeof entry === "number") return entry;
      if ((entry.flags & ~INVALIDATE_FLAG_ALL) !== 0) return -Errno.EOPNOTSUPP;
      if (entry.iotlb_id >= MOCK_IOTLB_NUM) return -Errno.EINVAL;
      if ((entry.flags & INVALIDATE_FLAG_ALL) !== 0) iotlb.fill(0);
      else iotlb[entry.iotlb_id] = 0;
      entries.entryCount++;
    }
    return 0;
  }

  attach(device: PhysicalDevice, domain: Domain | undefined): number {
    const mock = device as MockDevice;
    if (domain?.kind === "paging" && domain.hasDirtyBits && !mock.hasDirtyBits) return -Errno.EINVAL;
    let viommu: VirtualIommu | undefined;
    let virtualId = 0n;
    if (domain?.kind === "nested" && domain.viommu !== undefined) {
      viommu = domain.viommu;
      const found = viommu.virtualIdOf(device);
      if (found === undefined) return -Errno.ENOENT;
      virtualId = found;
    }
    if (viommu !== mock.viommu) {
      mock.viommu = viommu;
      mock.virtualId = virtualId;
    }
    return 0;
  }

  attachPasid(device: PhysicalDevice, pasid: number, domain: Domain | undefined): number {
    const mock = device as MockDevice;
    if (pasid === IOMMU_TEST_PASID_RESERVED) {
      // The second attachment of this PASID fails, to exercise the caller's way back.
      if (domain === undefined) {
        mock.failReservedPasid = false;
      } else if (mock.failReservedPasid) {
        mock.failReservedPasid = false;
        return -Errno.ENOMEM;
      } else {
        mock.failReservedPasid = true;
      }
    }
    return 0;
  }

  hasViommu(_device: PhysicalDevice, type: number): boolean {
    return type === IOMMU_VIOMMU_TYPE_SELFTEST;
  }

  initViommu(viommu: VirtualIommu, data: UserData | undefined): ViommuDriver | number {
    const state: MockViommu = { queues: [], regionOffset: undefined };
    if (data !== undefined) {
      const config = data.read(IommuViommuSelftest, IOMMU_VIOMMU_TYPE_SELFTEST, 8);
      if (typeof config === "number") return config;
      const bytes = new Uint8Array(2 * PAGE_SIZE);
      new DataView(bytes.buffer).setUint32(0, config.in_data, true);
      state.regionOffset = viommu.addRegion(bytes);
      const rc = data.write(IommuViommuSelftest, {
        in_data: config.in_data,
        out_data: config.in_data,
        out_mmap_offset: state.regionOffset,
        out_mmap_length: BigInt(bytes.length),
      });
      if (rc < 0) {
        viommu.removeRegion(state.regionOffset);
        return rc;
      }
    }
    this.#viommus.set(viommu, state);
    return {
      allocNested: (v, flags, d) =>
        (flags & ~HwptAllocFlag.PASID) !== 0 ? -Errno.EOPNOTSUPP : this.#nested(v.table, v, d),
      invalidate: (v, entries) => this.#invalidateDevices(v, entries),
      hasHwQueues: (type) => type === IOMMU_HW_QUEUE_TYPE_SELFTEST,
      initHwQueue: (queue, index, frame, offset) => this.#initHwQueue(queue, index, frame, offset),
      destroy: (v) => {
        const offset = this.#viommus.get(v)?.regionOffset;
        if (offset !== undefined) v.removeRegion(offset);
      },
    };
  }

  #invalidateDevices(viommu: VirtualIommu, entries: UserArray): number {
    const type = IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST;
    if (entries.entryCount === 0 && entries.type === type) return 0;
    const all = entries.readAll(IommuViommuInvalidateSelftest, type);
    entries.entryCount = 0;
    if (typeof all === "number") return all;
    for (const entry of all) {
      if ((entry.flags & ~INVALIDATE_FLAG_ALL) !== 0) return -Errno.EOPNOTSUPP;
      if (entry.cache_id >= MOCK_DEV_CACHE_NUM) return -Errno.EINVAL;
      const device = viommu.deviceOf(BigInt(entry.vdev_id));
      if (device === undefined) return -Errno.EINVAL;
      const cache = (device as MockDevice).cache;
      if ((entry.flags & INVALIDATE_FLAG_ALL) !== 0) cache.fill(0);
      else cache[entry.cache_id] = 0;
      entries.entryCount++;
    }
    return 0;
  }

  /** Queues are made in order, and each holds the one before it. */
  #initHwQueue(queue: HardwareQueue, index: number, frame: number, offset: number): number {
    if (index >= IOMMU_TEST_HW_QUEUE_MAX) return -Errno.EINVAL;
    const { queues } = this.#viommus.get(queue.viommu)!;
    if (queues[index] !== undefined) return -Errno.EEXIST;
    const previous = index === 0 ? undefined : queues[index - 1];
    if (index > 0 && previous === undefined) return -Errno.EIO;
    const mapped = queue.viommu.table.lookup(queue.baseIova);
    assert(mapped?.frame === frame && mapped.offset === offset, "a queue's address is the one its table has");
    if (previous !== undefined) previous.users++;
    queues[index] = queue;
    queue.onDestroy = () => {
      queues[index] = undefined;
      if (previous !== undefined) previous.users--;
    };
    return 0;
  }
}
