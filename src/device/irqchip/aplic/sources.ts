// The interrupt sources of an APLIC domain: how they are configured, what is pending, what is enabled, and which of them
// belong to a child domain (RISC-V Advanced Interrupt Architecture 1.0, §4.5.2 and §4.7).
import { BitSet } from "./bit-set.ts";
import {
  isInverted,
  isLevel,
  legalMode,
  SOURCE_CHILD_MASK,
  SOURCE_DELEGATED,
  SOURCE_MODE_MASK,
  SourceMode,
  TARGET_HART_SHIFT,
} from "./spec.ts";

export interface SourcesOptions {
  /** Sources are numbered 1 to this. */
  readonly count: number;
  /** The domain that may delegate sources to this one; the root domain has wires instead. */
  readonly parent?: Sources;
  /** In direct delivery a level-sensitive source is pending exactly while its input is high. */
  readonly levelsArePending: boolean;
  /** What a target is before it is written. */
  readonly initialTarget: number;
  /** Whether this source interrupts may have changed. */
  readonly changed: (id: number) => void;
}

export type SourcesState = {
  sourcecfg: number[];
  target: number[];
  /** Bit per source, 32 a word. */
  pending: number[];
  enabled: number[];
  /** Levels of the wires; the root domain's. */
  wires: number[];
};

export class Sources {
  readonly count: number;
  readonly #options: SourcesOptions;
  readonly #children: Sources[] = [];
  readonly #childIndex: number;
  readonly #config: Uint32Array;
  readonly #target: Uint32Array;
  readonly #pending: BitSet;
  readonly #enabled: BitSet;
  readonly #wires: BitSet;

  constructor(options: SourcesOptions) {
    this.#options = options;
    this.count = options.count;
    const numbers = options.count + 1;
    this.#config = new Uint32Array(numbers);
    this.#target = new Uint32Array(numbers).fill(options.initialTarget);
    this.#pending = new BitSet(numbers);
    this.#enabled = new BitSet(numbers);
    this.#wires = new BitSet(numbers);
    this.#childIndex = options.parent === undefined ? 0 : options.parent.#children.push(this) - 1;
  }

  config(id: number): number {
    return this.#config[id]!;
  }

  /** A write of sourcecfg. */
  configure(id: number, value: number): void {
    if (!this.#isMine(id)) return;
    const before = this.#config[id]!;
    const now = this.#legal(value);
    this.#config[id] = now;
    if (before !== now && (before & SOURCE_DELEGATED) !== 0) this.#child(before)?.withdraw(id);
    if (!this.isActive(id)) {
      this.#pending.set(id, false);
      this.#enabled.set(id, false);
    } else if (this.#isHigh(id)) {
      // Allowed for every mode, and what QEMU does.
      this.#pending.set(id, true);
    } else if (this.#isLive(id)) {
      this.#pending.set(id, false);
    }
    this.#options.changed(id);
  }

  /** The parent has taken the source back. */
  withdraw(id: number): void {
    const before = this.#config[id]!;
    this.#config[id] = 0;
    this.#pending.set(id, false);
    this.#enabled.set(id, false);
    if ((before & SOURCE_DELEGATED) !== 0) this.#child(before)?.withdraw(id);
    this.#options.changed(id);
  }

  /** A wire of the root domain has another level. */
  setWire(id: number, high: boolean): void {
    if (this.#wires.has(id) === high) return;
    this.#wires.set(id, high);
    this.#inputChanged(id, high);
  }

  /** Neither delegated nor switched off here. */
  isActive(id: number): boolean {
    const config = this.#config[id]!;
    return (config & SOURCE_DELEGATED) === 0 && config !== SourceMode.inactive;
  }

  /** Pending and enabled. */
  interrupts(id: number): boolean {
    return this.#pending.has(id) && this.#enabled.has(id);
  }

  /** Read-only zero while the source is inactive. What is written meanwhile is what it has when it becomes active. */
  target(id: number): number {
    return this.isActive(id) ? this.#target[id]! : 0;
  }

  /** Where a target says that its interrupts go, active or not. */
  hartIndex(id: number): number {
    return this.#target[id]! >>> TARGET_HART_SHIFT;
  }

  setTarget(id: number, value: number): void {
    this.#target[id] = value;
    this.#options.changed(id);
  }

  pendingWord(word: number): number {
    return this.#pending.words[word]!;
  }

  enabledWord(word: number): number {
    return this.#enabled.words[word]!;
  }

  /** Rectified inputs. */
  inputWord(word: number): number {
    let bits = 0;
    for (let i = 0; i < 32; i++) if (this.#isHigh(32 * word + i)) bits |= 1 << i;
    return bits;
  }

  /** Software's attempt to set or clear a pending bit. */
  setPending(id: number, on: boolean): void {
    if (!this.#exists(id) || !this.isActive(id) || this.#isLive(id)) return;
    if (on && isLevel(this.#config[id]!) && !this.#isHigh(id)) return;
    this.#pending.set(id, on);
    this.#options.changed(id);
  }

  setEnabled(id: number, on: boolean): void {
    if (!this.#exists(id) || !this.isActive(id)) return;
    this.#enabled.set(id, on);
    this.#options.changed(id);
  }

  /** The interrupt has been claimed or forwarded. */
  taken(id: number): void {
    if (!this.#isLive(id)) this.#pending.set(id, false);
  }

  reset(): void {
    this.#config.fill(0);
    this.#target.fill(this.#options.initialTarget);
    this.#pending.clear();
    this.#enabled.clear();
    this.#wires.clear();
  }

  saveState(): SourcesState {
    return {
      sourcecfg: Array.from(this.#config),
      target: Array.from(this.#target),
      pending: this.#pending.save(),
      enabled: this.#enabled.save(),
      wires: this.#wires.save(),
    };
  }

  /** Tells nobody: the domain finds out itself. */
  loadState(state: SourcesState): void {
    for (let id = 1; id <= this.count; id++) {
      this.#config[id] = this.#legal(state.sourcecfg[id] ?? 0);
      this.#target[id] = state.target[id] ?? this.#options.initialTarget;
    }
    this.#pending.load(state.pending);
    this.#enabled.load(state.enabled);
    this.#wires.load(state.wires);
  }

  #exists(id: number): boolean {
    return id >= 1 && id <= this.count;
  }

  /** In a domain without children, delegating makes the whole register 0. */
  #legal(value: number): number {
    if ((value & SOURCE_DELEGATED) === 0) return legalMode(value & SOURCE_MODE_MASK);
    return this.#children.length === 0 ? 0 : value & (SOURCE_DELEGATED | SOURCE_CHILD_MASK);
  }

  #child(config: number): Sources | undefined {
    return this.#children[config & SOURCE_CHILD_MASK];
  }

  /** A source that the parent has not delegated appears not to be implemented. */
  #isMine(id: number): boolean {
    const { parent } = this.#options;
    return parent === undefined || parent.#config[id] === (SOURCE_DELEGATED | this.#childIndex);
  }

  #wire(id: number): boolean {
    const { parent } = this.#options;
    return parent === undefined ? this.#wires.has(id) : this.#isMine(id) && parent.#wire(id);
  }

  /** Pending is what the input says, and nothing else changes it. */
  #isLive(id: number): boolean {
    return this.#options.levelsArePending && this.isActive(id) && isLevel(this.#config[id]!);
  }

  /** The rectified input value. */
  #isHigh(id: number): boolean {
    return this.#exists(id) && this.#rectify(id, this.#wire(id));
  }

  #rectify(id: number, high: boolean): boolean {
    const mode = this.#config[id]!;
    return this.isActive(id) && mode !== SourceMode.detached && high !== isInverted(mode);
  }

  #inputChanged(id: number, high: boolean): void {
    const config = this.#config[id]!;
    if ((config & SOURCE_DELEGATED) !== 0) {
      const child = this.#child(config);
      if (child !== undefined) child.#inputChanged(id, high);
    } else if (this.#rectify(id, high)) {
      this.#pending.set(id, true);
      this.#options.changed(id);
    } else if (isLevel(config)) {
      this.#pending.set(id, false);
      this.#options.changed(id);
    }
  }
}
