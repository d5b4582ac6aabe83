// A device that migrates: its state, the arcs between states, and the data streams that begin and end with them.
import type { PciDevice } from "../../device/pci/index.ts";
import { Errno, VfioDeviceState as S, VfioMigrationFlag, type HostFile, type HostMemory } from "../../iommufd/index.ts";
import type { HostCounters } from "../counters.ts";
import type { MigrationAbility } from "../port.ts";
import { ResumingFile, SavingFile, type DataFileOwner } from "./data-file.ts";
import { Resuming } from "./resuming.ts";
import { Saving } from "./saving.ts";
import { isPrecopy, nextState } from "./states.ts";

const flagOf: Readonly<Record<MigrationAbility, number>> = {
  "stop-copy": VfioMigrationFlag.STOP_COPY,
  p2p: VfioMigrationFlag.P2P,
  "pre-copy": VfioMigrationFlag.PRE_COPY,
};

export interface MigrationOptions {
  readonly device: PciDevice;
  readonly kind: string;
  readonly abilities: readonly MigrationAbility[];
  readonly memory: HostMemory;
  readonly counters: HostCounters;
  /** The state changed: what the device may do of its own accord too. */
  readonly onState: () => void;
}

export class Migration implements DataFileOwner {
  readonly memory: HostMemory;
  readonly counters: HostCounters;
  /** Bits of `VfioMigrationFlag`. */
  readonly flags: number;
  tellsReinit = false;
  readonly #options: MigrationOptions;
  #state: number = S.RUNNING;
  #saving: Saving | undefined;
  #resuming: Resuming | undefined;

  constructor(options: MigrationOptions) {
    this.#options = options;
    this.memory = options.memory;
    this.counters = options.counters;
    this.flags = options.abilities.reduce((bits, ability) => bits | flagOf[ability], 0);
  }

  /** One of `VfioDeviceState`. */
  get state(): number {
    return this.#state;
  }

  get isPrecopy(): boolean {
    return isPrecopy(this.#state);
  }

  /**
   * Goes to a state, step by step: a file when a data stream begins, or a negative errno. A step that fails leaves the
   * device where it had got to; or in ERROR, when it was a step by which the device was to go on.
   */
  setState(wanted: number): HostFile | undefined | number {
    let file: HostFile | undefined;
    while (this.#state !== wanted) {
      const next = nextState(this.flags, this.#state, wanted);
      if (next < 0) return next;
      const result = this.#step(this.#state, next);
      if (typeof result === "number") return result;
      file = result;
      this.#enter(next);
    }
    return file;
  }

  /** How much data a transfer with the device stopped would take now. */
  get stopCopyBytes(): number {
    const { device, kind } = this.#options;
    return (this.#saving ?? new Saving(device, kind)).remainingBytes;
  }

  /** The device was reset, or closed: it runs, and streams end. */
  reset(): void {
    this.#endStreams();
    this.#enter(S.RUNNING);
  }

  #enter(state: number): void {
    this.#state = state;
    this.#options.onState();
  }

  #step(from: number, to: number): HostFile | undefined | number {
    if (this.memory.failAt("state")) {
      if (from === S.STOP || from === S.RESUMING) {
        this.#endStreams();
        this.#enter(S.ERROR);
      }
      return -Errno.EIO;
    }
    if (from === S.RESUMING) return this.#load();
    if (to === S.RESUMING) {
      this.#resuming = new Resuming(this.#options.device, this.#options.kind);
      return new ResumingFile(this, this.#resuming);
    }
    if (to === S.STOP_COPY) return this.#beginStopCopy(from);
    if (isPrecopy(to) && !isPrecopy(from)) return this.#beginSaving(true);
    if (!isPrecopy(to)) this.#endStreams();
    return undefined;
  }

  #beginSaving(isInitial: boolean): HostFile {
    this.#saving = new Saving(this.#options.device, this.#options.kind);
    if (isInitial) this.#saving.queueChanged(true);
    return new SavingFile(this, this.#saving);
  }

  /** The stream of pre-copy goes on, if there was one. */
  #beginStopCopy(from: number): HostFile | undefined {
    const file = isPrecopy(from) ? undefined : this.#beginSaving(false);
    // It stands still before its state is read.
    this.#enter(S.STOP);
    this.#saving!.complete();
    return file;
  }

  #load(): undefined | number {
    const rc = this.#resuming!.load();
    if (rc < 0) return rc;
    this.#endStreams();
    return undefined;
  }

  #endStreams(): void {
    this.#saving?.end();
    this.#saving = undefined;
    if (this.#resuming !== undefined) this.#resuming.isEnded = true;
    this.#resuming = undefined;
  }
}
