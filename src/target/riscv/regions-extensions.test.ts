// Instructions of the extensions, in loops that are hot enough to be compiled: regions leave what the interpreter leaves.
import { describe, expect, test } from "vitest";
import { SeededRng } from "../../base/index.ts";
import type { Instruction } from "./encoding.ts";
import { F } from "./hart-core.ts";
import { zbb } from "./instructions/zbb.ts";
import { zbc } from "./instructions/zbc.ts";
import { zfa } from "./instructions/zfa.ts";
import { zicond } from "./instructions/zicond.ts";
import { zk } from "./instructions/zk.ts";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";

const [counter, rounds, length] = [5, 8000, 24];
const slice = 5000;

/** Registers 8 to 15 of both files are the program's. */
function randomWord(rng: SeededRng, { name, operands, mask }: Instruction): number {
  const register = (): number => 8 + rng.below(8);
  const isFree = (bits: number): boolean => (mask & bits) === 0;
  const imm = operands.imm === "rnum" ? rng.below(11) : operands.imm === "bs" ? rng.below(4) : rng.below(32);
  return a(name, {
    rd: register(),
    rs1: register(),
    ...(isFree(31 << 20) && operands.src2 !== undefined ? { rs2: register() } : {}),
    ...(operands.src3 === undefined ? {} : { rs3: register() }),
    ...(operands.imm === undefined ? {} : { imm }),
    ...(isFree(7 << 12) ? { rm: [0, 1, 3, 7][rng.below(4)]! } : {}),
  });
}

function run(tier: "jit" | "interpreter", words: readonly number[], seed: bigint): BareMachine {
  const machine = bareMachine({
    model: "max",
    ramBytes: 1 << 16,
    accelerator: { tier, cacheBytes: 16 << 20, hotJumps: 2048 },
  });
  const rng = new SeededRng(seed);
  const { hart } = machine;
  for (let n = 8; n < 16; n++) {
    hart.setX(n, rng.next64());
    hart.core.set(F.f + n, rng.next64() | [0n, 0xffff_ffffn << 32n, 0xffff_ffff_ffffn << 16n][rng.below(3)]!);
  }
  hart.writeCsr(0x300, 0x6000n);
  hart.writeCsr(0x3, BigInt(rng.below(5) << 5) | 1n);
  hart.setX(counter, BigInt(rounds));
  machine.load(ramBase, words);
  for (let left = words.length * rounds; left > 0; left -= slice) hart.run(slice);
  return machine;
}

describe.each([
  ["Zbb, Zbc, Zbkx, Zicond", [...zbb, ...zbc, ...zicond]],
  ["Zk", zk],
  // What always calls the slow path is not compiled.
  ["Zfa", zfa.filter(({ name }) => !name.endsWith(".h") && name !== "fcvtmod.w.d")],
])("%s", (_names, instructions) => {
  test.each([1n, 2n, 3n])("with seed %i", (seed) => {
    const rng = new SeededRng(seed);
    const body = Array.from({ length }, () => randomWord(rng, instructions[rng.below(instructions.length)]!));
    const loop = [
      a("addi", { rd: counter, rs1: counter, imm: -1 }),
      a("bne", { rs1: counter, rs2: 0, imm: -4 * (length + 1) }),
    ];
    const words = [...body, ...loop, a("jal", { rd: 0, imm: 0 })];
    const compiled = run("jit", words, seed);
    expect(compiled.hart.saveState()).toEqual(run("interpreter", words, seed).hart.saveState());
    expect(compiled.hart.readCsr(0x342)).toBe(0n);
    expect(compiled.hart.accelerator.figures.compiledRegions).toBeGreaterThan(0);
  });
});
