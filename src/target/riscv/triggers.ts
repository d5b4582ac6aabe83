// What stops a hart before it executes, loads or stores: the triggers of Sdtrig (debug spec 1.0 §5), which are the guest's,
// and the watches of a debugger outside. Pages with something armed stay out of the TLB, so that each access to them takes
// the slow path and is compared there; with nothing armed they cost one test of `armed` in slow paths, and generated code
// knows nothing of them.
import { list, struct, field, u32, u64, type StateType } from "../../state/index.ts";
import type { HartCore } from "./hart-core.ts";
import type { Watch } from "./port.ts";

/** Kinds of access as bits, those of mcontrol and mcontrol6. */
export const TriggerKind = { load: 1, store: 2, execute: 4, data: 3, any: 7 } as const;

/** As QEMU's `virt`. */
export const triggerCount = 2;
const typeShift = 60n;
const addressMatch = 2n;
const addressMatch6 = 6n;
const emptyTrigger = addressMatch << typeShift;
/** load, store, execute, u, s and m. */
const enableBits = 0x5fn;
const matchShift = 7n;
const Match = { equal: 0, napot: 1, atLeast: 2, below: 3 } as const;
const hitBit: Readonly<Record<string, bigint>> = { "2": 1n << 20n, "6": 1n << 22n };
/** Bytes by the encoding of a size field: any, 1, 2, 4, and 8; the others are no legal values. */
const sizes: readonly (number | undefined)[] = [0, 1, 2, 4, undefined, 8];
const lastAddress = (1n << 64n) - 1n;
/** mhselect's values that are offered: 0 ignores mcontext, 4 compares it with mhvalue (debug spec §5.7.17). */
const textraMask = (0x1fffn << 51n) | (4n << 48n);
const comparesContext = 4n << 48n;

/** What is compared with each access, derived from triggers and watches. */
export interface Armed {
  readonly kinds: number;
  /** First and last virtual address that matches. */
  readonly first: bigint;
  readonly last: bigint;
  /** `1 << mode` for each mode that it holds in. */
  readonly modes: number;
  /** The only access width that matches, or 0. */
  readonly widthBytes: number;
  /** Whose it is. */
  readonly trigger?: number;
  readonly watch?: Watch;
}

export interface TriggerState {
  select: number;
  context: bigint;
  tdata1: bigint[];
  tdata2: bigint[];
  tdata3: bigint[];
}

export const triggerState: StateType<TriggerState> = struct([
  field("select", u32),
  field("context", u64),
  field("tdata1", list(u64)),
  field("tdata2", list(u64)),
  field("tdata3", list(u64)),
]);

export class Triggers {
  /** Kinds of access that anything is armed for. */
  armed = 0;
  private readonly core: HartCore;
  /** The TLB holds pages that may no longer be in it. */
  private readonly changed: () => void;
  private select = 0;
  private context = 0n;
  private readonly tdata1: bigint[] = [];
  private readonly tdata2: bigint[] = [];
  private readonly tdata3: bigint[] = [];
  private readonly watches: Watch[] = [];
  private list: readonly Armed[] = [];
  /** Kinds of access that watches let pass: those of the instruction that they have just stopped. */
  passing = 0;

  constructor(core: HartCore, changed: () => void) {
    this.core = core;
    this.changed = changed;
    this.reset();
  }

  /** Triggers are as after power-on; watches are the debugger's and stay. */
  reset(): void {
    this.select = 0;
    this.context = 0n;
    for (let i = 0; i < triggerCount; i++) {
      this.tdata1[i] = emptyTrigger;
      this.tdata2[i] = 0n;
      this.tdata3[i] = 0n;
    }
    this.derive();
  }

  // Registers (debug spec §5.7).

  get selected(): bigint {
    return BigInt(this.select);
  }

  set selected(value: bigint) {
    if (value < BigInt(triggerCount)) this.select = Number(value);
  }

  /** mcontext: 13 bits without the hypervisor extension. */
  get machineContext(): bigint {
    return this.context;
  }

  set machineContext(value: bigint) {
    this.context = value & 0x1fffn;
  }

  read(register: 1 | 2 | 3): bigint {
    return this.registers(register)[this.select]!;
  }

  write(register: 1 | 2 | 3, value: bigint): void {
    const legal = register === 1 ? legalControl(value) : register === 3 ? legalExtra(value) : value;
    const registers = this.registers(register);
    if (registers[this.select] === legal) return;
    registers[this.select] = legal;
    this.derive();
  }

  private registers(register: 1 | 2 | 3): bigint[] {
    return register === 1 ? this.tdata1 : register === 2 ? this.tdata2 : this.tdata3;
  }

  // Watches.

  watch(watch: Watch): void {
    this.watches.push(watch);
    this.derive();
  }

  unwatch(watch: Watch): void {
    const index = this.watches.indexOf(watch);
    if (index < 0) return;
    this.watches.splice(index, 1);
    this.derive();
  }

  // Comparison.

  private derive(): void {
    const watches = this.watches.map(armWatch);
    const triggers = this.tdata1.map((control, i) => armTrigger(i, control, this.tdata2[i]!));
    const before = this.armed;
    this.list = [...watches, ...triggers.filter((armed) => armed !== undefined)];
    this.armed = this.list.reduce((kinds, armed) => kinds | armed.kinds, 0);
    if ((before | this.armed) !== 0) this.changed();
  }

  /** True when something in the page of the virtual address is armed for one of `kinds`: it must not be in the TLB. */
  covers(kinds: number, low: number, high: number): boolean {
    if ((this.armed & kinds) === 0) return false;
    const first = join(low & ~0xfff, high);
    const last = first | 0xfffn;
    return this.list.some((armed) => (armed.kinds & kinds) !== 0 && armed.first <= last && armed.last >= first);
  }

  /**
   * What an access to [address, address + lengthBytes) meets first, a debugger's watches before the guest's triggers. For
   * an instruction only its own address counts: its length is 1.
   */
  find(kinds: number, low: number, high: number, lengthBytes: number): Armed | undefined {
    if ((this.armed & kinds) === 0) return undefined;
    const first = join(low, high);
    const last = first + BigInt(lengthBytes - 1);
    return this.list.find(
      (armed) =>
        (armed.kinds & kinds) !== 0 &&
        armed.first <= last &&
        armed.last >= first &&
        ((armed.modes >>> this.core.mode) & 1) !== 0 &&
        (armed.widthBytes === 0 || armed.widthBytes === lengthBytes || kinds === TriggerKind.execute) &&
        (armed.trigger === undefined ? (kinds & this.passing) === 0 : this.contextMatches(armed.trigger)),
    );
  }

  private contextMatches(trigger: number): boolean {
    const extra = this.tdata3[trigger]!;
    return (extra & comparesContext) === 0n || extra >> 51n === this.context;
  }

  /** Notes in tdata1 that the trigger fired. */
  hit(trigger: number): void {
    const control = this.tdata1[trigger]!;
    this.tdata1[trigger] = control | hitBit[String(control >> typeShift)]!;
  }

  saveState(): TriggerState {
    const { select, context, tdata1, tdata2, tdata3 } = this;
    return { select, context, tdata1: [...tdata1], tdata2: [...tdata2], tdata3: [...tdata3] };
  }

  loadState(values: TriggerState): void {
    this.selected = BigInt(values.select);
    this.machineContext = values.context;
    for (let i = 0; i < triggerCount; i++) {
      this.tdata1[i] = legalControl(values.tdata1[i] ?? emptyTrigger);
      this.tdata2[i] = values.tdata2[i] ?? 0n;
      this.tdata3[i] = legalExtra(values.tdata3[i] ?? 0n);
    }
    this.derive();
  }
}

function join(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/**
 * tdata1 as it is kept. Triggers are mcontrol or mcontrol6; any other type reads back as mcontrol, disabled, but for 0, whose
 * other bits count: old software leaves the type out, as where it is hard-wired. Action (0: breakpoint exception), chain,
 * select and dmode have the one value 0; a match that is not offered becomes "equal".
 */
function legalControl(value: bigint): bigint {
  const type = value >> typeShift;
  if (type !== 0n && type !== addressMatch && type !== addressMatch6) return emptyTrigger;
  const kept = type === addressMatch6 ? addressMatch6 : addressMatch;
  const match = Number((value >> matchShift) & 15n);
  // A type 2 trigger says in maskmax how large a NAPOT range may be; that is 0, as in QEMU: none.
  const offered = match === Match.atLeast || match === Match.below || (match === Match.napot && kept === addressMatch6);
  return (
    (kept << typeShift) |
    (value & enableBits) |
    (value & hitBit[String(kept)]!) |
    (offered ? BigInt(match) << matchShift : 0n) |
    legalSize(value, kept)
  );
}

function legalSize(value: bigint, type: bigint): bigint {
  if (sizes[sizeEncoding(value, type)] === undefined) return 0n;
  return value & (type === addressMatch6 ? 0xf_0000n : 0x63_0000n);
}

/** mcontrol splits its size field in two; mcontrol6 has it whole. */
function sizeEncoding(control: bigint, type: bigint): number {
  const low = control >> 16n;
  return Number(type === addressMatch6 ? low & 15n : (low & 3n) | ((control >> 19n) & 12n));
}

function legalExtra(value: bigint): bigint {
  return value & textraMask;
}

function armTrigger(trigger: number, control: bigint, address: bigint): Armed | undefined {
  const kinds = Number(control & 7n);
  const modes = Number((control >> 3n) & 15n);
  if (kinds === 0 || modes === 0) return undefined;
  const widthBytes = sizes[sizeEncoding(control, control >> typeShift)]!;
  const armed = { kinds, modes, widthBytes, trigger };
  switch (Number((control >> matchShift) & 15n)) {
    case Match.napot: {
      // The lowest zero bit of tdata2 says how many bits below it do not count.
      const ignored = address ^ (address + 1n);
      return { ...armed, first: address & ~ignored, last: (address | ignored) & lastAddress };
    }
    case Match.atLeast:
      return { ...armed, first: address, last: lastAddress };
    case Match.below:
      return address === 0n ? undefined : { ...armed, first: 0n, last: address - 1n };
    default:
      return { ...armed, first: address, last: address };
  }
}

function armWatch(watch: Watch): Armed {
  const first = watch.address & lastAddress;
  return {
    kinds: watch.kind === "access" ? TriggerKind.data : TriggerKind[watch.kind],
    first,
    last: first + BigInt(watch.lengthBytes - 1),
    modes: 15,
    widthBytes: 0,
    watch,
  };
}
