// The virtio entropy device (VIRTIO 1.2 §5.4): random bytes from a port of the host, with QEMU's rate limit.
import { VmError, type RngPort, type Timer, type TimerPort } from "../../../base/index.ts";
import type { DescriptionOf } from "../../../state/index.ts";
import { VirtioDevice, type VirtioContext } from "../device.ts";
import { DeviceId } from "../spec.ts";
import type { VirtioRngConfig } from "./config.ts";
import { virtioRngState, type VirtioRngState } from "./state.ts";

/** QEMU's queue size. */
const QUEUE_SIZE = 8;
/** §5.4.6: a buffer need not be filled. Linux asks for less than a hundred bytes at a time. */
const MAX_BYTES_PER_BUFFER = 64 * 1024;

export class VirtioRng extends VirtioDevice {
  readonly typeName = "virtio-rng-device";
  readonly deviceId: number = DeviceId.entropy;
  readonly stateDescription: DescriptionOf<VirtioRngState> = virtioRngState;
  readonly #rng: RngPort;
  readonly #limitBytes: number;
  readonly #periodNs: number;
  readonly #clock: TimerPort["clock"];
  readonly #period: Timer;
  #quotaBytes: number;

  constructor(context: VirtioContext, rng: RngPort, config: VirtioRngConfig) {
    super(context, config.ring, { features: 0n, queueSizes: [QUEUE_SIZE], configLengthBytes: 0 });
    this.#rng = rng;
    this.#limitBytes = config.maxBytesPerPeriod ?? Infinity;
    this.#periodNs = config.periodMs * 1e6;
    this.#quotaBytes = this.#limitBytes;
    this.#clock = context.timers.clock;
    this.#period = context.timers.create(`${this.typeName}.period`, () => this.#endPeriod());
  }

  override close(): void {
    super.close();
    this.#period.disarm();
  }

  saveState(): VirtioRngState {
    return { ...this.saveCommon(), quotaBytes: this.#quotaBytes, periodEndNs: this.#period.deadlineNs };
  }

  loadState(values: VirtioRngState): void {
    this.loadCommon(values);
    this.#quotaBytes = Math.min(Math.max(values.quotaBytes, 0), this.#limitBytes);
    if (values.periodEndNs === undefined) this.#period.disarm();
    else this.#period.arm(values.periodEndNs);
  }

  protected override onNotify(): void {
    const queue = this.queues[0]!;
    if (this.#quotaBytes === 0 || !queue.begin()) return;
    for (let chain = queue.take(); chain !== undefined; chain = queue.take()) {
      const bytes = new Uint8Array(Math.min(chain.writableBytes, this.#quotaBytes, MAX_BYTES_PER_BUFFER));
      const problem = this.#fill(bytes) ?? (chain.write(0, bytes) ? undefined : "a buffer lies outside memory");
      if (problem !== undefined) {
        queue.putBack(chain);
        return this.fail(problem);
      }
      queue.complete(chain, bytes.length);
      this.#spend(bytes.length);
      if (this.#quotaBytes === 0) break;
    }
    queue.signal();
  }

  /** Returns what went wrong. The device has no other way to say it than to ask for a reset. */
  #fill(bytes: Uint8Array): string | undefined {
    try {
      this.#rng.fill(bytes);
      return undefined;
    } catch (error) {
      if (error instanceof VmError) return `no random bytes: ${error.message}`;
      throw error;
    }
  }

  /** A period begins with the first byte after the last one's end, as at QEMU. */
  #spend(bytes: number): void {
    if (this.#limitBytes === Infinity) return;
    this.#quotaBytes -= bytes;
    if (this.#period.deadlineNs === undefined) this.#period.arm(this.#clock.nowNs() + this.#periodNs);
  }

  #endPeriod(): void {
    this.#quotaBytes = this.#limitBytes;
    if (this.isLive) this.onNotify();
  }
}
