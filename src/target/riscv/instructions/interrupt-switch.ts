// table: the forms of CSR instructions by which a supervisor switches its interrupts (sstatus.SIE, privileged spec §10.1.1):
// kernels do it around every critical section. Special cases of `system.ts`, which do in generated code what needs nobody.
import { field, i32, i64, imm32, liveField, reg, wrap, extendU, type Code, type Expr } from "../../../accel/index.ts";
import { sstatusHigh, sstatusWritable } from "../csr/status.ts";
import type { Instruction, Operands } from "../encoding.ts";
import { Mstatus } from "../hart-core.ts";

const sie = i64.const(Mstatus.sie);
const mstatus = field("i64", "mstatus");
const isOpen = field("i32", "statusOpen");

/** sstatus as it reads where mstatus is `status`; SD says that FS is Dirty. */
function sstatusOf(status: Expr<"i64">): Expr<"i64"> {
  const isDirty = i32.eq(i32.and(wrap(status), i32.const(Mstatus.fs)), i32.const(Mstatus.fs));
  const fields = i64.or(i64.and(status, i64.const(sstatusWritable)), i64.big(BigInt(sstatusHigh) << 32n));
  return i64.or(fields, i64.shl(extendU(isDirty), i64.const(63)));
}

/** No interrupt is pending and enabled on its own. What mip hides counts too, and is left to the helper. */
const isQuiet = i32.eqz(i32.and(i32.or(liveField("i32", "mip"), liveField("i32", "lines")), liveField("i32", "mie")));

/** Where `when` holds: rd becomes sstatus, mstatus what `next` makes of it. */
function switches(c: Code, when: Expr<"i32">, next: (status: Expr<"i64">) => Expr<"i64">): void {
  c.if(
    when,
    () => {
      const before = c.let(mstatus);
      c.setField("mstatus", next(before));
      c.setReg("dst", sstatusOf(before));
    },
    () => c.helper("csr", imm32),
    true,
  );
}

function onStatus(
  mnemonic: string,
  encoding: { readonly match: number; readonly mask: number },
  operands: Operands,
  semantics: (c: Code) => void,
): Instruction {
  return {
    name: `${mnemonic}.sie`,
    mnemonic,
    extensions: ["zicsr"],
    ...encoding,
    operands: { dst: "x", imm: "raw", ...operands },
    assembly: `rd, csr, ${operands.src1 === undefined ? "zimm" : "rs1"}`,
    semantics,
  };
}

export const interruptSwitches: readonly Instruction[] = [
  onStatus("csrrci", { match: 0x10017073, mask: 0xfffff07f | 0 }, {}, (c) =>
    switches(c, isOpen, (status) => i64.and(status, i64.const(~Mstatus.sie))),
  ),
  onStatus("csrrsi", { match: 0x10016073, mask: 0xfffff07f | 0 }, {}, (c) =>
    switches(c, i32.and(isOpen, isQuiet), (status) => i64.or(status, sie)),
  ),
  // Restores what csrrci found; with x0 it only reads.
  onStatus("csrrs", { match: 0x10002073, mask: 0xfff0707f | 0 }, { src1: "x" }, (c) => {
    const wanted = reg("i64", "src1");
    const isSwitch = i64.eqz(i64.and(wanted, i64.const(~Mstatus.sie)));
    switches(c, i32.and(i32.and(isOpen, isSwitch), i32.or(isQuiet, i64.eqz(wanted))), (status) =>
      i64.or(status, wanted),
    );
  }),
];
