// What a fw_cfg device has to offer: items by key, among them the directory of its files.
import { assert } from "../../../base/index.ts";
import { FILE_NAME_BYTES, FileEntry, FwCfgKey, ID_DMA, ID_TRADITIONAL, KEY_LIMIT, SIGNATURE } from "./spec.ts";

/** Bytes that the guest finds by name. */
export interface FwCfgFile {
  /** ASCII, at most 55 characters. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface FwCfgContent {
  readonly cpuCount: number;
  /** 16 bytes; all zero without one. */
  readonly uuid: Uint8Array;
  readonly files: readonly FwCfgFile[];
}

const ascii = new TextEncoder();

/** The items by key. Files are numbered by name, as QEMU orders them. */
export function fwCfgItems({ cpuCount, uuid, files }: FwCfgContent): ReadonlyMap<number, Uint8Array> {
  const sorted = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  assert(FwCfgKey.firstFile + sorted.length <= KEY_LIMIT, "fw_cfg has a key for each file", sorted.length);
  const items = new Map<number, Uint8Array>([
    [FwCfgKey.signature, ascii.encode(SIGNATURE)],
    [FwCfgKey.id, littleEndian(ID_TRADITIONAL | ID_DMA, 4)],
    [FwCfgKey.uuid, uuid],
    // There is no display.
    [FwCfgKey.noGraphic, littleEndian(1, 2)],
    [FwCfgKey.cpuCount, littleEndian(cpuCount, 2)],
    [FwCfgKey.bootMenu, littleEndian(0, 2)],
    [FwCfgKey.fileDirectory, directory(sorted)],
  ]);
  sorted.forEach(({ bytes }, i) => items.set(FwCfgKey.firstFile + i, bytes));
  return items;
}

function directory(files: readonly FwCfgFile[]): Uint8Array {
  const bytes = new Uint8Array(4 + files.length * FileEntry.lengthBytes);
  new DataView(bytes.buffer).setUint32(0, files.length);
  files.forEach(({ name, bytes: content }, i) => {
    const padded = new Uint8Array(FILE_NAME_BYTES);
    padded.set(ascii.encode(name));
    const entry = { lengthBytes: content.length, key: FwCfgKey.firstFile + i, name: padded };
    FileEntry.encode(entry, bytes, 4 + i * FileEntry.lengthBytes);
  });
  return bytes;
}

function littleEndian(value: number, lengthBytes: number): Uint8Array {
  return Uint8Array.from({ length: lengthBytes }, (_, i) => (value >>> (8 * i)) & 0xff);
}
