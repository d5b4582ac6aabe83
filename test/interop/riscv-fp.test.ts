// Floating-point instructions against QEMU: the same registers in, the same result and flags out.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { executeFp } from "../../src/target/riscv/fp/execute.ts";
import { fpOperation, fpOperationNames, type FpOperationName } from "../../src/target/riscv/fp/operations.ts";
import { operandFormat, Patterns } from "../../src/target/riscv/fp/testing/patterns.ts";
import { F, HartCore, Mstatus, W } from "../../src/target/riscv/hart-core.ts";
import { instructions } from "../../src/target/riscv/instruction-set.ts";
import { assemble } from "../../src/target/riscv/testing/assemble.ts";
import { buildProgram, crossCompiler, preludeInC, runOnReference } from "../support/bare-metal.ts";
import { referenceQemu } from "../support/reference-qemu.ts";
import { has, inFolder, run } from "../support/tools.ts";

const emulator = "qemu-riscv64";
const reference = await referenceQemu();
const recordBytes = 32;

/** What QEMU 7.2 knows, and the assembler of its time. */
const olderNames = fpOperationNames.filter((name) => !/^f(minm|maxm|ltq|leq|round|cvtmod)|bf16/.test(name));

const kindOf = (name: FpOperationName): { toX: boolean; fromX: boolean; sources: number } => ({
  toX: /^(feq|flt|fle|fclass|fcvtmod|fcvt\.(w|l)u?\.)/.test(name),
  fromX: /^fcvt\.[hsd]\.[wl]/.test(name),
  sources: /^fn?m(add|sub)/.test(name) ? 3 : /^(fcvt|fsqrt|fclass|fround)/.test(name) ? 1 : 2,
});

type AsText = (name: FpOperationName) => string;

/** By its mnemonic: operands in f0 to f2 or a0, result in fa0 or a0. */
const byMnemonic: AsText = (name) => {
  const { toX, fromX, sources } = kindOf(name);
  const operands = fromX ? ["a0"] : ["ft0", "ft1", "ft2"].slice(0, sources);
  const rounding = /^fcvt\.(w|l)u?\./.test(name) ? ", dyn" : "";
  return `${name} ${[toX ? "a0" : "fa0", ...operands].join(", ")}${rounding}`;
};

/** By the encoding of our table, so that an assembler need not know it, and a wrong encoding shows. */
const byEncoding: AsText = (name) => {
  const { fromX, sources } = kindOf(name);
  const { mask } = instructions.find((i) => i.name === name)!;
  const word = assemble(name, {
    rd: 10,
    rs1: fromX ? 10 : 0,
    ...((mask & (31 << 20)) === 0 ? { rs2: 1 } : {}),
    ...(sources === 3 ? { rs3: 2 } : {}),
    ...((mask & (7 << 12)) === 0 ? { rm: 7 } : {}),
  });
  return `.4byte 0x${(word >>> 0).toString(16)}`;
};

/** One function per operation: operands from f registers (or a0), the whole 64-bit result register, fflags. */
function operationInC(text: string, name: FpOperationName, number: number): string {
  return `static void op${number}(uint64_t *in, uint64_t *out) {
  register uint64_t result __asm__("a0") = in[1];
  uint64_t flags;
  __asm__ volatile("csrw fcsr, %4\\n fmv.d.x ft0, %0\\n fmv.d.x ft1, %2\\n fmv.d.x ft2, %3\\n"
    "${text}\\n ${kindOf(name).toX ? "" : "fmv.x.d %0, fa0\\n"} csrr %1, fflags"
    : "+r"(result), "=&r"(flags) : "r"(in[2]), "r"(in[3]), "r"((in[0] >> 32) << 5)
    : "ft0", "ft1", "ft2", "fa0");
  out[0] = result; out[1] = flags;
}`;
}

const operationsInC = (names: readonly FpOperationName[], asText: AsText): string =>
  `${names.map((name, i) => operationInC(asText(name), name, i)).join("\n")}
static void (*const operations[])(uint64_t *, uint64_t *) = { ${names.map((_, i) => `op${i}`).join(", ")} };
`;

const userProgram = `#include <stdint.h>
#include <stdio.h>
${operationsInC(olderNames, byMnemonic)}
int main(void) {
  uint64_t in[4], out[2];
  while (fread(in, sizeof in, 1, stdin) == 1) {
    operations[(uint32_t)in[0]](in, out);
    fwrite(out, sizeof out, 1, stdout);
  }
}
`;

/** Where the bare program finds the records: their number, then they. */
const recordsAt = 0x8100_0000;
const bareProgram = `${preludeInC}
${operationsInC(fpOperationNames, byEncoding)}
int main(void) {
  uint64_t out[2], *in = (uint64_t *)${recordsAt}, count = *in++;
  for (; count > 0; count--, in += 4) {
    operations[(uint32_t)in[0]](in, out);
    putDoubleWord(out[0]);
    putByte(out[1]);
  }
}
`;

interface Record {
  readonly name: FpOperationName;
  readonly frm: number;
  readonly values: readonly [bigint, bigint, bigint];
}

function records(names: readonly FpOperationName[], seed: bigint): Record[] {
  const patterns = new Patterns(seed);
  return names.flatMap((name) =>
    [0, 1, 2, 3, 4].flatMap((frm) =>
      Array.from({ length: 120 }, () => {
        const type = operandFormat(name);
        const a = patterns.any(type);
        const b = patterns.partner(type, a);
        const c = patterns.addend(type, a, b);
        const first = kindOf(name).fromX ? patterns.integer() : patterns.register(type, a);
        return { name, frm, values: [first, patterns.register(type, b), patterns.register(type, c)] as const };
      }),
    ),
  );
}

function asInput(all: readonly Record[], names: readonly FpOperationName[]): Uint8Array {
  const input = new BigUint64Array((all.length * recordBytes) / 8);
  all.forEach(({ name, frm, values }, i) => {
    input.set([BigInt(names.indexOf(name)) | (BigInt(frm) << 32n), ...values], i * 4);
  });
  return new Uint8Array(input.buffer);
}

type Answer = readonly [result: bigint, flags: bigint];

/** Before QEMU 8.1 properties of extensions were capitalised. */
function accepts(cpu: string, program: string): boolean {
  try {
    run(emulator, ["-cpu", cpu, program], { input: new Uint8Array() });
    return true;
  } catch {
    return false;
  }
}

function underUserMode(all: readonly Record[]): Answer[] {
  return inFolder((folder) => {
    const path = join(folder, "fp");
    writeFileSync(`${path}.c`, userProgram);
    run(crossCompiler, ["-O1", "-march=rv64gc_zfh", "-static", "-o", path, `${path}.c`]);
    const cpu = ["rv64,zfh=true", "rv64,Zfh=true"].find((each) => accepts(each, path))!;
    const output = run(emulator, ["-cpu", cpu, path], { input: asInput(all, olderNames) });
    return all.map((_, i) => [output.readBigUInt64LE(16 * i), output.readBigUInt64LE(16 * i + 8)]);
  });
}

function underReference(all: readonly Record[]): Answer[] {
  if ("missing" in reference) throw new Error(reference.missing);
  return inFolder((folder) => {
    const elf = buildProgram(folder, { c: bareProgram });
    const input = join(folder, "records");
    const count = new BigUint64Array([BigInt(all.length)]);
    writeFileSync(input, Buffer.concat([new Uint8Array(count.buffer), asInput(all, fpOperationNames)]));
    const options = ["-device", `loader,file=${input},addr=${recordsAt},force-raw=on`];
    const output = runOnReference(reference, { elf, cpu: "max", options, folder });
    return all.map((_, i) => [output.readBigUInt64LE(9 * i), BigInt(output[9 * i + 8]!)]);
  });
}

/** The same in executeFp: result register and fflags. */
function here(core: HartCore, { name, frm, values }: Record): Answer {
  const [rd, rs1, rs2, rs3] = [10, 11, 12, 13] as const;
  const rounding = name === "fcvtmod.w.d" ? 1 : 7;
  core.setWord(W.mstatus, Mstatus.fs);
  core.setWord(W.fcsr, frm << 5);
  core.setWord(W.fpOp, fpOperation(name));
  [rs1, rs2, rs3].forEach((n, i) => core.set(F.f + n, values[i]!));
  core.setX(rs1, values[0]);
  const word = (rd << 7) | (rounding << 12) | (rs1 << 15) | (rs2 << 20) | (rs3 << 27);
  expect(executeFp(core, word)).toBe(true);
  return [kindOf(name).toX ? core.x(rd) : core.get(F.f + rd), BigInt(core.word(W.fcsr) & 31)];
}

/**
 * Where QEMU is not what the specification says: a BF16 operand that is not boxed is BF16's canonical NaN (unprivileged spec,
 * Zfbfmin), and QEMU 10 takes the bits of half precision's.
 */
const isException = ({ name, values }: Record): boolean => name === "fcvt.s.bf16" && values[0] < 0xffff_ffff_ffff_0000n;

function differences(all: readonly Record[], theirs: readonly Answer[]): string[] {
  const core = new HartCore(0, new WebAssembly.Memory({ initial: 1 }), 0);
  return all.flatMap((record, i) => {
    const [result, flags] = here(core, record);
    const [theirResult, theirFlags] = theirs[i]!;
    if ((result === theirResult && flags === theirFlags) || isException(record)) return [];
    const shown = [...record.values, result, theirResult].map((v) => v.toString(16)).join(" ");
    return [`${record.name} frm ${record.frm}: ${shown} flags ${flags} ${theirFlags}`];
  });
}

test.skipIf(!has(crossCompiler) || !has(emulator))(
  `F, D and Zfh leave what they leave under ${emulator} (built by ${crossCompiler})`,
  () => {
    const all = records(olderNames, 12n);
    expect(differences(all, underUserMode(all))).toEqual([]);
  },
);

test.skipIf(!has(crossCompiler) || "missing" in reference)(
  `every operation, Zfa and Zfbfmin too, leaves what it leaves under QEMU ${"missing" in reference ? `(${reference.missing})` : reference.version}`,
  () => {
    const all = records(fpOperationNames, 13n);
    expect(differences(all, underReference(all))).toEqual([]);
  },
);
