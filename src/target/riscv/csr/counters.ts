// table: counters, their events and who may read them (privileged spec §3.1.10 to §3.1.12; Zicntr, Zihpm).
import { CountInhibit, F, Mode, W } from "../hart-core.ts";
import { constant, mask64, plain, range, type Csr, type CsrContext } from "./definition.ts";

/** Counters c00 to c1f: readable below M-mode as far as mcounteren, and below S-mode scounteren, allow. */
function counter(index: number, name: string, extension: string, read: (h: CsrContext) => bigint): Csr {
  const bit = 1n << BigInt(index);
  return {
    number: 0xc00 + index,
    name,
    read,
    available: (h) =>
      h.has(extension) &&
      (h.core.mode === Mode.M || (h.core.get(F.mcounteren) & bit) !== 0n) &&
      (h.core.mode !== Mode.U || (h.core.get(F.scounteren) & bit) !== 0n),
  };
}

/** A counter of instructions: mcycle and minstret count together. */
interface InstructionCounter {
  readonly offset: "cycleOffset" | "instretOffset";
  /** Its bit of mcountinhibit. */
  readonly inhibit: number;
}
const cycles: InstructionCounter = { offset: "cycleOffset", inhibit: CountInhibit.cycle };
const retirements: InstructionCounter = { offset: "instretOffset", inhibit: CountInhibit.retired };

const isInhibited = (h: CsrContext, { inhibit }: InstructionCounter): boolean =>
  (h.core.word(W.mcountinhibit) & inhibit) !== 0;

/** An instruction that reads a counter sees what it was before it, and is itself counted already (Zicsr §6.1.1). */
function readCounter(h: CsrContext, counting: InstructionCounter): bigint {
  const value = h.core[counting.offset];
  if (isInhibited(h, counting)) return value;
  const running = h.core.runBudget === 0 ? 0n : 1n;
  return (value + BigInt(h.core.executed) - running) & mask64;
}

/** The next instruction reads what is written: the write stands in for what the writing one would have added (Zicsr §6.1.1). */
function writeCounter(h: CsrContext, counting: InstructionCounter, value: bigint): void {
  h.core[counting.offset] = isInhibited(h, counting) ? value : (value - BigInt(h.core.executed)) & mask64;
}

function machineCounter(number: number, name: string, counting: InstructionCounter): Csr {
  return {
    number,
    name,
    read: (h) => readCounter(h, counting),
    write: (h, value) => writeCounter(h, counting, value),
  };
}

/** The counters that stop keep their value in place of its distance to the instruction count (§3.1.12). */
function writeInhibit(h: CsrContext, value: bigint): void {
  const counting = [cycles, retirements];
  const values = counting.map((each) => readCounter(h, each));
  h.core.set(F.mcountinhibit, value & BigInt(cycles.inhibit | retirements.inhibit));
  counting.forEach((each, i) => writeCounter(h, each, values[i]!));
}

export const counterCsrs: readonly Csr[] = [
  counter(0, "cycle", "zicntr", (h) => readCounter(h, cycles)),
  counter(1, "time", "zicntr", (h) => h.timeTicks()),
  counter(2, "instret", "zicntr", (h) => readCounter(h, retirements)),
  ...range(29, 3).map((i) => counter(i, `hpmcounter${i}`, "zihpm", () => 0n)),
  plain(0x106, "scounteren", F.scounteren, 0xffff_ffffn),
  { ...plain(0x306, "mcounteren", F.mcounteren, 0xffff_ffffn), available: (h) => h.has("u") },
  { number: 0x320, name: "mcountinhibit", read: (h) => h.core.get(F.mcountinhibit), write: writeInhibit },
  ...range(29, 3).map((i) => constant(0x320 + i, `mhpmevent${i}`, 0n, true)),
  machineCounter(0xb00, "mcycle", cycles),
  machineCounter(0xb02, "minstret", retirements),
  ...range(29, 3).map((i) => constant(0xb00 + i, `mhpmcounter${i}`, 0n, true)),
];
