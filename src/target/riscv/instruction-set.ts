// The instruction table as one list, and what a CPU with given extensions has of it.
import { Code, imm32, type InstructionSemantics } from "../../accel/index.ts";
import type { CompressedForm, Instruction } from "./encoding.ts";
import { compressedForms } from "./instructions/compressed.ts";
import { interruptSwitches } from "./instructions/interrupt-switch.ts";
import { rv64a } from "./instructions/rv64a.ts";
import { rv64fd } from "./instructions/rv64fd.ts";
import { rv64i } from "./instructions/rv64i.ts";
import { rv64m } from "./instructions/rv64m.ts";
import { system } from "./instructions/system.ts";
import { zacas } from "./instructions/zacas.ts";
import { zawrs } from "./instructions/zawrs.ts";
import { zba } from "./instructions/zba.ts";
import { zbb } from "./instructions/zbb.ts";
import { zbc } from "./instructions/zbc.ts";
import { zbs } from "./instructions/zbs.ts";
import { zcb } from "./instructions/zcb.ts";
import { zfa } from "./instructions/zfa.ts";
import { zfh } from "./instructions/zfh.ts";
import { zicond } from "./instructions/zicond.ts";
import { zicbo } from "./instructions/zicbo.ts";
import { zcmop, zimop } from "./instructions/zimop.ts";
import { zk } from "./instructions/zk.ts";

/** Every 32-bit instruction; a special case of another comes before it. */
export const instructions: readonly Instruction[] = [
  ...[...rv64i, ...rv64m, ...rv64a, ...rv64fd, ...zfh, ...zfa, ...interruptSwitches, ...system],
  ...[...zba, ...zbb, ...zbc, ...zbs, ...zicond, ...zicbo, ...zimop, ...zawrs, ...zacas, ...zk],
];

/** Every 16-bit form; a special case of another comes before it. */
const forms: readonly CompressedForm[] = [...zcmop, ...zcb, ...compressedForms];

/** What stands in the place of a word that no instruction matches. */
export const illegal: Instruction = {
  name: "illegal",
  extensions: [],
  match: 0,
  mask: -1,
  operands: { imm: "raw" },
  assembly: "",
  semantics: (c) => c.helper("illegal", imm32),
};

/** What stands in the place of an instruction before which a debugger wants to stop. */
export const stop: Instruction = { ...illegal, name: "stop", semantics: (c) => c.helper("stop", imm32) };

/** What the IR of the instructions calls in TypeScript. */
export const helperNames: readonly string[] = [
  ...["ecall", "ebreak", "illegal", "stop", "csr", "sret", "mret", "wfi", "sfenceVma", "invalidationFence", "pause"],
  ...["fp", "fpOn", "fpDirty", "compareAndSwapPair", "cacheBlock"],
];

const compressible = new Set(forms.map((form) => form.expandsTo));

/** The IR of every instruction, for the lowerings: built once. */
export function instructionSemantics(): readonly InstructionSemantics[] {
  return [...instructions, illegal, stop].map((instruction) => {
    const code = new Code();
    instruction.semantics(code);
    return {
      name: instruction.name,
      lengths: instruction === illegal || compressible.has(instruction.name) ? [4, 2] : [4],
      code: code.statements,
    };
  });
}

/** `c+d` asks for both, a plain name for itself. */
function present(extension: string, has: (name: string) => boolean): boolean {
  return extension.split("+").every(has);
}

export function enabledInstructions(has: (name: string) => boolean): readonly Instruction[] {
  return instructions.filter((i) => i.extensions.some((e) => present(e, has)));
}

export function enabledForms(has: (name: string) => boolean): readonly CompressedForm[] {
  return forms.filter((f) => f.extensions.some((e) => present(e, has)));
}
