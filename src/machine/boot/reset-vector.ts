// What the mask ROM holds: the first instructions of every hart, and what they tell the firmware (QEMU, hw/riscv/boot.c;
// OpenSBI, include/sbi/fw_dynamic.h).
import { alignUp, array, layout, u32le, u64le } from "../../base/index.ts";

/** Six instructions, then the two addresses that they load. */
const ResetVector = layout("reset vector", 40, { code: array(u32le, 6), start: u64le, deviceTree: u64le });

/** Position-independent: a0 = mhartid, a1 = the device tree, a2 = the structure behind the vector, jump to `start`. */
const CODE = [
  0x00000297, // auipc t0, 0
  0x02828613, // addi  a2, t0, 40
  0xf1402573, // csrr  a0, mhartid
  0x0202b583, // ld    a1, 32(t0)
  0x0182b283, // ld    t0, 24(t0)
  0x00028067, // jr    t0
];

const FwDynamicInfo = layout("fw_dynamic_info", 48, {
  magic: u64le,
  version: u64le,
  nextAddress: u64le,
  nextMode: u64le,
  options: u64le,
  bootHart: u64le,
});
/** "OSBI" */
const FW_DYNAMIC_MAGIC = 0x4942534fn;
const FW_DYNAMIC_VERSION = 2n;
const NEXT_MODE_S = 1n;

export interface ResetVectorInput {
  /** Where machine mode begins. */
  readonly start: bigint;
  readonly deviceTree: bigint;
  /** Where firmware should go on in supervisor mode; 0 when there is no kernel. */
  readonly nextAddress: bigint;
}

export function resetVector({ start, deviceTree, nextAddress }: ResetVectorInput): Uint8Array {
  const rom = new Uint8Array(alignUp(ResetVector.lengthBytes + FwDynamicInfo.lengthBytes, 8));
  ResetVector.encode({ code: CODE, start, deviceTree }, rom);
  FwDynamicInfo.encode(
    { magic: FW_DYNAMIC_MAGIC, version: FW_DYNAMIC_VERSION, nextAddress, nextMode: NEXT_MODE_S },
    rom,
    ResetVector.lengthBytes,
  );
  return rom;
}
