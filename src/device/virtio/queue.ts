// A split virtqueue seen from the device (VIRTIO 1.2 §2.7), with indirect descriptors and event indices.
// The driver's mistakes end in `owner.fail`: the device then needs a reset. Nothing the driver writes makes us throw,
// spin or reach outside the DMA port.
import { assert, isPowerOfTwo, viewOf, type Iova } from "../../base/index.ts";
import { DmaStatus, type DmaPort } from "../port.ts";
import { Chain, type ChainOwner } from "./chain.ts";
import { AreaAlignment, AvailRing, Descriptor, MAX_CHAIN_BYTES, MAX_CHAIN_DESCRIPTORS, UsedRing } from "./spec.ts";
import type { QueueState } from "./state.ts";

/** What a queue asks of its device. */
export interface QueueOwner {
  readonly dma: DmaPort;
  /** True between DRIVER_OK and the next reset or failure. */
  readonly isLive: boolean;
  /** Negotiated features. */
  readonly hasIndirect: boolean;
  readonly hasEventIdx: boolean;
  /** The driver broke a rule: the device stops and asks for a reset. */
  fail(reason: string): void;
  /** The driver is to hear of new entries in the used ring. */
  notifyUsed(queueIndex: number): void;
  /** There are buffers that this turn may not take any more: the device looks again in the next one. */
  lookAgain(): void;
}

const ADDRESS_END = 1n << 64n;
const NO_VIEW = new DataView(new ArrayBuffer(0));

/**
 * Use: `begin()` once per turn, then `take()` until it gives undefined; `complete()` at any later time; `signal()` after
 * one or several completions.
 */
export class SplitQueue implements ChainOwner {
  readonly index: number;
  readonly maxSize: number;
  readonly dma: DmaPort;
  size = 0;
  descriptorArea = 0n;
  driverArea = 0n;
  deviceArea = 0n;
  /** Buffers taken and not completed. */
  inFlight = 0;

  readonly #owner: QueueOwner;
  #ready = false;
  #epoch = 0;
  #nextAvail = 0;
  #nextUsed = 0;
  /** Used index at the last notification decision. */
  #signalled = 0;
  #availIdx = 0;
  /** Chains that this turn may still take: a bound on the work of one notification. Negative: the rings are not open. */
  #budget = -1;
  #descriptors: DataView = NO_VIEW;
  #avail: DataView = NO_VIEW;
  readonly #pool: Chain[] = [];
  readonly #word = new Uint8Array(2);
  readonly #wordView = viewOf(this.#word);
  readonly #usedEntry = new Uint8Array(UsedRing.entryBytes);
  readonly #usedEntryView = viewOf(this.#usedEntry);

  constructor(owner: QueueOwner, index: number, maxSize: number) {
    assert(isPowerOfTwo(maxSize), "a queue size is a power of two", maxSize);
    this.#owner = owner;
    this.dma = owner.dma;
    this.index = index;
    this.maxSize = maxSize;
    this.size = maxSize;
  }

  get isReady(): boolean {
    return this.#ready;
  }

  isCurrent(chain: Chain): boolean {
    return chain.epoch === this.#epoch && this.#ready && this.#owner.isLive;
  }

  /** QueueReady: takes the size and the areas into use, or lets go of them. */
  setReady(ready: boolean): void {
    if (ready === this.#ready) return;
    if (ready) {
      const problem = this.#geometryProblem();
      if (problem !== undefined) return this.#owner.fail(`queue ${this.index}: ${problem}`);
    }
    this.#restart();
    this.#ready = ready;
  }

  reset(): void {
    this.#restart();
    this.#ready = false;
    this.size = this.maxSize;
    this.descriptorArea = 0n;
    this.driverArea = 0n;
    this.deviceArea = 0n;
  }

  #restart(): void {
    this.#epoch++;
    this.inFlight = 0;
    this.#nextAvail = 0;
    this.#nextUsed = 0;
    this.#signalled = 0;
    this.#budget = -1;
  }

  #geometryProblem(): string | undefined {
    const { size } = this;
    if (!isPowerOfTwo(size) || size > this.maxSize) return `size ${size} is not a power of two up to ${this.maxSize}`;
    const areas = [
      ["descriptor", this.descriptorArea, AreaAlignment.descriptor, size * Descriptor.lengthBytes],
      ["driver", this.driverArea, AreaAlignment.driver, this.#usedEventOffset + 2],
      ["device", this.deviceArea, AreaAlignment.device, this.#availEventOffset + 2],
    ] as const;
    for (const [name, at, alignment, lengthBytes] of areas) {
      if (at % alignment !== 0n) return `${name} area at 0x${at.toString(16)} is not aligned to ${alignment}`;
      if (at + BigInt(lengthBytes) > ADDRESS_END) return `${name} area at 0x${at.toString(16)} wraps around`;
    }
    return undefined;
  }

  get #usedEventOffset(): number {
    return AvailRing.ring + AvailRing.entryBytes * this.size;
  }

  get #availEventOffset(): number {
    return UsedRing.ring + UsedRing.entryBytes * this.size;
  }

  /** Opens the rings for this turn. False when there is nothing to take buffers from. */
  begin(): boolean {
    this.#budget = -1;
    if (!this.#ready || !this.#owner.isLive) return false;
    const descriptors = this.#open(this.descriptorArea, this.size * Descriptor.lengthBytes);
    const avail = this.#open(this.driverArea, this.#usedEventOffset);
    if (descriptors === undefined || avail === undefined) {
      this.#owner.fail(`queue ${this.index}: its rings lie outside memory`);
      return false;
    }
    this.#descriptors = descriptors;
    this.#avail = avail;
    this.#availIdx = this.#nextAvail;
    this.#budget = this.size;
    return true;
  }

  /**
   * The next available buffer, or undefined: when there is none (the driver's next one comes with a notification), after
   * a failure, or when this turn has taken as many as the queue holds (the device is told to look again).
   */
  take(): Chain | undefined {
    if (this.#budget < 0 || !this.#owner.isLive) return undefined;
    if (this.#availIdx === this.#nextAvail && !this.#lookForMore()) return undefined;
    if (this.#budget === 0) {
      this.#owner.lookAgain();
      return undefined;
    }
    if (this.inFlight >= this.size) return this.#refuse("more buffers in flight than the queue holds");
    const slot = this.#nextAvail & (this.size - 1);
    const head = this.#avail.getUint16(AvailRing.ring + AvailRing.entryBytes * slot, true);
    if (head >= this.size) return this.#refuse(`head ${head} is past the descriptor table`);
    const chain = this.#pool.pop() ?? new Chain(this);
    if (!this.#gather(head, chain)) {
      this.#pool.push(chain);
      return undefined;
    }
    chain.head = head;
    chain.position = this.#nextAvail;
    chain.epoch = this.#epoch;
    this.#nextAvail = (this.#nextAvail + 1) & 0xffff;
    this.inFlight++;
    this.#budget--;
    return chain;
  }

  /** Undoes the last `take`: the buffer will be taken again. */
  putBack(chain: Chain): void {
    if (!this.isCurrent(chain)) {
      this.#pool.push(chain);
      return;
    }
    assert(
      ((chain.position + 1) & 0xffff) === this.#nextAvail,
      "only the buffer taken last is put back",
      chain.position,
    );
    this.#nextAvail = chain.position;
    this.inFlight--;
    this.#pool.push(chain);
  }

  #lookForMore(): boolean {
    if (this.#readAvailIdx()) return this.#owner.isLive;
    if (!this.#owner.hasEventIdx || !this.#owner.isLive) return false;
    // The driver may have added a buffer between our look at idx and its look at avail_event: look again.
    this.#wordView.setUint16(0, this.#nextAvail, true);
    if (!this.#putWord(this.deviceArea, this.#availEventOffset)) return false;
    this.dma.fence();
    return this.#readAvailIdx() && this.#owner.isLive;
  }

  /** True when the available index has moved. */
  #readAvailIdx(): boolean {
    const idx = this.#avail.getUint16(AvailRing.idx, true);
    const added = (idx - this.#nextAvail) & 0xffff;
    if (added > this.size) {
      this.#refuse(`available index ${idx} is ${added} entries ahead in a queue of ${this.size}`);
      return false;
    }
    this.#availIdx = idx;
    return added !== 0;
  }

  #gather(head: number, chain: Chain): boolean {
    const { readable, writable } = chain;
    readable.clear();
    writable.clear();
    let table = this.#descriptors;
    let entryCount = this.size;
    let index = head;
    let visited = 0;
    let indirect = false;
    for (;;) {
      // More steps than entries means a loop.
      if (++visited > entryCount) return this.#bad("a chain of descriptors that loops");
      const at = index * Descriptor.lengthBytes;
      const address = table.getBigUint64(at + Descriptor.addr, true);
      const lengthBytes = table.getUint32(at + Descriptor.len, true);
      const flags = table.getUint16(at + Descriptor.flags, true);
      if (address + BigInt(lengthBytes) > ADDRESS_END) return this.#bad("a descriptor wraps around the address space");
      if ((flags & Descriptor.flagIndirect) !== 0) {
        if (!this.#owner.hasIndirect) return this.#bad("an indirect descriptor without the feature");
        if (indirect) return this.#bad("an indirect descriptor inside an indirect table");
        if ((flags & Descriptor.flagNext) !== 0) return this.#bad("an indirect descriptor with a next one");
        if (lengthBytes === 0 || lengthBytes % Descriptor.lengthBytes !== 0) {
          return this.#bad(`an indirect table of ${lengthBytes} bytes`);
        }
        entryCount = lengthBytes / Descriptor.lengthBytes;
        if (entryCount > MAX_CHAIN_DESCRIPTORS) return this.#bad(`an indirect table of ${entryCount} descriptors`);
        const opened = this.#open(address, lengthBytes);
        if (opened === undefined) return this.#bad("an indirect table outside memory");
        table = opened;
        indirect = true;
        index = 0;
        visited = 0;
        continue;
      }
      if (readable.count + writable.count === MAX_CHAIN_DESCRIPTORS)
        return this.#bad(`a chain of more than ${MAX_CHAIN_DESCRIPTORS} descriptors`);
      if ((flags & Descriptor.flagWrite) !== 0) writable.add(address, lengthBytes);
      else if (writable.count !== 0) return this.#bad("a readable descriptor after a writable one");
      else readable.add(address, lengthBytes);
      if (readable.lengthBytes + writable.lengthBytes > MAX_CHAIN_BYTES)
        return this.#bad("a chain of more than 2^32 bytes");
      if ((flags & Descriptor.flagNext) === 0) return true;
      index = table.getUint16(at + Descriptor.next, true);
      if (index >= entryCount) return this.#bad(`next ${index} is past the descriptor table`);
    }
  }

  #bad(what: string): false {
    this.#owner.fail(`queue ${this.index}: ${what}`);
    return false;
  }

  #refuse(what: string): undefined {
    this.#owner.fail(`queue ${this.index}: ${what}`);
    return undefined;
  }

  /**
   * Returns a buffer to the driver. `writtenBytes` counts from the start of its writable part. A stale chain is only
   * forgotten.
   */
  complete(chain: Chain, writtenBytes: number): void {
    const current = this.isCurrent(chain);
    this.#pool.push(chain);
    if (!current) return;
    this.inFlight--;
    this.#usedEntryView.setUint32(0, chain.head, true);
    this.#usedEntryView.setUint32(4, writtenBytes, true);
    const slot = this.#nextUsed & (this.size - 1);
    const at = (this.deviceArea + BigInt(UsedRing.ring + UsedRing.entryBytes * slot)) as Iova;
    if (this.dma.write(at, this.#usedEntry) !== DmaStatus.ok) {
      this.#refuse("the used ring lies outside memory");
      return;
    }
    // The entry must be there before the index that shows it.
    this.dma.fence();
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
    this.#wordView.setUint16(0, this.#nextUsed, true);
    this.#putWord(this.deviceArea, UsedRing.idx);
  }

  /** Tells the driver of completions since the last call, if it wants to hear of them (§2.7.7). */
  signal(): void {
    if (this.#nextUsed === this.#signalled || !this.#ready || !this.#owner.isLive) return;
    const before = this.#signalled;
    this.#signalled = this.#nextUsed;
    // The driver's wish must be read after the index is visible, or both sides could wait for each other.
    this.dma.fence();
    const offset = this.#owner.hasEventIdx ? this.#usedEventOffset : AvailRing.flags;
    if (this.dma.read((this.driverArea + BigInt(offset)) as Iova, this.#word) !== DmaStatus.ok) {
      this.#refuse("the available ring lies outside memory");
      return;
    }
    const wish = this.#wordView.getUint16(0, true);
    const wanted = this.#owner.hasEventIdx
      ? ((this.#nextUsed - wish - 1) & 0xffff) < ((this.#nextUsed - before) & 0xffff)
      : (wish & AvailRing.flagNoInterrupt) === 0;
    if (wanted) this.#owner.notifyUsed(this.index);
  }

  #putWord(area: bigint, offset: number): boolean {
    if (this.dma.write((area + BigInt(offset)) as Iova, this.#word) === DmaStatus.ok) return true;
    this.#refuse("the used ring lies outside memory");
    return false;
  }

  /** A view for this turn: guest memory itself where it is contiguous, else a copy. */
  #open(at: bigint, lengthBytes: number): DataView | undefined {
    const window = this.dma.readWindow(at as Iova, lengthBytes);
    if (window !== undefined) return viewOf(window);
    const copy = new Uint8Array(lengthBytes);
    return this.dma.read(at as Iova, copy) === DmaStatus.ok ? viewOf(copy) : undefined;
  }

  saveState(): QueueState {
    assert(this.inFlight === 0, "a device is saved after drain()", this.index, this.inFlight);
    return {
      size: this.size,
      ready: this.#ready,
      descriptorArea: this.descriptorArea,
      driverArea: this.driverArea,
      deviceArea: this.deviceArea,
      nextAvail: this.#nextAvail,
      nextUsed: this.#nextUsed,
      signalled: this.#signalled,
    };
  }

  /** Returns what is wrong with the values, when they cannot have been saved by a queue like this one. */
  loadState(values: QueueState): string | undefined {
    this.reset();
    this.size = values.size;
    this.descriptorArea = values.descriptorArea;
    this.driverArea = values.driverArea;
    this.deviceArea = values.deviceArea;
    const problem = values.ready ? this.#geometryProblem() : undefined;
    if (problem !== undefined) return problem;
    this.#ready = values.ready;
    this.#nextAvail = values.nextAvail;
    this.#nextUsed = values.nextUsed;
    this.#signalled = values.signalled;
    return undefined;
  }
}
