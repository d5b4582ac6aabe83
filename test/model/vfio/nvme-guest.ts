// A guest's driver of an assigned NVMe controller: one pair of I/O queues, reads into pages of the caller's choice.
import { viewOf } from "../../../src/base/index.ts";
import { VfioPciRegion } from "../../../src/iommufd/index.ts";
import type { AssignedDevice } from "../../../src/vfio/index.ts";
import { settle } from "./settle.ts";

export const NVME_AREA_BYTES = 0x8000;
const BLOCK_BYTES = 512;
const PAGE = 4096;
const ENTRIES = 32;
/** Where queues and lists lie in the driver's area. */
const AT = {
  adminSubmission: 0,
  adminCompletion: 0x1000,
  submission: 0x2000,
  completion: 0x3000,
  lists: 0x4000,
} as const;

export interface NvmeTransfer {
  readonly block: number;
  readonly blockCount: number;
  /** Guest-physical; the first may begin inside a page, the others are whole pages. */
  readonly pages: readonly number[];
  readonly write: boolean;
}

/** Writes guest memory as a hart does. */
export type HartWrite = (at: number, bytes: Uint8Array) => void;

export class NvmeGuest {
  readonly #device: () => AssignedDevice;
  readonly #area: number;
  readonly #hartWrite: HartWrite;
  #isOpen = false;
  #adminTail = 0;
  #tail = 0;
  #head = 0;

  /** `area`: where in guest memory its queues may be, `NVME_AREA_BYTES` of it. */
  constructor(device: () => AssignedDevice, area: number, hartWrite: HartWrite) {
    this.#device = device;
    this.#area = area;
    this.#hartWrite = hartWrite;
  }

  /** The device was reset behind its back. */
  lost(): void {
    this.#isOpen = false;
  }

  /** Submits transfers at once, at most 16; they go on by themselves. */
  async submit(transfers: readonly NvmeTransfer[]): Promise<void> {
    if (!this.#isOpen) await this.#open();
    for (const transfer of transfers) this.#put(transfer, transfers.indexOf(transfer));
    this.#ring(2, this.#tail);
    // Whatever completed before is taken: as many as were submitted, sooner or later.
    this.#ring(3, this.#head);
    this.#head = this.#tail;
  }

  async #open(): Promise<void> {
    this.#set(0x14, 0);
    this.#hartWrite(this.#area, new Uint8Array(NVME_AREA_BYTES));
    this.#set(0x24, ((ENTRIES - 1) << 16) | (ENTRIES - 1));
    this.#set(0x28, this.#area + AT.adminSubmission);
    this.#set(0x2c, 0);
    this.#set(0x30, this.#area + AT.adminCompletion);
    this.#set(0x34, 0);
    this.#set(0x14, 0x0046_0001);
    this.#adminTail = this.#tail = this.#head = 0;
    const size = (ENTRIES - 1) << 16;
    await this.#admin({ 0: 0x05, 6: this.#area + AT.completion, 10: size | 1, 11: 1 });
    await this.#admin({ 0: 0x01, 6: this.#area + AT.submission, 10: size | 1, 11: 0x1_0001 });
    this.#isOpen = true;
  }

  async #admin(words: Readonly<Record<number, number>>): Promise<void> {
    this.#command(this.#area + AT.adminSubmission + this.#adminTail++ * 64, words);
    this.#ring(0, this.#adminTail);
    await settle();
    this.#ring(1, this.#adminTail);
  }

  #put({ block, blockCount, pages, write }: NvmeTransfer, slot: number): void {
    const listAt = this.#area + AT.lists + slot * 256;
    const [first = 0, second = 0] = pages;
    if (pages.length > 2) {
      const list = new Uint8Array((pages.length - 1) * 8);
      pages.slice(1).forEach((page, i) => viewOf(list).setBigUint64(i * 8, BigInt(page), true));
      this.#hartWrite(listAt, list);
    }
    const prp2 = pages.length > 2 ? listAt : second;
    const high = (at: number): number => Math.floor(at / 2 ** 32);
    this.#command(this.#area + AT.submission + this.#tail * 64, {
      ...{ 0: (write ? 1 : 2) | (this.#tail << 16), 1: 1 },
      ...{ 6: first >>> 0, 7: high(first), 8: prp2 >>> 0, 9: high(prp2), 10: block, 12: blockCount - 1 },
    });
    this.#tail = (this.#tail + 1) % ENTRIES;
  }

  #command(at: number, words: Readonly<Record<number, number>>): void {
    const bytes = new Uint8Array(64);
    for (const [word, value] of Object.entries(words)) viewOf(bytes).setUint32(Number(word) * 4, value >>> 0, true);
    this.#hartWrite(at, bytes);
  }

  #ring(doorbell: number, value: number): void {
    this.#set(0x1000 + 4 * doorbell, value);
  }

  #set(at: number, value: number): void {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, value >>> 0, true);
    const { client } = this.#device();
    client.write(client.region(VfioPciRegion.BAR0), BigInt(at), bytes);
  }
}

/** Pages that so many blocks take from `at` on, in the order of `pick`. */
export function pagesFor(at: number, blockCount: number, pick: () => number): number[] {
  const pages = [at];
  for (let left = blockCount * BLOCK_BYTES - (PAGE - (at % PAGE)); left > 0; left -= PAGE) pages.push(pick());
  return pages;
}
