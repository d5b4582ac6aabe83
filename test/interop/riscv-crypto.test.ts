// Scalar cryptography against QEMU: the same operands in, the same results out.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { SeededRng } from "../../src/base/index.ts";
import { zk } from "../../src/target/riscv/instructions/zk.ts";
import { assemble, type Operand } from "../../src/target/riscv/testing/assemble.ts";
import { makeEvaluator } from "../../src/target/riscv/testing/evaluate.ts";
import { buildProgram, crossCompiler, preludeInC, runOnReference } from "../support/bare-metal.ts";
import { referenceQemu } from "../support/reference-qemu.ts";
import { has, inFolder } from "../support/tools.ts";

const reference = await referenceQemu();
const recordsAt = 0x8100_0000;
const perInstruction = 200;

interface Form {
  readonly name: string;
  readonly operand: Operand;
}

/** Each instruction once, and with each value of an immediate. */
const forms: readonly Form[] = zk.flatMap(({ name, operands }): Form[] => {
  const count = operands.imm === "rnum" ? 11 : operands.imm === "bs" ? 4 : 1;
  return Array.from({ length: count }, (_, imm) => ({
    name,
    operand: { ...(operands.src2 === undefined ? {} : { rs2: 12 }), ...(operands.imm === undefined ? {} : { imm }) },
  }));
});

const operationInC = ({ name, operand }: Form, number: number): string => {
  const word = assemble(name, { rd: 10, rs1: 11, ...operand }) >>> 0;
  return `static uint64_t op${number}(uint64_t one, uint64_t two) {
  register uint64_t a0 __asm__("a0"), a1 __asm__("a1") = one, a2 __asm__("a2") = two;
  __asm__ volatile(".4byte ${word}" : "=r"(a0) : "r"(a1), "r"(a2));
  return a0;
}`;
};

const program = `${preludeInC}
${forms.map(operationInC).join("\n")}
static uint64_t (*const operations[])(uint64_t, uint64_t) = { ${forms.map((_, i) => `op${i}`).join(", ")} };
int main(void) {
  uint64_t *in = (uint64_t *)${recordsAt};
  for (int i = 0; i < ${forms.length}; i++)
    for (int n = 0; n < ${perInstruction}; n++, in += 2) putDoubleWord(operations[i](in[0], in[1]));
}
`;

test.skipIf(!has(crossCompiler) || "missing" in reference)(
  `AES, SHA-2, SM3 and SM4 compute what QEMU computes ${"missing" in reference ? `(${reference.missing})` : reference.version}`,
  () => {
    if ("missing" in reference) return;
    const rng = new SeededRng(14n);
    const input = new BigUint64Array(forms.length * perInstruction * 2).map(() => rng.next64());
    const output = inFolder((folder) => {
      const elf = buildProgram(folder, { c: program });
      const records = join(folder, "records");
      writeFileSync(records, new Uint8Array(input.buffer));
      const options = ["-device", `loader,file=${records},addr=${recordsAt},force-raw=on`];
      return runOnReference(reference, { elf, cpu: "max", options, folder });
    });
    const { of } = makeEvaluator();
    const differences = forms.flatMap(({ name, operand }, i) =>
      Array.from({ length: perInstruction }, (_, n) => {
        const at = i * perInstruction + n;
        const ours = of(name, input[2 * at]!, input[2 * at + 1]!, operand);
        const theirs = output.readBigUInt64LE(8 * at);
        return ours === theirs ? [] : [`${name} ${operand.imm ?? ""}: ${ours.toString(16)} ${theirs.toString(16)}`];
      }).flat(),
    );
    expect(differences).toEqual([]);
  },
);
