// The part of a virtio device that knows neither its type nor its transport: status, features, queues, configuration.
import { assert } from "../../base/index.ts";
import type { ClockPort, Timer, TimerPort, TracePort } from "../../base/index.ts";
import type { StateDescription, StateOf } from "../../state/index.ts";
import type { Device, DmaPort, WorkPort } from "../port.ts";
import { VirtioError } from "./errors.ts";
import { SplitQueue, type QueueOwner } from "./queue.ts";
import { Feature, featureBits, Status } from "./spec.ts";
import type { CommonState } from "./state.ts";

/** What a device asks of the transport that it is plugged into. */
export interface VirtioTransport {
  /** Used buffer notification (§2.3). */
  notifyUsed(queueIndex: number): void;
  /** Configuration change notification. */
  notifyConfig(): void;
}

/** What every device is given. */
export interface VirtioContext {
  readonly dma: DmaPort;
  readonly trace: TracePort;
  /** On the machine's virtual clock. */
  readonly timers: TimerPort;
  /** Absent: work begins at once, and several things are done at a time. */
  readonly work?: WorkPort;
}

/** Ring features that an operator can switch off. */
export interface RingOptions {
  readonly indirectDescriptors: boolean;
  readonly eventIdx: boolean;
}

interface VirtioShape {
  readonly features: bigint;
  /** Largest size of each queue. */
  readonly queueSizes: readonly number[];
  readonly configLengthBytes: number;
}

const DRIVER_STATUS = Status.acknowledge | Status.driver | Status.driverOk | Status.featuresOk | Status.failed;

/** Base of the device types. A transport drives the public side; a type fills in the `on…` hooks. */
export abstract class VirtioDevice implements Device, QueueOwner {
  abstract readonly typeName: string;
  /** Virtio device ID (§5). */
  abstract readonly deviceId: number;
  abstract readonly stateDescription: StateDescription;

  readonly dma: DmaPort;
  readonly queues: readonly SplitQueue[];
  /** Feature bits that we offer. */
  readonly deviceFeatures: bigint;
  /** The configuration space as the driver reads it. */
  protected readonly config: Uint8Array;
  protected readonly trace: TracePort;
  #transport: VirtioTransport | undefined;
  #currentStatus = 0;
  #accepted = 0n;
  #generation = 0;
  #indirect = false;
  #eventIdx = false;
  readonly #nextTurn: Timer;
  readonly #clock: ClockPort;

  protected constructor(context: VirtioContext, ring: RingOptions, shape: VirtioShape) {
    this.dma = context.dma;
    this.trace = context.trace;
    this.deviceFeatures =
      shape.features |
      featureBits(Feature.version1) |
      (ring.indirectDescriptors ? featureBits(Feature.indirectDesc) : 0n) |
      (ring.eventIdx ? featureBits(Feature.eventIdx) : 0n);
    this.queues = shape.queueSizes.map((maxSize, index) => new SplitQueue(this, index, maxSize));
    this.config = new Uint8Array(shape.configLengthBytes);
    this.#clock = context.timers.clock;
    this.#nextTurn = context.timers.create("virtio.next-turn", () => this.#lookAtAll());
  }

  abstract saveState(): StateOf<StateDescription>;
  abstract loadState(values: StateOf<StateDescription>): void;

  get isSettled(): boolean {
    return this.queues.every(({ inFlight }) => inFlight === 0);
  }

  /** Resolves when no request is in flight: no host I/O pending, nothing to be written to guest memory. */
  drain(): Promise<void> {
    return Promise.resolve();
  }

  /** Stops host-side activity; idempotent. */
  close(): void {
    this.#nextTurn.disarm();
  }

  // The transport's side.

  plugInto(transport: VirtioTransport): void {
    assert(this.#transport === undefined, "a device is plugged into one transport", this.typeName);
    this.#transport = transport;
  }

  get status(): number {
    return this.#currentStatus;
  }

  get configGeneration(): number {
    return this.#generation;
  }

  get configLengthBytes(): number {
    return this.config.length;
  }

  /** The driver writes the status field; zero resets (§2.1). */
  writeStatus(value: number): void {
    if ((value & 0xff) === 0) return this.reset();
    const before = this.#currentStatus;
    let next = (value & DRIVER_STATUS) | (before & Status.deviceNeedsReset);
    if ((next & ~before & Status.featuresOk) !== 0) {
      if (this.#areFeaturesAcceptable()) this.#useFeatures();
      else next &= ~Status.featuresOk;
    }
    this.#currentStatus = next;
    if ((next & ~before & Status.driverOk) !== 0 && this.isLive) this.onDriverOk();
  }

  /** 32 feature bits that we offer, from bit `word * 32` on. */
  deviceFeatureWord(word: number): number {
    return word < 2 ? Number((this.deviceFeatures >> BigInt(word * 32)) & 0xffff_ffffn) : 0;
  }

  /** What the driver accepted so far of 32 feature bits. */
  driverFeatureWord(word: number): number {
    return word < 2 ? Number((this.#accepted >> BigInt(word * 32)) & 0xffff_ffffn) : 0;
  }

  /** The driver accepts 32 feature bits; after FEATURES_OK it is too late (§3.1.1). */
  writeDriverFeatureWord(word: number, bits: number): void {
    if ((this.#currentStatus & Status.featuresOk) !== 0) return;
    if (word > 1) {
      // Bits that exist nowhere: keeping one of them lets FEATURES_OK be refused.
      if (bits !== 0) this.#accepted |= 1n << 64n;
      return;
    }
    const shift = BigInt(word * 32);
    this.#accepted = (this.#accepted & ~(0xffff_ffffn << shift)) | (BigInt(bits) << shift);
  }

  /** The driver says that `queueIndex` has new buffers. */
  notify(queueIndex: number): void {
    const queue = this.queues[queueIndex];
    if (queue === undefined) {
      this.trace.guestError(this.typeName, `notification of queue ${queueIndex}, which does not exist`);
    } else if (this.isLive && queue.isReady) {
      this.onNotify(queueIndex);
    }
  }

  /** Unsigned little-endian value in the configuration space; all ones past its end. */
  readConfig(offset: number, width: 1 | 2 | 4): number {
    if (offset + width > this.config.length) return 2 ** (8 * width) - 1;
    let value = 0;
    for (let i = width - 1; i >= 0; i--) value = value * 256 + this.config[offset + i]!;
    return value;
  }

  writeConfig(offset: number, width: 1 | 2 | 4, value: number): void {
    if (offset + width <= this.config.length) this.onConfigWrite(offset, width, value);
  }

  reset(): void {
    this.#currentStatus = 0;
    this.#accepted = 0n;
    this.#generation = 0;
    this.#indirect = false;
    this.#eventIdx = false;
    this.#nextTurn.disarm();
    for (const queue of this.queues) queue.reset();
    this.onReset();
  }

  // The queues' side.

  get isLive(): boolean {
    const relevant = Status.driverOk | Status.featuresOk | Status.deviceNeedsReset | Status.failed;
    return (this.#currentStatus & relevant) === (Status.driverOk | Status.featuresOk);
  }

  get hasIndirect(): boolean {
    return this.#indirect;
  }

  get hasEventIdx(): boolean {
    return this.#eventIdx;
  }

  fail(reason: string): void {
    this.trace.guestError(this.typeName, `${reason}; the device needs a reset`);
    if ((this.#currentStatus & Status.deviceNeedsReset) !== 0) return;
    this.#currentStatus |= Status.deviceNeedsReset;
    // §2.1.2
    if ((this.#currentStatus & Status.driverOk) !== 0) this.#transport?.notifyConfig();
  }

  notifyUsed(queueIndex: number): void {
    this.#transport?.notifyUsed(queueIndex);
  }

  lookAgain(): void {
    this.#nextTurn.arm(this.#clock.nowNs());
  }

  // The type's side.

  protected hasFeature(bit: number): boolean {
    return (this.#accepted & (1n << BigInt(bit))) !== 0n;
  }

  /** The configuration space was changed by us: the driver is told. */
  protected configChanged(): void {
    this.#generation = (this.#generation + 1) >>> 0;
    if (this.isLive) this.#transport?.notifyConfig();
  }

  /** Features are agreed; configuration fields may depend on them. */
  protected onFeaturesOk(): void {}
  /** The driver is ready: by default every queue is looked at, for buffers that were made available before. */
  protected onDriverOk(): void {
    this.#lookAtAll();
  }
  protected abstract onNotify(queueIndex: number): void;
  protected onConfigWrite(_offset: number, _width: 1 | 2 | 4, _value: number): void {}
  protected onReset(): void {}

  protected saveCommon(): CommonState {
    return {
      status: this.#currentStatus,
      driverFeatures: this.#accepted & 0xffff_ffff_ffff_ffffn,
      configGeneration: this.#generation,
      queues: this.queues.map((queue) => queue.saveState()),
    };
  }

  protected loadCommon(values: CommonState): void {
    this.reset();
    const problem = this.#stateProblem(values);
    if (problem !== undefined) {
      this.reset();
      throw new VirtioError(
        "badState",
        `The saved state does not fit a ${this.typeName} with these properties: ${problem}`,
        {
          subject: this.typeName,
        },
      );
    }
    this.#accepted = values.driverFeatures;
    this.#currentStatus = values.status;
    this.#generation = values.configGeneration;
    if ((values.status & Status.featuresOk) !== 0) this.#useFeatures();
    // A notification of the old machine may not have been acted on.
    if (this.isLive) this.#nextTurn.arm(this.#clock.nowNs());
  }

  #stateProblem(values: CommonState): string | undefined {
    const unknown = values.driverFeatures & ~this.deviceFeatures;
    if ((values.status & Status.featuresOk) !== 0 && unknown !== 0n) {
      return `it uses feature bits 0x${unknown.toString(16)}, which are not offered here`;
    }
    if (values.queues.length !== this.queues.length) {
      return `it has ${values.queues.length} queues, here are ${this.queues.length}`;
    }
    for (const queue of this.queues) {
      const problem = queue.loadState(values.queues[queue.index]!);
      if (problem !== undefined) return `queue ${queue.index}: ${problem}`;
    }
    return undefined;
  }

  #lookAtAll(): void {
    for (const queue of this.queues) if (queue.isReady && this.isLive) this.onNotify(queue.index);
  }

  #areFeaturesAcceptable(): boolean {
    return (this.#accepted & ~this.deviceFeatures) === 0n && this.hasFeature(Feature.version1);
  }

  #useFeatures(): void {
    this.#indirect = this.hasFeature(Feature.indirectDesc);
    this.#eventIdx = this.hasFeature(Feature.eventIdx);
    this.onFeaturesOk();
  }
}
