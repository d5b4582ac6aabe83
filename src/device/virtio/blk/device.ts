// The virtio block device (VIRTIO 1.2 §5.2) over a block node. Requests run asynchronously, several at a time, and are
// completed in the order in which the node finishes them.
import { InvariantError, assert } from "../../../base/index.ts";
import type { BlockNode } from "../../../block/port.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import type { WorkPort } from "../../port.ts";
import type { Chain } from "../chain.ts";
import { VirtioDevice, type VirtioContext } from "../device.ts";
import { VirtioError } from "../errors.ts";
import type { SplitQueue } from "../queue.ts";
import { DeviceId, featureBits } from "../spec.ts";
import { WorkBudget } from "../../work-budget.ts";
import type { VirtioBlkConfig } from "./config.ts";
import {
  BlkConfig,
  BlkFeature,
  BlkRequest,
  BlkRequestHeader,
  BlkSegment,
  BlkStatus,
  ID_BYTES,
  MAX_SEGMENTS,
  SECTOR_BYTES,
  SEGMENT_FLAG_UNMAP,
} from "./spec.ts";
import { virtioBlkState, type VirtioBlkState } from "./state.ts";

/** Requests at the node at the same time; the others wait here. With the piece's length it bounds our buffers. */
const MAX_RUNNING = 16;
/** A request goes to the node in pieces of this length. */
const PIECE_BYTES = 256 * 1024;
/** What the node may move before the machine has its next turn. */
const BYTES_PER_TURN = 16 * 1024 * 1024;

interface Request {
  readonly queue: SplitQueue;
  readonly chain: Chain;
  /** Resets before it was taken. */
  readonly generation: number;
  /** Bytes written to the chain so far, from its beginning. */
  filledBytes: number;
}

export class VirtioBlk extends VirtioDevice {
  readonly typeName = "virtio-blk-device";
  readonly deviceId: number = DeviceId.block;
  readonly stateDescription: DescriptionOf<VirtioBlkState> = virtioBlkState;
  /** Told when the node fails a request; the guest has got an I/O error. */
  onIoError: ((operation: string, error: unknown) => void) | undefined = undefined;

  readonly #node: BlockNode;
  readonly #blk: VirtioBlkConfig;
  readonly #capacitySectors: number;
  readonly #id = new Uint8Array(ID_BYTES);
  readonly #budget: WorkBudget;
  readonly #work: WorkPort | undefined;
  readonly #waiting: Request[] = [];
  readonly #buffers: Uint8Array[] = [];
  /** Continuations of requests that wait for the next turn. */
  readonly #turnWaiters: (() => void)[] = [];
  readonly #idleWaiters: (() => void)[] = [];
  #generation = 0;
  /** Requests at the node. */
  #running = 0;
  /** How many of those were taken before the last reset: new ones wait for them, lest an old write undo a new one. */
  #stale = 0;
  #writeback: boolean;

  /** Throws VirtioError `badConfig` when the node does not fit. The node stays the caller's. */
  constructor(context: VirtioContext, node: BlockNode, config: VirtioBlkConfig) {
    super(context, config.ring, {
      features: offeredFeatures(node, config),
      queueSizes: Array.from({ length: config.queueCount }, () => config.queueSize),
      configLengthBytes: BlkConfig.lengthBytes,
    });
    this.#node = node;
    this.#blk = config;
    this.#work = context.work;
    this.#writeback = config.writeCache;
    const blocks = Math.floor(node.lengthBytes / config.logicalBlockBytes);
    this.#capacitySectors = (blocks * config.logicalBlockBytes) / SECTOR_BYTES;
    if (node.requestAlignmentBytes > config.logicalBlockBytes) {
      const message =
        `Block node '${node.nodeName}' wants requests in units of ${node.requestAlignmentBytes} bytes; ` +
        `logical_block_size=${node.requestAlignmentBytes} would do`;
      throw new VirtioError("badConfig", message);
    }
    this.#id.set(new TextEncoder().encode(config.serial).subarray(0, ID_BYTES));
    this.#budget = new WorkBudget({
      timers: context.timers,
      name: `${this.typeName}.turn`,
      // Work that others give its time needs no turns of its own.
      bytesPerTurn: context.work === undefined ? BYTES_PER_TURN : Infinity,
      onRefill: () => this.#nextTurn(),
    });
    BlkConfig.encode(
      {
        capacity: BigInt(this.#capacitySectors),
        segMax: config.segMax,
        blkSize: config.logicalBlockBytes,
        physicalBlockExp: Math.log2(config.physicalBlockBytes / config.logicalBlockBytes),
        minIoSize: config.minIoBytes / config.logicalBlockBytes,
        optIoSize: config.optIoBytes / config.logicalBlockBytes,
        writeback: this.#writeback ? 1 : 0,
        numQueues: config.queueCount,
        maxDiscardSectors: config.maxDiscardSectors,
        maxDiscardSeg: MAX_SEGMENTS,
        discardSectorAlignment: config.discardGranularityBytes / SECTOR_BYTES,
        maxWriteZeroesSectors: config.maxWriteZeroesSectors,
        maxWriteZeroesSeg: MAX_SEGMENTS,
        writeZeroesMayUnmap: 1,
      },
      this.config,
    );
  }

  override async drain(): Promise<void> {
    this.#budget.setUnlimited(true);
    while (this.#running + this.#waiting.length > 0) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve));
    }
    this.#budget.setUnlimited(false);
  }

  override close(): void {
    super.close();
    this.reset();
    this.#budget.close();
  }

  override get isSettled(): boolean {
    return super.isSettled && this.#running + this.#waiting.length === 0;
  }

  saveState(): VirtioBlkState {
    assert(this.#running + this.#waiting.length === 0, "a block device is saved after drain()", this.#running);
    return { ...this.saveCommon(), writeback: this.#writeback };
  }

  loadState(values: VirtioBlkState): void {
    this.loadCommon(values);
    this.#setWriteback(values.writeback);
  }

  protected override onFeaturesOk(): void {
    // §5.2.5.2: a driver that can switch the cache but not flush it begins without one.
    if (this.hasFeature(BlkFeature.configWce) && !this.hasFeature(BlkFeature.flush)) this.#setWriteback(false);
  }

  protected override onConfigWrite(offset: number, width: 1 | 2 | 4, value: number): void {
    if (offset !== BlkConfig.offsets.writeback || width !== 1 || !this.hasFeature(BlkFeature.configWce)) return;
    this.#setWriteback((value & 1) !== 0);
  }

  protected override onReset(): void {
    this.#generation++;
    this.#stale = this.#running;
    for (const { queue, chain } of this.#waiting.splice(0)) queue.complete(chain, 0);
    this.#setWriteback(this.#blk.writeCache);
    this.#nextTurn();
  }

  protected override onNotify(queueIndex: number): void {
    const queue = this.queues[queueIndex]!;
    if (!queue.begin()) return;
    for (let chain = queue.take(); chain !== undefined; chain = queue.take()) {
      this.#waiting.push({ queue, chain, generation: this.#generation, filledBytes: 0 });
    }
    this.#startWaiting();
  }

  #setWriteback(on: boolean): void {
    this.#writeback = on;
    this.config[BlkConfig.offsets.writeback] = on ? 1 : 0;
  }

  /** True when a write must be durable before it is completed (§5.2.6.2). */
  get #isWritethrough(): boolean {
    if (this.hasFeature(BlkFeature.configWce)) return !this.#writeback;
    return !this.hasFeature(BlkFeature.flush);
  }

  #startWaiting(): void {
    while (this.#running < MAX_RUNNING && this.#stale === 0) {
      const request = this.#waiting.shift();
      if (request === undefined) return;
      this.#running++;
      if (this.#work === undefined) void this.#serve(request);
      else this.#work.start(() => this.#serve(request));
    }
  }

  async #serve(request: Request): Promise<void> {
    const status = await this.#execute(request);
    this.#running--;
    if (request.generation !== this.#generation) this.#stale--;
    this.#complete(request, status);
    this.#startWaiting();
    if (this.#running + this.#waiting.length > 0) return;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** Undefined: the driver broke a rule and the device needs a reset, or the request is stale. */
  async #execute(request: Request): Promise<BlkStatus | undefined> {
    const { chain } = request;
    const bytes = new Uint8Array(BlkRequestHeader.lengthBytes);
    if (chain.readableBytes < bytes.length || chain.writableBytes === 0) {
      if (chain.isLive) this.fail("a request without header or status");
      return undefined;
    }
    if (!chain.read(0, bytes)) return this.#dmaFault(chain);
    const { type, sector } = BlkRequestHeader.decode(bytes);
    try {
      switch (type) {
        case BlkRequest.in:
          return await this.#read(request, Number(sector));
        case BlkRequest.out:
          return await this.#write(request, Number(sector));
        case BlkRequest.flush:
          await this.#node.flush();
          return BlkStatus.ok;
        case BlkRequest.getId:
          return this.#getId(request);
        case BlkRequest.discard:
        case BlkRequest.writeZeroes:
          return await this.#clear(request, type);
        default:
          return BlkStatus.unsupported;
      }
    } catch (error) {
      // Our own mistakes stop the machine; everything else is the host's.
      if (error instanceof InvariantError) throw error;
      this.onIoError?.(BlkRequest.name(type), error);
      return BlkStatus.ioError;
    }
  }

  #complete({ queue, chain, filledBytes }: Request, status: BlkStatus | undefined): void {
    if (status === undefined || !chain.isLive) return queue.complete(chain, 0);
    const statusAt = chain.writableBytes - 1;
    if (!chain.write(statusAt, Uint8Array.of(status))) {
      this.#dmaFault(chain);
      return queue.complete(chain, 0);
    }
    // §2.7.8.2: the length counts from the beginning, so that the status only counts when all before it is filled.
    queue.complete(chain, filledBytes === statusAt ? filledBytes + 1 : filledBytes);
    queue.signal();
  }

  #dmaFault(chain: Chain): undefined {
    if (chain.isLive) this.fail("a buffer lies outside memory");
    return undefined;
  }

  /** True when whole blocks inside the disk are meant. */
  #isInside(sector: number, lengthBytes: number): boolean {
    const { logicalBlockBytes } = this.#blk;
    return (
      lengthBytes % logicalBlockBytes === 0 &&
      (sector * SECTOR_BYTES) % logicalBlockBytes === 0 &&
      sector <= this.#capacitySectors &&
      lengthBytes / SECTOR_BYTES <= this.#capacitySectors - sector
    );
  }

  async #read(request: Request, sector: number): Promise<BlkStatus | undefined> {
    const { chain } = request;
    const lengthBytes = chain.writableBytes - 1;
    if (!this.#isInside(sector, lengthBytes)) return BlkStatus.ioError;
    const buffer = this.#takeBuffer();
    try {
      for (let done = 0; done < lengthBytes; done += PIECE_BYTES) {
        const piece = buffer.subarray(0, Math.min(PIECE_BYTES, lengthBytes - done));
        await this.#node.read(sector * SECTOR_BYTES + done, piece);
        if (!chain.write(done, piece)) return this.#dmaFault(chain);
        request.filledBytes = done + piece.length;
        if (!this.#budget.spend(piece.length)) await this.#turn();
      }
    } finally {
      this.#buffers.push(buffer);
    }
    return BlkStatus.ok;
  }

  async #write({ chain }: Request, sector: number): Promise<BlkStatus | undefined> {
    const lengthBytes = chain.readableBytes - BlkRequestHeader.lengthBytes;
    if (this.#node.readOnly || !this.#isInside(sector, lengthBytes)) return BlkStatus.ioError;
    const buffer = this.#takeBuffer();
    try {
      for (let done = 0; done < lengthBytes; done += PIECE_BYTES) {
        const piece = buffer.subarray(0, Math.min(PIECE_BYTES, lengthBytes - done));
        // Also ends what a reset has overtaken.
        if (!chain.read(BlkRequestHeader.lengthBytes + done, piece)) return this.#dmaFault(chain);
        await this.#node.write(sector * SECTOR_BYTES + done, piece);
        if (!this.#budget.spend(piece.length)) await this.#turn();
      }
    } finally {
      this.#buffers.push(buffer);
    }
    if (chain.isLive && this.#isWritethrough) await this.#node.flush();
    return BlkStatus.ok;
  }

  #getId(request: Request): BlkStatus | undefined {
    const { chain } = request;
    const id = this.#id.subarray(0, Math.min(ID_BYTES, chain.writableBytes - 1));
    if (!chain.write(0, id)) return this.#dmaFault(chain);
    request.filledBytes = id.length;
    return BlkStatus.ok;
  }

  async #clear({ chain }: Request, type: number): Promise<BlkStatus | undefined> {
    const isDiscard = type === BlkRequest.discard;
    if (!this.hasFeature(isDiscard ? BlkFeature.discard : BlkFeature.writeZeroes)) return BlkStatus.unsupported;
    const lengthBytes = chain.readableBytes - BlkRequestHeader.lengthBytes;
    if (lengthBytes > MAX_SEGMENTS * BlkSegment.lengthBytes) return BlkStatus.unsupported;
    if (lengthBytes !== BlkSegment.lengthBytes) return BlkStatus.ioError;
    const bytes = new Uint8Array(BlkSegment.lengthBytes);
    if (!chain.read(BlkRequestHeader.lengthBytes, bytes)) return this.#dmaFault(chain);
    const { sector, sectorCount, flags } = BlkSegment.decode(bytes);
    const mayUnmap = (flags & SEGMENT_FLAG_UNMAP) !== 0;
    if ((flags & ~SEGMENT_FLAG_UNMAP) !== 0 || (isDiscard && mayUnmap)) return BlkStatus.unsupported;
    const { maxDiscardSectors, maxWriteZeroesSectors } = this.#blk;
    const rangeBytes = sectorCount * SECTOR_BYTES;
    if (sectorCount > (isDiscard ? maxDiscardSectors : maxWriteZeroesSectors)) return BlkStatus.ioError;
    if (!this.#isInside(Number(sector), rangeBytes)) return BlkStatus.ioError;
    const offset = Number(sector) * SECTOR_BYTES;
    if (isDiscard) await this.#node.discard(offset, rangeBytes);
    else await this.#node.writeZeroes(offset, rangeBytes, mayUnmap);
    if (!this.#budget.spend(rangeBytes)) await this.#turn();
    if (chain.isLive && this.#isWritethrough) await this.#node.flush();
    return BlkStatus.ok;
  }

  #takeBuffer(): Uint8Array {
    return this.#buffers.pop() ?? new Uint8Array(PIECE_BYTES);
  }

  /** Resolves at the machine's next turn, or at a reset. */
  #turn(): Promise<void> {
    return new Promise((resolve) => this.#turnWaiters.push(resolve));
  }

  #nextTurn(): void {
    for (const resolve of this.#turnWaiters.splice(0)) resolve();
  }
}

function offeredFeatures(node: BlockNode, config: VirtioBlkConfig): bigint {
  const { segMax, blkSize, flush, topology, ro, configWce, discard, writeZeroes, mq } = BlkFeature;
  let features = featureBits(segMax, blkSize, flush, topology);
  if (config.offersConfigWce) features |= featureBits(configWce);
  if (config.queueCount > 1) features |= featureBits(mq);
  if (node.readOnly) return features | featureBits(ro);
  if (config.offersDiscard) features |= featureBits(discard);
  if (config.offersWriteZeroes) features |= featureBits(writeZeroes);
  return features;
}
