// What a migration does so that it comes to its end, round after round: it predicts, and slows who writes too much.
import type { TimerPort } from "../base/index.ts";
import { PAGE_BYTES } from "../memory/index.ts";
import { DirtyTrigger, nextThrottle, predict, type Prediction, type SourceRate } from "./convergence.ts";
import { DeviceThrottle } from "./device-throttle.ts";
import type { MigratableMachine } from "./port.ts";
import type { MigrationParameters } from "./parameters.ts";
import type { MigrationRound } from "./progress.ts";

export interface ConvergingOptions {
  readonly machine: MigratableMachine;
  readonly timers: TimerPort;
  /** Holds every hart to so many bytes a second; undefined lets go. */
  readonly limitHarts?: (bytesPerSecond: number | undefined) => void;
}

export interface RoundFacts {
  /** Bytes a second, before they are compressed. */
  readonly bandwidth: number;
  readonly pace: number;
  readonly deviceBytes: number;
}

const WHO = "auto-converge";
const MIB = 2 ** 20;

export class Converging {
  readonly #options: ConvergingOptions;
  readonly #trigger = new DirtyTrigger();
  readonly #devices: DeviceThrottle;
  #percent = 0;
  #hasLimits = false;
  #prediction: Prediction | undefined;

  constructor(options: ConvergingOptions) {
    this.#options = options;
    this.#devices = new DeviceThrottle(options.machine, options.timers);
  }

  /** Of time that harts rest; 0 while they do not. */
  get throttlePercent(): number {
    return this.#percent;
  }

  /** Of time that devices are held. */
  get devicePercent(): number {
    return this.#devices.percent;
  }

  get prediction(): Prediction | undefined {
    return this.#prediction;
  }

  round(round: MigrationRound, { bandwidth, pace, deviceBytes }: RoundFacts, parameters: MigrationParameters): void {
    const { durationMs } = round;
    // What is dirtied is held against what is sent of it, however small that became.
    const sentBytes = round.sentBytes + round.savedBytes;
    const sources = this.#ratesOf(round);
    const dirtyBytes = round.dirtyPages * PAGE_BYTES;
    const { downtimeLimitMs } = parameters;
    this.#prediction = predict({
      sources,
      bandwidth,
      pace,
      dirtyBytes,
      deviceBytes,
      downtimeLimitMs,
    });
    if (!this.#trigger.add({ sentBytes, dirtyBytes, durationMs }, parameters.throttleTriggerPercent)) return;
    const writtenBy = (kind: SourceRate["kind"]): number =>
      sources.reduce((sum, each) => sum + (each.kind === kind ? each.bytesPerSecond : 0), 0);
    const isDevices = writtenBy("device") > writtenBy("harts");
    if (isDevices && this.#devices.more(parameters.deviceThrottlePercent)) return;
    this.#slowHarts(parameters);
  }

  /** The machine stops. */
  settle(): void {
    this.#devices.settle();
  }

  /** Everybody runs as before. */
  end(): void {
    this.#devices.end();
    if (this.#percent > 0) this.#options.machine.throttleHarts?.(WHO, 0);
    if (this.#hasLimits) this.#options.limitHarts?.(undefined);
    this.#percent = 0;
    this.#hasLimits = false;
  }

  #slowHarts(parameters: MigrationParameters): void {
    const { autoConverge, dirtyLimit, vcpuDirtyLimitMib } = parameters;
    if (autoConverge) {
      this.#percent = nextThrottle(this.#percent, this.#trigger.overshoot, parameters);
      this.#options.machine.throttleHarts?.(WHO, this.#percent);
    } else if (dirtyLimit && !this.#hasLimits) {
      this.#hasLimits = true;
      this.#options.limitHarts?.(vcpuDirtyLimitMib * MIB);
    }
  }

  #ratesOf({ bySource, durationMs }: MigrationRound): SourceRate[] {
    const { hartSources = [] } = this.#options.machine;
    return [...bySource].map(([name, pages]) => ({
      name,
      kind: hartSources.includes(name) ? "harts" : "device",
      bytesPerSecond: (pages * PAGE_BYTES * 1000) / durationMs,
    }));
  }
}
