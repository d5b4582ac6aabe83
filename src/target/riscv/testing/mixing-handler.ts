// An M-mode trap handler that mixes everything a trap must leave alone into a cell of memory.
import { reg, type Assembler } from "./assembler.ts";
import { ramBase, type BareMachine } from "./bare-machine.ts";
import { program } from "./both-tiers.ts";

const { sp, t0, t1, t2 } = reg;
/** Where it is; programs leave it and its page of saved registers alone. */
export const handler: number = ramBase + 0x4000;
const saved = ramBase + 0x6000;

/** Mixes every register, the counters and the trap's CSRs into a cell of memory; goes on behind what trapped, or where it was. */
function handle(p: Assembler, { isSkipped, more }: { isSkipped: boolean; more?: (p: Assembler) => void }): void {
  p.op("csrrw", { rd: sp, rs1: sp, csr: 0x340 });
  for (let n = 1; n < 32; n++) if (n !== sp) p.store(n, sp, n * 8);
  p.load(t0, sp, 0);
  for (let n = 1; n < 32; n++) {
    if (n === sp) continue;
    p.load(t1, sp, n * 8);
    p.op("xor", { rd: t0, rs1: t0, rs2: t1 });
    p.op("slli", { rd: t2, rs1: t0, imm: 7 });
    p.op("add", { rd: t0, rs1: t0, rs2: t2 });
  }
  for (const csr of ["mcause", "mepc", "mtval", "minstret", "mcycle", "mstatus"]) {
    p.readCsr(t1, csr);
    p.op("xor", { rd: t0, rs1: t0, rs2: t1 });
    p.op("slli", { rd: t2, rs1: t0, imm: 5 });
    p.op("add", { rd: t0, rs1: t0, rs2: t2 });
  }
  p.store(t0, sp, 0);
  more?.(p);
  if (isSkipped) {
    p.readCsr(t1, "mepc");
    p.op("addi", { rd: t1, rs1: t1, imm: 4 });
    p.writeCsr("mepc", t1);
  }
  for (let n = 1; n < 32; n++) if (n !== sp) p.load(n, sp, n * 8);
  p.op("csrrw", { rd: sp, rs1: sp, csr: 0x340 });
  p.op("mret");
}

/** Puts the handler into place. */
export function withHandler(m: BareMachine, options: Parameters<typeof handle>[1]): void {
  program((p) => handle(p, options), handler)(m);
  m.hart.writeCsr(0x305, BigInt(handler));
  m.hart.writeCsr(0x340, BigInt(saved));
}

/** What the handler has mixed so far. */
export const digest = (m: BareMachine): bigint => m.read64(saved);
