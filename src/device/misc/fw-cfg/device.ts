// fw_cfg: lets a guest's firmware read what its operator gave it, byte by byte or by DMA.
// Source: QEMU, docs/specs/fw_cfg.rst. Registers are big-endian, so that runs of bytes keep their order.
import { iova, type TracePort } from "../../../base/index.ts";
import type { DmaPort, MmioHandler } from "../../../memory/port.ts";
import { DmaStatus } from "../../../memory/port.ts";
import { describeState, field, u16, u32, u64, type DescriptionOf } from "../../../state/index.ts";
import type { MmioDevice } from "../../port.ts";
import type { DeviceTypeInfo } from "../../type-info.ts";
import { fwCfgItems, type FwCfgContent } from "./items.ts";
import {
  ARCH_LOCAL,
  DATA,
  DMA_HIGH,
  DMA_KEY_SHIFT,
  DMA_LOW,
  DMA_SIGNATURE,
  DmaAccess,
  DmaControl,
  FW_CFG_BYTES,
  KEY_LIMIT,
  KEY_MASK,
  SELECTOR,
} from "./spec.ts";

export interface FwCfgOptions {
  readonly content: FwCfgContent;
  readonly dma: DmaPort;
  readonly trace: TracePort;
}

export const fwCfgInfo: DeviceTypeInfo = {
  typeName: "fw_cfg_mem",
  description: "Firmware configuration: files and facts that firmware may read",
  properties: {},
};

export type FwCfgState = { selected: number; offset: number; dmaAddress: bigint };

/** No item has this key. */
const NOTHING = 0xffff;
const signature = new TextEncoder().encode(DMA_SIGNATURE);
/** Written to the guest's memory at a time, where a transfer is longer than the item. */
const ZEROS = new Uint8Array(4096);
const ADDRESS_LIMIT = 1n << 64n;

export class FwCfg implements MmioDevice {
  readonly typeName: string = fwCfgInfo.typeName;
  readonly mmioLengthBytes: number = FW_CFG_BYTES;
  readonly stateDescription: DescriptionOf<FwCfgState> = describeState("fw_cfg", 1, [
    field("selected", u16),
    field("offset", u32),
    field("dmaAddress", u64),
  ]);
  readonly mmio: MmioHandler = {
    impl: { min: 1, max: 8 },
    read: (offset, width) => {
      const value = this.#read(offset, width);
      return value === undefined ? undefined : Number(value);
    },
    write: (offset, width, value) => this.#write(offset, width, BigInt(value)),
    read64: (offset) => this.#read(offset, 8),
    write64: (offset, value) => this.#write(offset, 8, value),
  };
  readonly #options: FwCfgOptions;
  readonly #items: ReadonlyMap<number, Uint8Array>;
  #selected = 0;
  #offset = 0;
  #dmaAddress = 0n;
  /** A transfer may reach these registers themselves. */
  #isTransferring = false;

  constructor(options: FwCfgOptions) {
    this.#options = options;
    this.#items = fwCfgItems(options.content);
  }

  reset(): void {
    this.#select(0);
    this.#dmaAddress = 0n;
  }

  saveState(): FwCfgState {
    return { selected: this.#selected, offset: this.#offset, dmaAddress: this.#dmaAddress };
  }

  loadState({ selected, offset, dmaAddress }: FwCfgState): void {
    this.#selected = selected;
    this.#offset = offset;
    this.#dmaAddress = dmaAddress;
  }

  /** The value of a load that puts the bytes into the guest's memory in their order. */
  #read(offset: number, width: number): bigint | undefined {
    if (offset !== DATA && offset < DMA_HIGH) return undefined;
    let value = 0n;
    for (let i = 0; i < width; i++) {
      const byte = offset === DATA ? this.#nextByte() : signature[offset - DMA_HIGH + i]!;
      value |= BigInt(byte) << BigInt(8 * i);
    }
    return value;
  }

  /** Bytes of the guest's store, as a big-endian number. */
  #write(offset: number, width: number, value: bigint): boolean {
    const bigEndian = swapped(value, width);
    if (offset === SELECTOR && width === 2) this.#select(Number(bigEndian));
    // QEMU has no items that can be written, and ignores this too.
    else if (offset === DATA) return true;
    else if (offset === DMA_HIGH && width === 4) this.#dmaAddress = bigEndian << 32n;
    else if (offset === DMA_LOW && width === 4) this.#transfer(this.#dmaAddress | bigEndian);
    else if (offset === DMA_HIGH && width === 8) this.#transfer(bigEndian);
    else return false;
    return true;
  }

  #select(key: number): void {
    this.#selected = (key & KEY_MASK) < KEY_LIMIT ? key : NOTHING;
    this.#offset = 0;
  }

  get #item(): Uint8Array | undefined {
    // Nothing here belongs to the architecture.
    if (this.#selected === NOTHING || (this.#selected & ARCH_LOCAL) !== 0) return undefined;
    return this.#items.get(this.#selected & KEY_MASK);
  }

  #nextByte(): number {
    const byte = this.#item?.[this.#offset];
    if (byte === undefined) return 0;
    this.#offset++;
    return byte;
  }

  /** Does what the structure at `at` asks for, and writes there how it went. */
  #transfer(at: bigint): void {
    const { dma, trace } = this.#options;
    this.#dmaAddress = 0n;
    if (this.#isTransferring) return trace.guestError("fw_cfg", "a transfer into its own registers starts no other");
    this.#isTransferring = true;
    const raw = new Uint8Array(DmaAccess.lengthBytes);
    let isGood = dma.read(iova(at), raw) === DmaStatus.ok;
    if (isGood) {
      const { control, lengthBytes, address } = DmaAccess.decode(raw);
      if ((control & DmaControl.select) !== 0) this.#select(control >>> DMA_KEY_SHIFT);
      isGood = this.#carryOut(control, lengthBytes, address);
    }
    const result = new Uint8Array(4);
    new DataView(result.buffer).setUint32(0, isGood ? 0 : DmaControl.error);
    const told = dma.write(iova(at), result) === DmaStatus.ok;
    this.#isTransferring = false;
    if (!isGood || !told) trace.guestError("fw_cfg", `a transfer described at 0x${at.toString(16)} failed`);
  }

  #carryOut(control: number, lengthBytes: number, address: bigint): boolean {
    const item = this.#item;
    const there = Math.max(0, Math.min(lengthBytes, (item?.length ?? 0) - this.#offset));
    if ((control & DmaControl.read) !== 0) {
      const part = item?.subarray(this.#offset, this.#offset + there) ?? ZEROS.subarray(0, 0);
      if (this.#options.dma.write(iova(address), part) !== DmaStatus.ok) return false;
      this.#offset += there;
      return this.#clear(address + BigInt(there), lengthBytes - there);
    }
    // No item can be written.
    if ((control & DmaControl.write) !== 0) return lengthBytes === 0;
    if ((control & DmaControl.skip) !== 0) this.#offset += there;
    return true;
  }

  #clear(address: bigint, lengthBytes: number): boolean {
    if (address + BigInt(lengthBytes) > ADDRESS_LIMIT) return false;
    for (let done = 0; done < lengthBytes; done += ZEROS.length) {
      const part = ZEROS.subarray(0, Math.min(ZEROS.length, lengthBytes - done));
      if (this.#options.dma.write(iova(address + BigInt(done)), part) !== DmaStatus.ok) return false;
    }
    return true;
  }
}

function swapped(value: bigint, width: number): bigint {
  let out = 0n;
  for (let i = 0; i < width; i++) out = (out << 8n) | ((value >> BigInt(8 * i)) & 0xffn);
  return out;
}
