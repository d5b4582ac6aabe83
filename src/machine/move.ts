// A machine as migration sees it: parts, memory, and a run state of its own while it is on its way.
import type { DirtyNotes, RamBlock } from "../memory/index.ts";
import type { LookForUntouched, MigratableMachine, StreamedPart } from "../migration/port.ts";
import { describeState, f64, field, StateError, type DescriptionOf, type Saveable } from "../state/index.ts";
import type { GuestClock } from "./pace.ts";

type ClockState = { elapsedNs: number };

/** Guest time. Timers are armed for it, so that it is loaded before everything else. */
class ClockPart implements Saveable<DescriptionOf<ClockState>> {
  readonly stateDescription: DescriptionOf<ClockState> = describeState("guest-clock", 1, [field("elapsedNs", f64)]);
  readonly #clock: GuestClock;

  constructor(clock: GuestClock) {
    this.#clock = clock;
  }

  saveState(): ClockState {
    return { elapsedNs: this.#clock.nowNs() };
  }

  loadState({ elapsedNs }: ClockState): void {
    if (!(elapsedNs >= 0 && elapsedNs <= Number.MAX_SAFE_INTEGER)) {
      throw new StateError("malformed", `A clock does not stand at ${elapsedNs} ns`, { subject: "guest-clock" });
    }
    this.#clock.load(elapsedNs);
  }
}

export interface MoveParts {
  readonly machineType: string;
  readonly clock: GuestClock;
  readonly blocks: readonly RamBlock[];
  readonly memory: WebAssembly.Memory;
  readonly notes: DirtyNotes;
  readonly saveables: ReadonlyMap<string, Saveable>;
  readonly streams: () => ReadonlyMap<string, StreamedPart>;
  readonly isRunning: () => boolean;
  readonly stop: () => Promise<void>;
  readonly start: () => void;
  readonly giveUp: () => Promise<void>;
  readonly takeOver: () => Promise<void>;
  readonly untouchedPages: ((memory: Uint8Array) => LookForUntouched | undefined) | undefined;
  readonly hartSources: readonly string[];
  readonly throttleHarts: (who: string, percents: number | readonly number[]) => void;
  readonly holdHart: (hart: number, isHeld: boolean) => void;
  readonly shortenSlices: (forNs: number) => void;
}

export class MovableMachine implements MigratableMachine {
  readonly machineType: string;
  readonly blocks: readonly RamBlock[];
  readonly memory: WebAssembly.Memory;
  readonly notes: DirtyNotes;
  readonly #parts: MoveParts;

  constructor(parts: MoveParts) {
    this.#parts = parts;
    this.machineType = parts.machineType;
    this.blocks = parts.blocks;
    this.memory = parts.memory;
    this.notes = parts.notes;
  }

  /** As of now: devices come and go. */
  get parts(): ReadonlyMap<string, Saveable> {
    return new Map<string, Saveable>([["clock", new ClockPart(this.#parts.clock)], ...this.#parts.saveables]);
  }

  get streams(): ReadonlyMap<string, StreamedPart> {
    return this.#parts.streams();
  }

  get isRunning(): boolean {
    return this.#parts.isRunning();
  }

  get hartSources(): readonly string[] {
    return this.#parts.hartSources;
  }

  throttleHarts(who: string, percents: number | readonly number[]): void {
    this.#parts.throttleHarts(who, percents);
  }

  holdHart(hart: number, isHeld: boolean): void {
    this.#parts.holdHart(hart, isHeld);
  }

  shortenSlices(forNs: number): void {
    this.#parts.shortenSlices(forNs);
  }

  stop(): Promise<void> {
    return this.#parts.stop();
  }

  start(): void {
    this.#parts.start();
  }

  untouchedPages(): LookForUntouched | undefined {
    return this.#parts.untouchedPages?.(new Uint8Array(this.memory.buffer));
  }

  giveUp(): Promise<void> {
    return this.#parts.giveUp();
  }

  takeOver(): Promise<void> {
    return this.#parts.takeOver();
  }
}
