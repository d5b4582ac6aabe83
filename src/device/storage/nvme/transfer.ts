// Where a command's data lies in memory: runs of bus addresses, from a command's PRPs (§4.3) or SGL (§4.4). One object
// serves one command after the other.
import type { Iova } from "../../../base/index.ts";
import { DmaStatus, type DmaPort } from "../../port.ts";
import { Sc, SGL_BYTES, SglType } from "./spec.ts";

/** Entries of a list that are read at a time. */
const CHUNK_ENTRIES = 64;
const PRP_BYTES = 8;
/** A list that is longer is a loop, or as good as one. */
const MAX_DESCRIPTORS = 0x1_0000;
/** Run that goes nowhere: a bit bucket. */
const NOWHERE = -1n;

export class Transfer {
  /** Bytes that the runs hold together. */
  lengthBytes = 0;
  readonly #starts: bigint[] = [];
  readonly #lengths: number[] = [];
  #count = 0;
  readonly #chunk = new Uint8Array(CHUNK_ENTRIES * SGL_BYTES);
  readonly #view = new DataView(this.#chunk.buffer);
  /** Where the last `read` or `write` ended, as accesses go on from there. */
  #run = 0;
  #runStart = 0;

  clear(): void {
    this.lengthBytes = 0;
    this.#count = 0;
    this.#run = 0;
    this.#runStart = 0;
  }

  /** Takes `lengthBytes` from PRP entries 1 and 2; a status code. */
  mapPrp(dma: DmaPort, pageBytes: number, prp1: bigint, prp2: bigint, lengthBytes: number): number {
    this.clear();
    if (lengthBytes === 0) return Sc.success;
    // §4.3: the first entry may begin within a page, at a dword.
    if ((prp1 & 3n) !== 0n) return Sc.invalidPrpOffset;
    const first = Math.min(pageBytes - Number(prp1 & BigInt(pageBytes - 1)), lengthBytes);
    this.#add(prp1, first);
    const left = lengthBytes - first;
    if (left === 0) return Sc.success;
    if (left > pageBytes) return this.#mapPrpList(dma, pageBytes, prp2, left);
    if ((prp2 & BigInt(pageBytes - 1)) !== 0n) return Sc.invalidPrpOffset;
    this.#add(prp2, left);
    return Sc.success;
  }

  /** Takes exactly `lengthBytes` from the descriptor at the start of `sgl`, 16 bytes of a command; a status code. */
  mapSgl(dma: DmaPort, sgl: DataView, at: number, lengthBytes: number, toMemory: boolean): number {
    this.clear();
    const view = this.#view;
    for (let i = 0; i < SGL_BYTES; i += 4) view.setUint32(i, sgl.getUint32(at + i, true), true);
    let segment = 0n;
    let left = 1;
    let isLast = false;
    let total = 0;
    // The command's own descriptor is a segment of one.
    let held = 1;
    let next = 0;
    while (left > 0) {
      if (held === next) {
        held = Math.min(left, CHUNK_ENTRIES);
        next = 0;
        const status = dma.read(segment as Iova, this.#chunk.subarray(0, held * SGL_BYTES));
        if (status !== DmaStatus.ok) return Sc.dataTransferError;
        segment = BigInt.asUintN(64, segment + BigInt(held * SGL_BYTES));
      }
      if (++total > MAX_DESCRIPTORS) return Sc.invalidSglCount;
      const entry = SGL_BYTES * next++;
      left--;
      const address = view.getBigUint64(entry, true);
      const length = view.getUint32(entry + 8, true);
      const kind = view.getUint8(entry + 15);
      // Subtypes other than "address" are for fabrics.
      if ((kind & 0x0f) !== 0) return Sc.sglTypeInvalid;
      switch (kind >> 4) {
        case SglType.dataBlock:
          if (!this.#addWithin(address, length, lengthBytes)) return Sc.sglLengthInvalid;
          break;
        case SglType.bitBucket:
          // Where nothing is written to memory it has no length (§4.4).
          if (toMemory && !this.#addWithin(NOWHERE, length, lengthBytes)) return Sc.sglLengthInvalid;
          break;
        case SglType.segment:
        case SglType.lastSegment: {
          // It stands at the end of its own segment, and the last one leads no further.
          if (left > 0 || isLast || length === 0 || length % SGL_BYTES !== 0) return Sc.invalidSglSegment;
          isLast = kind >> 4 === SglType.lastSegment;
          segment = address;
          left = length / SGL_BYTES;
          held = 0;
          next = 0;
          break;
        }
        default:
          return Sc.sglTypeInvalid;
      }
    }
    return this.lengthBytes === lengthBytes ? Sc.success : Sc.sglLengthInvalid;
  }

  /** Reads what lies `offset` bytes into the transfer; false when memory does not answer. */
  read(dma: DmaPort, offset: number, into: Uint8Array): boolean {
    let done = 0;
    this.#seek(offset);
    while (done < into.length) {
      const within = offset + done - this.#runStart;
      const n = Math.min(this.#lengths[this.#run]! - within, into.length - done);
      const start = this.#starts[this.#run]!;
      // Bit buckets are dropped from transfers that are read.
      if (dma.read(place(start, within), into.subarray(done, done + n)) !== DmaStatus.ok) return false;
      done += n;
      if (done < into.length) this.#next();
    }
    return true;
  }

  /** Writes to what lies `offset` bytes into the transfer; false when memory does not take it. */
  write(dma: DmaPort, offset: number, bytes: Uint8Array): boolean {
    let done = 0;
    this.#seek(offset);
    while (done < bytes.length) {
      const within = offset + done - this.#runStart;
      const n = Math.min(this.#lengths[this.#run]! - within, bytes.length - done);
      const start = this.#starts[this.#run]!;
      if (start !== NOWHERE && dma.write(place(start, within), bytes.subarray(done, done + n)) !== DmaStatus.ok) {
        return false;
      }
      done += n;
      if (done < bytes.length) this.#next();
    }
    return true;
  }

  #mapPrpList(dma: DmaPort, pageBytes: number, list: bigint, lengthBytes: number): number {
    const pageMask = BigInt(pageBytes - 1);
    let at = list;
    let left = lengthBytes;
    while (left > 0) {
      if ((at & 7n) !== 0n) return Sc.invalidPrpOffset;
      const inPage = (pageBytes - Number(at & pageMask)) / PRP_BYTES;
      const wanted = Math.ceil(left / pageBytes);
      // The last entry of a list page leads to the next one where that is needed.
      const isContinued = wanted > inPage;
      const count = isContinued ? inPage - 1 : wanted;
      for (let done = 0; done < count; done += CHUNK_ENTRIES) {
        const n = Math.min(CHUNK_ENTRIES, count - done);
        const status = dma.read((at + BigInt(done * PRP_BYTES)) as Iova, this.#chunk.subarray(0, n * PRP_BYTES));
        if (status !== DmaStatus.ok) return Sc.dataTransferError;
        for (let i = 0; i < n; i++) {
          const page = this.#view.getBigUint64(i * PRP_BYTES, true);
          if ((page & pageMask) !== 0n) return Sc.invalidPrpOffset;
          this.#add(page, Math.min(pageBytes, left));
          left -= Math.min(pageBytes, left);
        }
      }
      if (!isContinued) return Sc.success;
      const next = (at + BigInt(count * PRP_BYTES)) as Iova;
      if (dma.read(next, this.#chunk.subarray(0, PRP_BYTES)) !== DmaStatus.ok) return Sc.dataTransferError;
      at = this.#view.getBigUint64(0, true);
      // A list page of one entry that leads on would never give anything.
      if (count === 0 && (at & pageMask) === BigInt(pageBytes - PRP_BYTES)) return Sc.invalidPrpOffset;
    }
    return Sc.success;
  }

  #addWithin(start: bigint, lengthBytes: number, limit: number): boolean {
    if (this.lengthBytes + lengthBytes > limit) return false;
    if (lengthBytes > 0) this.#add(start, lengthBytes);
    return true;
  }

  /** Appends a run; what follows its predecessor in memory becomes part of it. */
  #add(start: bigint, lengthBytes: number): void {
    const last = this.#count - 1;
    const before = last < 0 ? NOWHERE : this.#starts[last]!;
    if (before !== NOWHERE && before + BigInt(this.#lengths[last]!) === start) {
      this.#lengths[last] = this.#lengths[last]! + lengthBytes;
    } else {
      this.#starts[this.#count] = start;
      this.#lengths[this.#count] = lengthBytes;
      this.#count++;
    }
    this.lengthBytes += lengthBytes;
  }

  #seek(offset: number): void {
    if (offset < this.#runStart) {
      this.#run = 0;
      this.#runStart = 0;
    }
    while (offset >= this.#runStart + this.#lengths[this.#run]! && this.#run < this.#count - 1) this.#next();
  }

  #next(): void {
    this.#runStart += this.#lengths[this.#run]!;
    this.#run++;
  }
}

/** The bus wraps around at 2^64; nobody answers there. */
function place(start: bigint, offset: number): Iova {
  return BigInt.asUintN(64, start + BigInt(offset)) as Iova;
}
