// Programs that are hot enough to be compiled, run with regions and without: state, memory and counts are the same.
import { describe, expect, test } from "vitest";
import type { AcceleratorFigures } from "../../accel/index.ts";
import { assemble as a } from "./testing/assemble.ts";
import { bareMachine, ramBase, type BareMachine } from "./testing/bare-machine.ts";
import { enterPaged, mapPage, pte, Pte, tables } from "./testing/paging.ts";

const ramBytes = 1 << 16;
const mscratch = 0x340;
const [ra, sp, t0, t1, t2, a0, a1, a2, a3] = [1, 2, 5, 6, 7, 10, 11, 12, 13];

interface Ran {
  readonly machine: BareMachine;
  readonly state: unknown;
  readonly ram: Uint8Array;
}

/** Runs with uneven budgets, so that runs end everywhere. */
function run(tier: "jit" | "interpreter", words: readonly number[], budget: number): Ran {
  const machine = bareMachine({ ramBytes, accelerator: { tier, cacheBytes: 16 << 20, hotJumps: 2048 } });
  machine.load(ramBase, words);
  for (let left = budget, i = 0; left > 0; i++) {
    const slice = Math.min(left, 100 + ((i * 7919) % 5000));
    expect(machine.hart.run(slice)).toBe("budget");
    left -= slice;
  }
  const ram = new Uint8Array(ramBytes);
  machine.space.read(ramBase, ram);
  return { machine, state: machine.hart.saveState(), ram };
}

/** Both tiers agree; answers what was compiled. */
function agree(words: readonly number[], budget = 200_000): AcceleratorFigures {
  const interpreted = run("interpreter", words, budget);
  const compiled = run("jit", words, budget);
  expect(compiled.state).toEqual(interpreted.state);
  expect(compiled.ram).toEqual(interpreted.ram);
  return compiled.machine.hart.accelerator.figures;
}

/** x = base of RAM + offset: two words. */
const address = (rd: number, offset: number, at: number): number[] => [
  a("auipc", { rd, imm: 0 }),
  a("addi", { rd, rs1: rd, imm: offset - at }),
];

describe("regions", () => {
  test("every instruction can stand in one", () => {
    const machine = bareMachine({ accelerator: { tier: "jit", cacheBytes: 16 << 20, hotJumps: 2048 } });
    expect(machine.hart.accelerator.lowerAll()).toBeGreaterThan(300);
  });

  test("a loop that begins with an instruction of the interpreter's is compiled once", () => {
    const body = Array.from({ length: 8 }, () => a("addi", { rd: t0!, rs1: t0!, imm: 1 }));
    const words = [
      a("csrrw", { rd: t1!, rs1: t1!, csr: mscratch }),
      ...body,
      a("jal", { imm: -4 * (body.length + 1) }),
    ];
    expect(agree(words, 600_000).compiledRegions).toBe(1);
  });

  test("loops with loads and stores of every width", () => {
    const { compiledRegions } = agree([
      ...address(a0!, 0x700, 0),
      a("addi", { rd: t0!, imm: 200 }),
      a("sd", { rs1: a0!, rs2: t1!, imm: 8 }),
      a("lw", { rd: t1!, rs1: a0!, imm: 9 }),
      a("lbu", { rd: t2!, rs1: a0!, imm: 8 }),
      a("sh", { rs1: a0!, rs2: t2!, imm: 2 }),
      a("sw", { rs1: a0!, rs2: t1!, imm: 4 }),
      a("sb", { rs1: a0!, rs2: t0!, imm: 1 }),
      a("mulh", { rd: a1!, rs1: t1!, rs2: t2! }),
      a("add", { rd: t1!, rs1: t1!, rs2: a1! }),
      a("addi", { rd: t1!, rs1: t1!, imm: 77 }),
      a("addi", { rd: t0!, rs1: t0!, imm: -1 }),
      a("bne", { rs1: t0!, rs2: 0, imm: -40 }),
      a("jal", { rd: 0, imm: -48 }),
    ]);
    expect(compiledRegions).toBeGreaterThan(0);
  });

  test("recursion: calls and returns", () => {
    // f(n) = n < 2 ? n : f(n - 1) + f(n - 2), over and over
    const { dropped } = agree([
      ...address(sp!, 0x7f0, 0),
      a("addi", { rd: a0!, imm: 12 }),
      a("jal", { rd: ra!, imm: 8 }),
      a("jal", { rd: 0, imm: -8 }),
      a("slti", { rd: t0!, rs1: a0!, imm: 2 }),
      a("beq", { rs1: t0!, rs2: 0, imm: 8 }),
      a("jalr", { rd: 0, rs1: ra!, imm: 0 }),
      a("addi", { rd: sp!, rs1: sp!, imm: -24 }),
      a("sd", { rs1: sp!, rs2: ra!, imm: 0 }),
      a("sd", { rs1: sp!, rs2: a0!, imm: 8 }),
      a("addi", { rd: a0!, rs1: a0!, imm: -1 }),
      a("jal", { rd: ra!, imm: -28 }),
      a("sd", { rs1: sp!, rs2: a0!, imm: 16 }),
      a("ld", { rd: a0!, rs1: sp!, imm: 8 }),
      a("addi", { rd: a0!, rs1: a0!, imm: -2 }),
      a("jal", { rd: ra!, imm: -44 }),
      a("ld", { rd: t1!, rs1: sp!, imm: 16 }),
      a("add", { rd: a0!, rs1: a0!, rs2: t1! }),
      a("ld", { rd: ra!, rs1: sp!, imm: 0 }),
      a("addi", { rd: sp!, rs1: sp!, imm: 24 }),
      a("jalr", { rd: 0, rs1: ra!, imm: 0 }),
    ]);
    expect(dropped).toBe(0);
  });

  test("a loop that is entered in its middle, and jumps through a table", () => {
    const { compiledRegions } = agree([
      ...address(a1!, 28, 0),
      a("andi", { rd: t1!, rs1: t0!, imm: 12 }),
      a("add", { rd: t1!, rs1: t1!, rs2: a1! }),
      a("addi", { rd: t0!, rs1: t0!, imm: 4 }),
      a("jalr", { rd: 0, rs1: t1!, imm: 0 }),
      a("addi", { rd: a3!, rs1: a3!, imm: 100 }),
      // the table's four targets, which run into each other
      a("addi", { rd: a2!, rs1: a2!, imm: 1 }),
      a("addi", { rd: a2!, rs1: a2!, imm: 3 }),
      a("xori", { rd: a2!, rs1: a2!, imm: 0x55 }),
      a("addi", { rd: a2!, rs1: a2!, imm: 7 }),
      a("blt", { rs1: a2!, rs2: a3!, imm: -8 }),
      a("addi", { rd: a3!, rs1: a3!, imm: 1 }),
      a("bltu", { rs1: a3!, rs2: a2!, imm: -24 }),
      a("jal", { rd: 0, imm: -44 }),
    ]);
    expect(compiledRegions).toBeGreaterThan(0);
  });

  test("code that rewrites itself while it is hot", () => {
    // Each round increments the immediate of an instruction further on: addi a0, a0, n.
    const { dropped } = agree(
      [
        ...address(a1!, 0, 0),
        a("lui", { rd: t0!, imm: 0x1000 }),
        a("addi", { rd: a2!, rs1: a2!, imm: 1 }),
        a("addi", { rd: t0!, rs1: t0!, imm: -1 }),
        a("bne", { rs1: t0!, rs2: 0, imm: -8 }),
        a("lhu", { rd: t1!, rs1: a1!, imm: 50 }),
        a("addi", { rd: t1!, rs1: t1!, imm: 16 }),
        a("sh", { rs1: a1!, rs2: t1!, imm: 50 }),
        a("lui", { rd: t0!, imm: 0x1000 }),
        a("addi", { rd: t0!, rs1: t0!, imm: -1 }),
        a("addi", { rd: a3!, rs1: a3!, imm: 5 }),
        a("addi", { rd: a0!, rs1: a0!, imm: 1 }),
        a("bne", { rs1: t0!, rs2: 0, imm: -12 }),
        a("jal", { rd: 0, imm: -48 }),
      ],
      1_500_000,
    );
    expect(dropped).toBeGreaterThan(10);
  });

  test("a loop that rewrites the instruction behind its store", () => {
    const { compiledRegions } = agree([
      ...address(a1!, 0, 0),
      a("lw", { rd: t1!, rs1: a1!, imm: 44 }),
      a("addi", { rd: a3!, rs1: a3!, imm: 1 }),
      a("andi", { rd: t2!, rs1: a3!, imm: 2047 }),
      a("bne", { rs1: t2!, rs2: 0, imm: 12 }),
      a("sw", { rs1: a1!, rs2: t1!, imm: 28 }),
      a("addi", { rd: a2!, rs1: a2!, imm: 1 }),
      a("addi", { rd: a2!, rs1: a2!, imm: 2 }),
      a("xor", { rd: a0!, rs1: a0!, rs2: a2! }),
      a("jal", { rd: 0, imm: -28 }),
      a("addi", { rd: a2!, rs1: a2!, imm: 1000 }),
    ]);
    expect(compiledRegions).toBeGreaterThan(0);
  });

  test("instructions are counted exactly, and traps are precise", () => {
    const { compiledRegions } = agree([
      // the handler skips the instruction: mepc += 4
      ...address(t0!, 64, 0),
      a("csrrw", { csr: 0x305, rs1: t0! }),
      ...address(a0!, 0x700, 12),
      a("addi", { rd: a1!, rs1: a1!, imm: 1 }),
      a("andi", { rd: t1!, rs1: a1!, imm: 63 }),
      a("sub", { rd: t1!, rs1: t1!, rs2: a2! }),
      a("add", { rd: t2!, rs1: a0!, rs2: a1! }),
      a("lw", { rd: a3!, rs1: t1!, imm: 0 }),
      a("amoadd.w", { rd: a3!, rs1: t2!, rs2: a1! }),
      a("csrrs", { rd: 14, csr: 0xb02, rs1: 0 }),
      a("xor", { rd: 15, rs1: 15, rs2: 14 }),
      a("andi", { rd: a1!, rs1: a1!, imm: 255 }),
      a("jal", { rd: 0, imm: -36 }),
      a("addi", { rd: 0, rs1: 0, imm: 0 }),
      a("csrrs", { rd: 16, csr: 0x341, rs1: 0 }),
      a("addi", { rd: 16, rs1: 16, imm: 4 }),
      a("csrrw", { csr: 0x341, rs1: 16 }),
      a("csrrs", { rd: 17, csr: 0x343, rs1: 0 }),
      a("add", { rd: 18, rs1: 18, rs2: 17 }),
      a("mret"),
    ]);
    expect(compiledRegions).toBeGreaterThan(0);
  });

  test("floating point with flags, rounding modes and NaN", () => {
    const { compiledRegions } = agree([
      a("lui", { rd: t0!, imm: 0x6000 }),
      a("csrrs", { csr: 0x300, rs1: t0! }),
      a("addi", { rd: t1!, rs1: t1!, imm: 3 }),
      a("fcvt.d.l", { rd: 1, rs1: t1!, rm: 7 }),
      a("fdiv.d", { rd: 2, rs1: 1, rs2: 3, rm: 7 }),
      a("fmadd.d", { rd: 4, rs1: 2, rs2: 1, rs3: 4, rm: 0 }),
      a("fsqrt.d", { rd: 5, rs1: 4, rm: 7 }),
      a("fcvt.s.d", { rd: 6, rs1: 5, rm: 7 }),
      a("fmul.s", { rd: 7, rs1: 6, rs2: 6, rm: 1 }),
      a("fadd.d", { rd: 3, rs1: 3, rs2: 1, rm: 7 }),
      a("fcvt.l.d", { rd: a0!, rs1: 5, rm: 1 }),
      a("feq.d", { rd: a1!, rs1: 5, rs2: 5 }),
      a("csrrs", { rd: a2!, csr: 0x003, rs1: 0 }),
      a("add", { rd: a3!, rs1: a3!, rs2: a2! }),
      a("csrrwi", { csr: 0x001, rs1: 0 }),
      a("jal", { rd: 0, imm: -52 }),
    ]);
    expect(compiledRegions).toBeGreaterThan(0);
  });

  test("an instruction that lies in two pages, and is rewritten in the second one", () => {
    // c.nop puts the loop's addi a0, a0, 1 at 0xffe; later its upper half is counted up.
    const nop = 0x0001;
    const wide = [
      a("addi", { rd: a0!, rs1: a0!, imm: 1 }),
      a("addi", { rd: t0!, rs1: t0!, imm: -1 }),
      a("bne", { rs1: t0!, rs2: 0, imm: -8 }),
      a("lhu", { rd: t1!, rs1: a1!, imm: 0 }),
      a("addi", { rd: t1!, rs1: t1!, imm: 16 }),
      a("sh", { rs1: a1!, rs2: t1!, imm: 0 }),
      a("lui", { rd: t0!, imm: 0x1000 }),
      a("jal", { rd: 0, imm: -28 }),
    ];
    const halves = [nop, ...wide.flatMap((word) => [word & 0xffff, word >>> 16])];
    const words = Array.from({ length: 0x1000 / 4 + 10 }, () => 0);
    words[0] = a("auipc", { rd: a1!, imm: 0x1000 });
    words[1] = a("lui", { rd: t0!, imm: 0x1000 });
    words[2] = a("jal", { rd: 0, imm: 0xffc - 8 });
    halves.forEach((half, i) => {
      const at = 0xffc + i * 2;
      words[at >> 2]! |= half << ((at & 2) * 8);
    });
    const { dropped, regionInstructions } = agree(words, 600_000);
    expect(dropped).toBeGreaterThan(5);
    expect(regionInstructions).toBeGreaterThan(1000);
  });

  test("code that a device writes is the new code in the next run", () => {
    const machine = bareMachine({ ramBytes, accelerator: { tier: "jit", cacheBytes: 16 << 20, hotJumps: 2048 } });
    machine.load(ramBase, [a("addi", { rd: a0!, rs1: a0!, imm: 1 }), a("jal", { rd: 0, imm: -4 })]);
    for (let i = 0; i < 20; i++) machine.hart.run(5000);
    expect(machine.hart.accelerator.figures.regions).toBe(1);
    expect(machine.hart.x(a0!)).toBe(50_000n);
    machine.load(ramBase, [a("addi", { rd: a0!, rs1: a0!, imm: 2 })]);
    expect(machine.hart.accelerator.figures.regions).toBe(0);
    machine.hart.run(100_000);
    expect(machine.hart.x(a0!)).toBe(150_000n);
  });

  test("a budget of any size is as exact", () => {
    const machine = bareMachine({ ramBytes, accelerator: { tier: "jit", cacheBytes: 16 << 20, hotJumps: 2048 } });
    machine.load(ramBase, [
      a("lui", { rd: t0!, imm: 50_000 << 12 }),
      a("srli", { rd: t0!, rs1: t0!, imm: 12 }),
      a("addi", { rd: t0!, rs1: t0!, imm: -1 }),
      a("bne", { rs1: t0!, rs2: 0, imm: -4 }),
      a("pause"),
    ]);
    for (let i = 0; i < 20; i++) machine.hart.run(1000);
    expect(machine.hart.run(2 ** 31 - 1)).toBe("yield");
    expect(machine.hart.executed).toBe(2 + 2 * 50_000 + 1);
    expect(machine.hart.accelerator.figures.regionInstructions).toBeGreaterThan(50_000);
  });

  test("the tier can change between runs", () => {
    const words = [
      ...address(a0!, 0x700, 0),
      a("ld", { rd: t0!, rs1: a0!, imm: 0 }),
      a("addi", { rd: t0!, rs1: t0!, imm: 1 }),
      a("sd", { rs1: a0!, rs2: t0!, imm: 0 }),
      a("jal", { rd: 0, imm: -12 }),
    ];
    const switched = bareMachine({
      ramBytes,
      accelerator: { tier: "interpreter", cacheBytes: 16 << 20, hotJumps: 2048 },
    });
    switched.load(ramBase, words);
    const { hart } = switched;
    const { accelerator } = hart;
    hart.run(50_000);
    expect(accelerator.figures.compiledRegions).toBe(0);
    accelerator.tier = "jit";
    for (let i = 0; i < 20; i++) hart.run(2500);
    expect(accelerator.figures).toMatchObject({ tier: "jit", regions: 1 });
    expect(accelerator.figures.regionInstructions).toBeGreaterThan(1000);
    accelerator.tier = "interpreter";
    expect(accelerator.figures).toMatchObject({ tier: "interpreter", regions: 0 });
    hart.run(50_000);
    expect(hart.saveState()).toEqual(run("interpreter", words, 150_000).state);
  });

  test("load-reserved and store-conditional in a loop", () => {
    const { compiledRegions } = agree([
      ...address(a0!, 0x700, 0),
      a("lr.d", { rd: t0!, rs1: a0! }),
      a("addi", { rd: t0!, rs1: t0!, imm: 1 }),
      a("sc.d", { rd: t1!, rs1: a0!, rs2: t0! }),
      a("bne", { rs1: t1!, rs2: 0, imm: -12 }),
      a("sc.w", { rd: t2!, rs1: a0!, rs2: 0 }),
      a("add", { rd: a1!, rs1: a1!, rs2: t2! }),
      a("amoadd.d", { rd: a2!, rs1: a0!, rs2: t0! }),
      a("jal", { rd: 0, imm: -28 }),
    ]);
    expect(compiledRegions).toBeGreaterThan(0);
  });
});

const code = 0x4000_0000n;
const pageOf = { code: ramBase + 0x4000, first: ramBase + 0x5000, second: ramBase + 0x6000 };
const executable = Pte.V | Pte.R | Pte.X | Pte.A;
const leafTable = tables + 0x2000;
const leafOf = (va: bigint): number => leafTable + Number((va >> 12n) & 511n) * 8;

/** Both tiers agree on a program in S-mode whose code page is at `code`. */
function agreePaged(prepare: (m: BareMachine) => void): AcceleratorFigures {
  const [compiled, interpreted] = (["jit", "interpreter"] as const).map((tier) => {
    const machine = bareMachine({ ramBytes: 1 << 18, accelerator: { tier, cacheBytes: 16 << 20, hotJumps: 2048 } });
    mapPage(machine, code, pageOf.code, executable);
    prepare(machine);
    enterPaged(machine, code);
    for (let i = 0; i < 80; i++) machine.hart.run(1000 + ((i * 7919) % 5000));
    return machine;
  });
  expect(compiled!.hart.saveState()).toEqual(interpreted!.hart.saveState());
  expect(compiled!.hart.mode).toBe("S");
  return compiled!.hart.accelerator.figures;
}

describe("regions under paging", () => {
  test("code that runs at two addresses in turn knows at which", () => {
    const { regionInstructions } = agreePaged((m) => {
      m.write64(leafOf(code + 0x3000n), pte(pageOf.code, executable));
      m.hart.setX(t1!, 0x3000n);
      m.load(pageOf.code, [
        a("auipc", { rd: a0!, imm: 0 }),
        a("add", { rd: a1!, rs1: a1!, rs2: a0! }),
        a("addi", { rd: a2!, rs1: a2!, imm: 1 }),
        a("andi", { rd: t0!, rs1: a2!, imm: 15 }),
        a("bne", { rs1: t0!, rs2: 0, imm: -16 }),
        a("xor", { rd: t2!, rs1: a0!, rs2: t1! }),
        a("jalr", { rd: 0, rs1: t2!, imm: 0 }),
      ]);
    });
    expect(regionInstructions).toBeGreaterThan(50_000);
  });

  test("a function whose page is exchanged under the loop that calls it", () => {
    const other = code + 0x1000n;
    const writable = Pte.V | Pte.R | Pte.W | Pte.A | Pte.D;
    const { regionInstructions } = agreePaged((m) => {
      const [at, s1, s2, va] = [8, 9, 18, 19];
      m.write64(leafOf(other), pte(pageOf.first, executable));
      m.write64(leafOf(code + 0x2000n), pte(leafTable, writable));
      m.hart.setX(at!, code + 0x2000n + 8n);
      m.hart.setX(s1!, pte(pageOf.first, executable));
      m.hart.setX(s2!, pte(pageOf.second, executable));
      m.hart.setX(va!, other);
      m.load(pageOf.first, [a("addi", { rd: a0!, rs1: a0!, imm: 1 }), a("jalr", { rd: 0, rs1: ra! })]);
      m.load(pageOf.second, [a("addi", { rd: a0!, rs1: a0!, imm: 3 }), a("jalr", { rd: 0, rs1: ra! })]);
      m.load(pageOf.code, [
        a("jal", { rd: ra!, imm: 0x1000 }),
        a("addi", { rd: a2!, rs1: a2!, imm: 1 }),
        a("andi", { rd: t0!, rs1: a2!, imm: 255 }),
        a("bne", { rs1: t0!, rs2: 0, imm: -12 }),
        a("addi", { rd: t1!, rs1: s1!, imm: 0 }),
        a("addi", { rd: s1!, rs1: s2!, imm: 0 }),
        a("addi", { rd: s2!, rs1: t1!, imm: 0 }),
        a("sd", { rs1: at!, rs2: s1!, imm: 0 }),
        a("sfence.vma", { rs1: va! }),
        a("jal", { rd: 0, imm: -36 }),
      ]);
    });
    expect(regionInstructions).toBeGreaterThan(50_000);
  });
});
