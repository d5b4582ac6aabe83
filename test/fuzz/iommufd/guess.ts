// Values for the fields of a request that are likely to get it past its checks, and values at their edges.
import type { SeededRng } from "../../../src/base/index.ts";
import {
  HwptDataType,
  InvalidateDataType,
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
} from "../../../src/iommufd/index.ts";
import { insideArea, lengthOfArea, NEWEST, reference, type Named } from "./references.ts";

const MAGIC: readonly number[] = [
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  HwptDataType.VTD_S1,
  HwptDataType.ARM_SMMUV3,
  HwptDataType.AMD_GUEST,
  InvalidateDataType.VIOMMU_ARM_SMMUV3,
];
const LARGE_PAGE = 0x20_0000;
/** Memory that is mapped: small pieces below, one large page above. */
const SMALL_VA = 0x10_0000;
const LARGE_VA = 0x20_0000;
const BUFFER_VA = 0x3000;

export class Guess {
  readonly rng: SeededRng;

  constructor(rng: SeededRng) {
    this.rng = rng;
  }

  /** True once in `n`. */
  once(n: number): boolean {
    return this.rng.below(n) === 0;
  }

  of<T>(...choices: readonly T[]): T {
    return choices[this.rng.below(choices.length)]!;
  }

  /** A few bits of a mask. */
  bits(mask: number): number {
    return this.rng.below(0x1_0000) & mask;
  }

  id(type: Named): number {
    return reference(type, this.of(0, 0, 1, 2, 3, 5, NEWEST, NEWEST));
  }

  /** An IOAS or a page table. */
  parent(): number {
    return this.id(this.of("ioas", "ioas", "hwpt-paging", "hwpt-nested"));
  }

  /** Mostly addresses that every unit can translate. */
  iova(): bigint {
    switch (this.rng.below(12)) {
      case 0:
        return this.edge();
      case 1:
        return 0x100_0000n + BigInt(this.rng.below(8) * 0x800);
      case 2:
      case 3:
        return 0x200_0000n + BigInt(this.rng.below(4) * LARGE_PAGE);
      case 4:
      case 5:
      case 6:
        return insideArea(this.rng.below(6), this.of(0, 0, 0x1000, 0x800, this.rng.below(0x4000)));
      case 7:
        // The window for interrupts of one unit, and the fixed one of another.
        return this.of(0x800_0000n, 0xfee0_0000n);
      default:
        return 0x100_0000n + BigInt(this.rng.below(16) * 0x1000);
    }
  }

  length(): bigint {
    switch (this.rng.below(10)) {
      case 0:
        return this.edge();
      case 1:
        return BigInt(LARGE_PAGE);
      case 2:
        return 0x800n * BigInt(1 + this.rng.below(8));
      case 3:
        return lengthOfArea(this.rng.below(6));
      default:
        return 0x1000n * BigInt(1 + this.rng.below(4));
    }
  }

  /** Of memory to map; large pages want the large piece. */
  va(length: bigint): bigint {
    if (this.once(16)) return this.edge();
    if (length === BigInt(LARGE_PAGE)) return BigInt(LARGE_VA);
    return BigInt(SMALL_VA + this.rng.below(16) * 0x1000 + (this.once(4) ? 0x800 : 0));
  }

  /** Of a buffer that the host writes. */
  buffer(): bigint {
    return this.once(16) ? this.edge() : BigInt(BUFFER_VA + this.rng.below(16));
  }

  /** Numbers that mean something somewhere: ids, flags, sizes, aligned addresses, ends. */
  edge(): bigint {
    const { rng } = this;
    switch (rng.below(10)) {
      case 0:
      case 1:
        return BigInt(rng.below(16));
      case 2:
        return 1n << BigInt(rng.below(64));
      case 3:
        return 0x100_0000n + BigInt(rng.below(64)) * 0x1000n;
      case 4:
        return BigInt(rng.below(1024)) * 0x1000n;
      case 5:
        return BigInt(rng.below(32)) * 0x800n;
      case 6:
        return 0xffff_ffff_ffff_ffffn - BigInt(rng.below(4)) * 0xfffn;
      case 7:
        return BigInt(this.of(...MAGIC));
      case 8:
        return BigInt(SMALL_VA);
      default:
        return BigInt(rng.below(0x1_0000));
    }
  }
}
