// A CPU that programs are made for, as both emulators know it.
import { bareMachine, ramBase } from "../../src/target/riscv/testing/bare-machine.ts";
import { assemble } from "../../src/target/riscv/testing/assemble.ts";
import { cpuFeatures } from "../../src/target/riscv/cpu-models.ts";
import { csrs } from "../../src/target/riscv/csr/table.ts";
import { Decoder } from "../../src/target/riscv/decoder.ts";
import type { CompressedForm, Instruction } from "../../src/target/riscv/encoding.ts";
import { enabledForms, enabledInstructions } from "../../src/target/riscv/instruction-set.ts";
import { MAX_CSRS } from "./state-page.ts";

export interface LockstepCpu {
  /** As on the command line: `rv64,sv57=off`. */
  readonly text: string;
  readonly model: string;
  readonly settings: Readonly<Record<string, boolean>>;
  readonly has: (extension: string) => boolean;
  /** Highest satp.MODE, 0 for none. */
  readonly satpModes: number;
  readonly instructions: readonly Instruction[];
  readonly forms: readonly CompressedForm[];
  readonly decoder: Decoder;
  /** Numbers of the CSRs that machine mode can read. */
  readonly csrs: ReadonlySet<number>;
  /** What goes into the digest of each block, mstatus first, but for the bits of `blindBits`. */
  readonly blockCsrs: readonly number[];
  /** What goes into the digest at the end. */
  readonly finalCsrs: readonly number[];
}

/** They count time, or the keeper writes them, or random code must not. */
const unstable = /^(m?cycle|m?instret|time|m?hpm.*|mscratch|mepc|mcause|mtval|mtvec)$/;
const rarelyChanged = /^(pmp.*|m(vendorid|archid|impid|hartid|configptr|isa)|misa|tinfo)$/;

export function lockstepCpu(text: string): LockstepCpu {
  const [model = "rv64", ...properties] = text.split(",");
  const settings = Object.fromEntries(properties.map((each) => each.split("=")).map(([k, v]) => [k!, v !== "off"]));
  const { has, satpModes } = cpuFeatures(model, settings);
  const numbers = readableCsrs(model, settings);
  const readable = csrs.filter((csr) => numbers.has(csr.number) && !unstable.test(csr.name));
  const changing = readable.filter((csr) => !rarelyChanged.test(csr.name));
  return {
    text,
    model,
    settings,
    has,
    satpModes,
    instructions: enabledInstructions(has),
    forms: enabledForms(has),
    decoder: new Decoder(has),
    csrs: numbers,
    blockCsrs: mstatusFirst(changing.map((csr) => csr.number)).slice(0, MAX_CSRS),
    finalCsrs: readable.filter((csr) => rarelyChanged.test(csr.name)).map((csr) => csr.number),
  };
}

const MSTATUS = 0x300;
const mstatusFirst = (numbers: readonly number[]): number[] => [MSTATUS, ...numbers.filter((n) => n !== MSTATUS)];

/** Found by reading each. */
function readableCsrs(model: string, features: Record<string, boolean>): ReadonlySet<number> {
  const machine = bareMachine({ model, features });
  const { hart } = machine;
  const handler = BigInt(ramBase + 0x100);
  hart.writeCsr(0x305, handler);
  hart.writeCsr(MSTATUS, 0x6000n);
  const exists = (csr: number): boolean => {
    machine.load(ramBase, [assemble("csrrs", { rd: 10, rs1: 0, csr })]);
    hart.pc = BigInt(ramBase);
    hart.mode = "M";
    hart.run(1);
    return hart.pc !== handler;
  };
  return new Set(csrs.map((csr) => csr.number).filter(exists));
}
