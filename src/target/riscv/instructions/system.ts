// table: Zicsr (unprivileged spec §6) and the privileged instructions (privileged spec §3.3, §10.2, §10.6).
import { i32, imm32 } from "../../../accel/index.ts";
import { exactly, pattern, type Instruction } from "../encoding.ts";

function csr(name: string, f3: number, source: string): Instruction {
  return {
    name,
    extensions: ["zicsr"],
    ...pattern(0x73, f3),
    operands: { imm: "raw" },
    assembly: `rd, csr, ${source}`,
    semantics: (c) => c.helper("csr", imm32),
  };
}

function privileged(name: string, word: number, helper: string): Instruction {
  return {
    name,
    extensions: ["s"],
    ...exactly(word),
    operands: {},
    assembly: "",
    semantics: (c) => c.helper(helper, i32.const(word)),
  };
}

function invalidation(name: string, extension: string, match: number): Instruction {
  return {
    name,
    extensions: [extension],
    match,
    mask: 0xfe007fff | 0,
    operands: { imm: "raw" },
    assembly: "rs1, rs2",
    semantics: (c) => c.helper("sfenceVma", imm32),
  };
}

export const system: readonly Instruction[] = [
  csr("csrrw", 1, "rs1"),
  csr("csrrs", 2, "rs1"),
  csr("csrrc", 3, "rs1"),
  csr("csrrwi", 5, "zimm"),
  csr("csrrsi", 6, "zimm"),
  csr("csrrci", 7, "zimm"),
  privileged("sret", 0x10200073, "sret"),
  { ...privileged("mret", 0x30200073, "mret"), extensions: ["i"] },
  { ...privileged("wfi", 0x10500073, "wfi"), extensions: ["i"] },
  invalidation("sfence.vma", "s", 0x12000073),
  // Svinval splits sfence.vma: the middle part does all of it, so that the fences around it have nothing left.
  invalidation("sinval.vma", "svinval", 0x16000073),
  { ...privileged("sfence.w.inval", 0x18000073, "invalidationFence"), extensions: ["svinval"] },
  { ...privileged("sfence.inval.ir", 0x18100073, "invalidationFence"), extensions: ["svinval"] },
];
