// fw_cfg: keys, formats and bits (QEMU, docs/specs/fw_cfg.rst and include/standard-headers/linux/qemu_fw_cfg.h).
import { bytes, layout, u16be, u32be, u64be, type Layout, type Codec } from "../../../base/index.ts";

/** Items that are not files. Their numbers are little-endian. */
export const FwCfgKey = {
  signature: 0x00,
  id: 0x01,
  uuid: 0x02,
  noGraphic: 0x04,
  cpuCount: 0x05,
  bootMenu: 0x0e,
  fileDirectory: 0x19,
  firstFile: 0x20,
} as const;
export const FILE_LIMIT = 32;
/** Keys end here. */
export const KEY_LIMIT: number = FwCfgKey.firstFile + FILE_LIMIT;
/** Of a key: the item, without the bits for writing and for what belongs to the architecture. */
export const KEY_MASK = 0x3fff;
export const ARCH_LOCAL = 0x8000;

export const SIGNATURE = "QEMU";
/** `id`: there is the interface by selector and data, and the one by DMA. */
export const ID_TRADITIONAL = 1;
export const ID_DMA = 2;

export const DATA = 0x00;
export const SELECTOR = 0x08;
export const DMA_HIGH = 0x10;
export const DMA_LOW = 0x14;
export const FW_CFG_BYTES = 0x18;
/** What reads of the DMA register give, in memory order. */
export const DMA_SIGNATURE = "QEMU CFG";

/** `FWCfgDmaAccess.control`; bits 31:16 are the key to select. */
export const DmaControl = { error: 1, read: 2, skip: 4, select: 8, write: 16 } as const;
export const DMA_KEY_SHIFT = 16;

export const DmaAccess: Layout<{ control: Codec<number>; lengthBytes: Codec<number>; address: Codec<bigint> }> = layout(
  "FWCfgDmaAccess",
  16,
  { control: u32be, lengthBytes: u32be, address: u64be },
);

export const FILE_NAME_BYTES = 56;
export const FileEntry: Layout<{
  lengthBytes: Codec<number>;
  key: Codec<number>;
  _reserved: Codec<number>;
  name: Codec<Uint8Array>;
}> = layout("FWCfgFile", 64, { lengthBytes: u32be, key: u16be, _reserved: u16be, name: bytes(FILE_NAME_BYTES) });
