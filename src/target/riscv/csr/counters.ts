// table: counters, their events and who may read them (privileged spec §3.1.10 to §3.1.12; Zicntr, Zihpm).
import { F, Mode } from "../hart-core.ts";
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

const executed = (h: CsrContext): bigint => BigInt(h.core.executed);
/** mcycle and minstret count together; a written value is kept as the distance to the instruction count. */
function machineCounter(number: number, name: string, offset: "cycleOffset" | "instretOffset"): Csr {
  return {
    number,
    name,
    read: (h) => (executed(h) + h.core[offset]) & mask64,
    // The write itself retires after it, so the next read sees the value plus what ran since (§3.1.10).
    write: (h, value) => {
      h.core[offset] = (value - executed(h)) & mask64;
    },
  };
}

export const counterCsrs: readonly Csr[] = [
  counter(0, "cycle", "zicntr", (h) => (executed(h) + h.core.cycleOffset) & mask64),
  counter(1, "time", "zicntr", (h) => h.timeTicks()),
  counter(2, "instret", "zicntr", (h) => (executed(h) + h.core.instretOffset) & mask64),
  ...range(29, 3).map((i) => counter(i, `hpmcounter${i}`, "zihpm", () => 0n)),
  plain(0x106, "scounteren", F.scounteren, 0xffff_ffffn),
  plain(0x306, "mcounteren", F.mcounteren, 0xffff_ffffn),
  plain(0x320, "mcountinhibit", F.mcountinhibit, 0n),
  ...range(29, 3).map((i) => constant(0x320 + i, `mhpmevent${i}`, 0n, true)),
  machineCounter(0xb00, "mcycle", "cycleOffset"),
  machineCounter(0xb02, "minstret", "instretOffset"),
  ...range(29, 3).map((i) => constant(0xb00 + i, `mhpmcounter${i}`, 0n, true)),
];
