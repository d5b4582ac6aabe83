// table: the forms of CSR instructions by which a supervisor switches its interrupts (sstatus.SIE, privileged spec §10.1.1):
// kernels do it around every critical section. Special cases of `system.ts`, which do in generated code what needs nobody.
import { field, i32, i64, imm32, liveField, reg, wrap, extendU, type Code, type Expr } from "../../../accel/index.ts";
import { SSTATUS, sstatusHigh, sstatusWritable } from "../csr/status.ts";
import { pattern, type Instruction } from "../encoding.ts";
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

/** The instruction with these bits of it given: the number of sstatus, and what stands at rs1 where that is given. */
function onStatus(
  mnemonic: string,
  f3: number,
  source: { readonly zimm: number } | "rs1",
  semantics: (c: Code) => void,
): Instruction {
  const { match, mask } = pattern(0x73, f3);
  const isRegister = source === "rs1";
  return {
    name: `${mnemonic}.sie`,
    mnemonic,
    extensions: ["zicsr"],
    match: match | (SSTATUS << 20) | (isRegister ? 0 : source.zimm << 15),
    mask: mask | (0xfff << 20) | (isRegister ? 0 : 0x1f << 15),
    operands: { dst: "x", ...(isRegister && { src1: "x" }), imm: "raw" },
    assembly: `rd, csr, ${isRegister ? "rs1" : "zimm"}`,
    semantics,
  };
}

export const interruptSwitches: readonly Instruction[] = [
  onStatus("csrrci", 7, { zimm: Mstatus.sie }, (c) =>
    switches(c, isOpen, (status) => i64.and(status, i64.const(~Mstatus.sie))),
  ),
  onStatus("csrrsi", 6, { zimm: Mstatus.sie }, (c) =>
    switches(c, i32.and(isOpen, isQuiet), (status) => i64.or(status, sie)),
  ),
  // Restores what csrrci found; with x0 it only reads.
  onStatus("csrrs", 2, "rs1", (c) => {
    const wanted = reg("i64", "src1");
    const isSwitch = i64.eqz(i64.and(wanted, i64.const(~Mstatus.sie)));
    switches(c, i32.and(i32.and(isOpen, isSwitch), i32.or(isQuiet, i64.eqz(wanted))), (status) =>
      i64.or(status, wanted),
    );
  }),
];
