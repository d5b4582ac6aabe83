// table: counters, their events and who may read them (privileged spec §3.1.10 to §3.1.12; Zicntr, Zihpm).
import { counterCount, firstProgrammable, type Counters } from "../counters.ts";
import { F, Mode, type Field64 } from "../hart-core.ts";
import { constant, range, type Csr, type CsrContext } from "./definition.ts";

const TIME = 1;
const TM = 2n;
/** All but time, which has no inhibit bit. */
const programmable = range(counterCount - firstProgrammable, firstProgrammable);
const programmableBits = programmable.reduce((bits, i) => bits | (1n << BigInt(i)), 0n);
const fixedBits = 7n;
/** Fields above the event's number belong to Sscofpmf. */
const EVENT_MASK = (1n << 56n) - 1n;

const countersOf = (h: CsrContext): bigint => fixedBits | (h.has("zihpm") ? programmableBits : 0n);

/** An instruction that reads a counter sees what it was before it, and is itself counted already (Zicsr §6.1.1). */
const executedBefore = ({ core }: CsrContext): number => core.executed - (core.runBudget === 0 ? 0 : 1);

/** Changes what decides whether counters count; their values stay (§3.1.12). */
function change(h: CsrContext, apply: (counters: Counters) => void): void {
  const { counters, executed } = h.core;
  const values = counters.bases.map((_, index) => counters.read(index, executedBefore(h)));
  apply(counters);
  values.forEach((value, index) => counters.write(index, executed, value));
}

/** Counters c00 to c1f: readable below M-mode as far as mcounteren, and below S-mode scounteren, allow. */
function counter(index: number, name: string, extension: string): Csr {
  const bit = 1n << BigInt(index);
  return {
    number: 0xc00 + index,
    name,
    read: (h) => (index === TIME ? h.timeTicks() : h.core.counters.read(index, executedBefore(h))),
    available: (h) =>
      h.has(extension) &&
      (h.core.mode === Mode.M || (h.core.get(F.mcounteren) & bit) !== 0n) &&
      (h.core.mode !== Mode.U || !h.has("s") || (h.core.get(F.scounteren) & bit) !== 0n),
  };
}

function machineCounter(index: number, name: string): Csr {
  return {
    number: 0xb00 + index,
    name,
    read: (h) => h.core.counters.read(index, executedBefore(h)),
    // The next instruction reads what is written: the write stands in for what the writing one would have added (Zicsr §6.1.1).
    write: (h, value) => h.core.counters.write(index, h.core.executed, value),
  };
}

function event(index: number): Csr {
  return {
    number: 0x320 + index,
    name: `mhpmevent${index}`,
    read: (h) => h.core.counters.events[index]!,
    write: (h, value) => change(h, (counters) => counters.setEvent(index, value & EVENT_MASK)),
  };
}

function enable(number: number, name: string, field: Field64): Csr {
  return {
    number,
    name,
    read: (h) => h.core.get(field),
    write: (h, value) => h.core.set(field, value & countersOf(h)),
  };
}

const always = (csr: Csr, extension: string): Csr => ({ ...csr, available: (h) => h.has(extension) });
const absent = range(32 - counterCount, counterCount);

export const counterCsrs: readonly Csr[] = [
  counter(0, "cycle", "zicntr"),
  counter(TIME, "time", "zicntr"),
  counter(2, "instret", "zicntr"),
  ...programmable.map((i) => counter(i, `hpmcounter${i}`, "zihpm")),
  ...absent.map((i) => ({ ...counter(i, `hpmcounter${i}`, "zihpm"), read: () => 0n })),
  always(enable(0x106, "scounteren", F.scounteren), "s"),
  always(enable(0x306, "mcounteren", F.mcounteren), "u"),
  {
    number: 0x320,
    name: "mcountinhibit",
    read: (h) => h.core.counters.inhibit,
    write: (h, value) =>
      change(h, (counters) => {
        counters.inhibit = value & countersOf(h) & ~TM;
      }),
  },
  ...programmable.map((i) => always(event(i), "zihpm")),
  ...absent.map((i) => always(constant(0x320 + i, `mhpmevent${i}`, 0n, true), "zihpm")),
  machineCounter(0, "mcycle"),
  machineCounter(2, "minstret"),
  ...programmable.map((i) => always(machineCounter(i, `mhpmcounter${i}`), "zihpm")),
  ...absent.map((i) => always(constant(0xb00 + i, `mhpmcounter${i}`, 0n, true), "zihpm")),
];
