// A fuzz program: steps of 128 bytes each, so that any bytes are one and mutation needs no grammar. How a step is read
// stands in run-program.ts; here are the generators that make steps likely to get somewhere.
import type { SeededRng } from "../../../src/base/index.ts";
import {
  HwptDataType,
  InvalidateDataType,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_VEVENTQ_TYPE_SELFTEST,
  IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  iommufdIoctls,
  iommuTestIoctl,
  type IoctlRow,
} from "../../../src/iommufd/index.ts";

export const STEP_BYTES = 128;
export const REQUEST_AT = 8;
export const REQUEST_BYTES = 88;
export const PAYLOAD_AT: number = REQUEST_AT + REQUEST_BYTES;
export const PAYLOAD_BYTES: number = STEP_BYTES - PAYLOAD_AT;

/** What a step does; its first byte modulo their number. Calls come first and most often. */
export const StepKind = {
  IOCTL: 0,
  RAW_IOCTL: 1,
  READ: 2,
  WRITE: 3,
  CLOSE: 4,
  DUPLICATE: 5,
  MMAP: 6,
  UNMAP: 7,
  ATTACH: 8,
  REPLACE: 9,
  DETACH: 10,
  DMA: 11,
  PAGE_REQUEST: 12,
  STREAM_EVENT: 13,
  SW_MSI: 14,
  DRIVER_ACCESS: 15,
} as const;
export const KINDS = 16;

/** Every ioctl of /dev/iommu, then VFIO's numbers by raw value. */
export const ROWS: readonly IoctlRow[] = [...Object.values(iommufdIoctls), iommuTestIoctl];
export const VFIO_NUMBERS: readonly number[] = [100, 101, 102, 103, 112, 113, 114, 115];

/** Where in the caller's memory requests, payloads and buffers lie. */
export const REQUEST_VA = 0x1000;
export const PAYLOAD_VA = 0x800;

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

/** Numbers that mean something somewhere: ids, flags, sizes, aligned addresses, edges. */
export function interesting(rng: SeededRng): bigint {
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
      return BigInt(MAGIC[rng.below(MAGIC.length)]!);
    case 8:
      return BigInt(PAYLOAD_VA);
    default:
      return BigInt(rng.below(0x1_0000));
  }
}

/** One step: mostly a call with its own size, no reserved bits, and small flags, so that it gets past the first checks. */
export function randomStep(rng: SeededRng): Uint8Array {
  const step = new Uint8Array(STEP_BYTES);
  const view = new DataView(step.buffer);
  for (let at = REQUEST_AT; at < STEP_BYTES; at += 4) {
    const whole = at % 8 === 0 && rng.below(2) === 0;
    if (whole && at + 8 <= STEP_BYTES) {
      view.setBigUint64(at, interesting(rng), true);
      at += 4;
    } else {
      view.setUint32(at, Number(interesting(rng) & 0xffff_ffffn), true);
    }
  }
  step[0] = rng.below(4) > 0 ? StepKind.IOCTL : rng.below(KINDS);
  step[1] = rng.below(ROWS.length);
  step[2] = rng.below(256);
  step[3] = rng.below(256);
  const row = ROWS[step[1]]!;
  view.setUint32(REQUEST_AT, rng.below(8) === 0 ? rng.below(REQUEST_BYTES) : row.layout.lengthBytes, true);
  const { flags } = row.layout.offsets;
  if (flags !== undefined) view.setUint32(REQUEST_AT + flags, rng.below(16), true);
  for (const field of row.reserved ?? []) {
    const at = REQUEST_AT + row.layout.offsets[field]!;
    if (rng.below(16) > 0) step.fill(0, at, at + 4);
  }
  if (row === iommuTestIoctl) view.setUint32(REQUEST_AT + 4, rng.below(25), true);
  return step;
}

export function randomProgram(rng: SeededRng, steps: number): Uint8Array {
  const program = new Uint8Array(steps * STEP_BYTES);
  for (let i = 0; i < steps; i++) program.set(randomStep(rng), i * STEP_BYTES);
  return program;
}

/** A child of a program that reached something: a stretch of another inserted, steps changed, added, dropped, repeated. */
export function mutate(rng: SeededRng, program: Uint8Array, other: Uint8Array, steps: number): Uint8Array {
  const list: Uint8Array[] = [];
  for (let at = 0; at < program.length; at += STEP_BYTES) list.push(program.slice(at, at + STEP_BYTES));
  for (let changes = 1 + rng.below(8); changes > 0; changes--) {
    const at = rng.below(list.length);
    switch (rng.below(6)) {
      case 0:
        list.splice(at, 0, randomStep(rng));
        break;
      case 1:
        if (list.length > 1) list.splice(at, 1);
        break;
      case 2: {
        const from = rng.below(other.length / STEP_BYTES);
        const count = Math.min(1 + rng.below(20), other.length / STEP_BYTES - from);
        for (let i = 0; i < count; i++) {
          list.splice(at + i, 0, other.slice((from + i) * STEP_BYTES, (from + i + 1) * STEP_BYTES));
        }
        break;
      }
      case 3:
        list.splice(at, 0, list[rng.below(list.length)]!.slice());
        break;
      case 4:
        new DataView(list[at]!.buffer).setUint32(
          4 * rng.below(STEP_BYTES / 4),
          Number(interesting(rng) & 0xffff_ffffn),
          true,
        );
        break;
      default:
        list[at]![rng.below(STEP_BYTES)] = rng.below(256);
    }
  }
  const child = new Uint8Array(Math.min(list.length, steps) * STEP_BYTES);
  list.slice(0, steps).forEach((step, i) => child.set(step, i * STEP_BYTES));
  return child;
}
