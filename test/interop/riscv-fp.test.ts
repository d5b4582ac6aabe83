// Floating-point instructions against QEMU's user-mode emulator: the same registers in, the same result and flags out.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { executeFp } from "../../src/target/riscv/fp/execute.ts";
import { binary32, binary64 } from "../../src/target/riscv/fp/float-format.ts";
import { fpOperation, fpOperationNames, type FpOperationName } from "../../src/target/riscv/fp/operations.ts";
import { Patterns } from "../../src/target/riscv/fp/testing/patterns.ts";
import { F, HartCore, Mstatus, W } from "../../src/target/riscv/hart-core.ts";
import { has, inFolder, run } from "../support/tools.ts";

const compiler = "riscv64-linux-gnu-gcc";
const emulator = "qemu-riscv64";
const able = has(compiler) && has(emulator);
const recordBytes = 32;

const kindOf = (name: FpOperationName): { toX: boolean; fromX: boolean; sources: number } => ({
  toX: /^(feq|flt|fle|fclass|fcvt\.(w|l)u?\.)/.test(name),
  fromX: /^fcvt\.[sd]\.[wl]/.test(name),
  sources: /^fn?m(add|sub)/.test(name) ? 3 : /^(fcvt|fsqrt|fclass)/.test(name) ? 1 : 2,
});

/** One function per operation: operands from f registers (or x10), the whole 64-bit result register, fflags. */
function operationInC(name: FpOperationName, number: number): string {
  const { toX, fromX, sources } = kindOf(name);
  const operands = fromX ? ["%2"] : ["ft0", "ft1", "ft2"].slice(0, sources);
  const rounding = /^fcvt\.(w|l)u?\./.test(name) ? ", dyn" : "";
  const result = toX ? "%0" : "fa0";
  return `static void op${number}(uint64_t *in, uint64_t *out) {
  uint64_t result, flags;
  __asm__ volatile("csrw fcsr, %5\\n fmv.d.x ft0, %2\\n fmv.d.x ft1, %3\\n fmv.d.x ft2, %4\\n"
    "${name} ${[result, ...operands].join(", ")}${rounding}\\n ${toX ? "" : "fmv.x.d %0, fa0\\n"} csrr %1, fflags"
    : "=&r"(result), "=&r"(flags) : "r"(in[1]), "r"(in[2]), "r"(in[3]), "r"((in[0] >> 32) << 5)
    : "ft0", "ft1", "ft2", "fa0");
  out[0] = result; out[1] = flags;
}`;
}

const program = `#include <stdint.h>
#include <stdio.h>
${fpOperationNames.map(operationInC).join("\n")}
static void (*const operations[])(uint64_t *, uint64_t *) = { ${fpOperationNames.map((_, i) => `op${i}`).join(", ")} };
int main(void) {
  uint64_t in[4], out[2];
  while (fread(in, sizeof in, 1, stdin) == 1) {
    operations[(uint32_t)in[0]](in, out);
    fwrite(out, sizeof out, 1, stdout);
  }
}
`;

interface Record {
  readonly name: FpOperationName;
  readonly frm: number;
  readonly values: readonly [bigint, bigint, bigint];
}

function records(): Record[] {
  const patterns = new Patterns(12n);
  return fpOperationNames.flatMap((name) =>
    [0, 1, 2, 3, 4].flatMap((frm) =>
      Array.from({ length: 120 }, () => {
        const type = name.endsWith(".s") ? binary32 : binary64;
        const a = patterns.any(type);
        const b = patterns.partner(type, a);
        const c = patterns.addend(type, a, b);
        const first = kindOf(name).fromX ? patterns.integer() : patterns.register(type, a);
        return { name, frm, values: [first, patterns.register(type, b), patterns.register(type, c)] as const };
      }),
    ),
  );
}

function underQemu(all: readonly Record[]): BigUint64Array {
  const input = new BigUint64Array((all.length * recordBytes) / 8);
  all.forEach(({ name, frm, values }, i) => {
    input.set([BigInt(fpOperation(name)) | (BigInt(frm) << 32n), ...values], i * 4);
  });
  return inFolder((folder) => {
    const path = join(folder, "fp");
    writeFileSync(`${path}.c`, program);
    run(compiler, ["-O1", "-static", "-o", path, `${path}.c`]);
    const output = run(emulator, [path], { input: new Uint8Array(input.buffer) });
    return new BigUint64Array(output.buffer.slice(output.byteOffset, output.byteOffset + output.length));
  });
}

/** The same in executeFp: result register and fflags. */
function here(core: HartCore, { name, frm, values }: Record): [bigint, bigint] {
  const [rd, rs1, rs2, rs3] = [10, 11, 12, 13] as const;
  core.setWord(W.mstatus, Mstatus.fs);
  core.setWord(W.fcsr, frm << 5);
  core.setWord(W.fpOp, fpOperation(name));
  [rs1, rs2, rs3].forEach((n, i) => core.set(F.f + n, values[i]!));
  core.setX(rs1, values[0]);
  expect(executeFp(core, (rd << 7) | (7 << 12) | (rs1 << 15) | (rs2 << 20) | (rs3 << 27))).toBe(true);
  return [kindOf(name).toX ? core.x(rd) : core.get(F.f + rd), BigInt(core.word(W.fcsr) & 31)];
}

test.skipIf(!able)(`every operation leaves what it leaves under ${emulator} (built by ${compiler})`, () => {
  const all = records();
  const theirs = underQemu(all);
  expect(theirs.length).toBe(all.length * 2);
  const core = new HartCore(0, new WebAssembly.Memory({ initial: 1 }), 0);
  const differences: string[] = [];
  all.forEach((record, i) => {
    const [result, flags] = here(core, record);
    if (result === theirs[2 * i] && flags === theirs[2 * i + 1]) return;
    const shown = [...record.values, result, theirs[2 * i]!].map((v) => v.toString(16)).join(" ");
    differences.push(`${record.name} frm ${record.frm}: ${shown} flags ${flags} ${theirs[2 * i + 1]}`);
  });
  expect(differences).toEqual([]);
});
