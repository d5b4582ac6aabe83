// A hart's saved state: registers and CSRs by name.
import { bool, describeState, f64, field, list, struct, u32, u64, u8, type DescriptionOf } from "../../state/index.ts";
import { AiaState, aiaType, type AiaSaved } from "./aia-state.ts";
import { counterCount, firstProgrammable, type Counters } from "./counters.ts";
import { F, W, type HartCore } from "./hart-core.ts";
import { csrFields, pmpEntryCount } from "./state.ts";
import { triggerState, type Triggers, type TriggerState } from "./triggers.ts";

type CsrName =
  | ("mstatus" | "medeleg" | "mideleg" | "mie" | "mip" | "mtvec" | "mscratch" | "mepc" | "mcause" | "mtval")
  | ("mcounteren" | "mcountinhibit" | "menvcfg" | "stvec" | "sscratch" | "sepc" | "scause" | "stval" | "satp")
  | ("scounteren" | "senvcfg" | "stimecmp" | "pmpcfg0" | "pmpcfg2")
  | LaterCsrName;
/** Those that version 3 brought. */
type LaterCsrName = "mseccfg" | "mstateen0" | "mstateen1" | "mstateen2" | "mstateen3";
const laterCsrNames: readonly string[] = ["mseccfg", "mstateen0", "mstateen1", "mstateen2", "mstateen3"];
const csrNames = csrFields as readonly CsrName[];

export type HartState = {
  x: bigint[];
  f: bigint[];
  fcsr: number;
  pc: bigint;
  mode: number;
  csr: Record<CsrName, bigint>;
  pmpaddr: bigint[];
  triggers: TriggerState;
  lines: number;
  executed: number;
  cycleOffset: bigint;
  instretOffset: bigint;
  started: boolean;
  waiting: boolean;
  /** Of the counters from the first programmable one on. */
  hpmBases: bigint[];
  hpmEvents: bigint[];
  aia: AiaSaved;
};

export const hartState: DescriptionOf<HartState> = describeState("riscv-hart", 3, [
  field("x", list(u64)),
  field("f", list(u64)),
  field("fcsr", u32),
  field("pc", u64),
  field("mode", u8),
  field(
    "csr",
    struct(
      csrNames.map((name) =>
        laterCsrNames.includes(name) ? field(name, u64, { since: 3, default: 0n }) : field(name, u64),
      ),
    ),
  ),
  field("pmpaddr", list(u64)),
  field("triggers", triggerState),
  field("lines", u32),
  field("executed", f64),
  field("cycleOffset", u64),
  field("instretOffset", u64),
  field("started", bool),
  field("waiting", bool),
  field("hpmBases", list(u64), { since: 3, default: [] }),
  field("hpmEvents", list(u64), { since: 3, default: [] }),
  field("aia", aiaType, { since: 2, default: new AiaState(undefined).save() }),
]);

interface SaveableHart {
  readonly core: HartCore;
  readonly triggers: Triggers;
  started: boolean;
  waiting: boolean;
}

const registers = (core: HartCore, first: number, count: number): bigint[] =>
  Array.from({ length: count }, (_, i) => core.get(first + i));

/** Must be called while the hart does not run. A reservation is not kept: losing one is always allowed. */
export function captureHartState(hart: SaveableHart): HartState {
  const { core } = hart;
  return {
    x: registers(core, F.x, 32),
    f: registers(core, F.f, 32),
    fcsr: core.word(W.fcsr),
    pc: core.pc,
    mode: core.mode,
    csr: {
      ...(Object.fromEntries(csrNames.map((name) => [name, core.get(F[name])])) as Record<CsrName, bigint>),
      mcountinhibit: core.counters.inhibit,
    },
    pmpaddr: registers(core, F.pmpaddr, pmpEntryCount),
    triggers: hart.triggers.saveState(),
    lines: core.lines,
    executed: core.executed,
    cycleOffset: core.counters.bases[0]!,
    instretOffset: core.counters.bases[2]!,
    hpmBases: core.counters.bases.slice(firstProgrammable),
    hpmEvents: core.counters.events.slice(firstProgrammable),
    started: hart.started,
    waiting: hart.waiting,
    aia: core.aia.save(),
  };
}

export function applyHartState(hart: SaveableHart, values: HartState): void {
  const { core } = hart;
  values.x.slice(1, 32).forEach((value, i) => core.set(F.x + 1 + i, value));
  values.f.slice(0, 32).forEach((value, i) => core.set(F.f + i, value));
  core.setWord(W.fcsr, values.fcsr & 0xff);
  core.pc = values.pc;
  core.mode = values.mode === 0 || values.mode === 1 ? values.mode : 3;
  for (const name of csrNames) core.set(F[name], values.csr[name]);
  values.pmpaddr.slice(0, pmpEntryCount).forEach((value, i) => core.set(F.pmpaddr + i, value));
  hart.triggers.loadState(values.triggers);
  core.lines = values.lines;
  core.executedBefore = values.executed;
  loadCounters(core.counters, values);
  hart.started = values.started;
  hart.waiting = values.waiting;
  core.aia.load(values.aia);
  core.dropReservation();
}

function loadCounters(counters: Counters, values: HartState): void {
  counters.reset(0);
  counters.inhibit = values.csr.mcountinhibit;
  counters.bases[0] = values.cycleOffset;
  counters.bases[2] = values.instretOffset;
  for (let i = 0; i < counterCount - firstProgrammable; i++) {
    counters.bases[firstProgrammable + i] = values.hpmBases[i] ?? 0n;
    counters.setEvent(firstProgrammable + i, values.hpmEvents[i] ?? 0n);
  }
}
