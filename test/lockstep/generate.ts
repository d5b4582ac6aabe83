// From a seed to a program.
import { csrNamed } from "../../src/target/riscv/testing/assembler.ts";
import type { LockstepCpu } from "./cpu.ts";
import * as map from "./memory-map.ts";
import type { Block, Mode, Program } from "./program.ts";
import { Random } from "./random.ts";
import { randomItem, type BlockContext } from "./random-item.ts";
import { RandomInstructions, type RegisterUse } from "./random-instruction.ts";
import { TableMaker, type DataPlaces, type RandomWorld } from "./random-world.ts";

const BLOCKS = 64;
const WORLDS = 2;

/** Exceptions that supervisor mode may get: not those of fetches, which end a block, nor its own `ecall`. */
const DELEGABLE = 0xb3ffn & ~0x1203n;
const SUPERVISOR_INTERRUPTS = 0x222n;
const WATCHDOG = 0x80n;

const Status = {
  ...{ sie: 1n << 1n, mie: 1n << 3n, spie: 1n << 5n, mpie: 1n << 7n, spp: 1n << 8n, mprv: 1n << 17n, sum: 1n << 18n },
  ...{ mxr: 1n << 19n, tvm: 1n << 20n, tw: 1n << 21n, tsr: 1n << 22n },
} as const;
const MPP_SHIFT = 11n;
const FS_SHIFT = 13n;
const modeNumbers: Readonly<Record<Mode, bigint>> = { U: 0n, S: 1n, M: 3n };

/** Addresses where there is nothing, or nothing that loads and stores may reach. */
const wild = [0n, 0x800n, 0x9000_0000n, 1n << 39n, 1n << 56n, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_f800n];

export function generate(seed: bigint, cpu: LockstepCpu): Program {
  const random = new Random(seed);
  const instructions = new RandomInstructions(cpu, random);
  const tables = new TableMaker(cpu, random);
  const worlds = cpu.satpModes === 0 ? [] : Array.from({ length: WORLDS }, () => tables.world());
  const parts = { cpu, random, instructions, worlds };
  const blocks = Array.from({ length: BLOCKS }, (_, i) => randomBlock(parts, i === 0));
  return {
    cpu: cpu.text,
    fill: random.bits64(),
    worlds: worlds.map(({ world }) => world),
    tables: tables.words,
    blocks,
  };
}

interface Parts {
  readonly cpu: LockstepCpu;
  readonly random: Random;
  readonly instructions: RandomInstructions;
  readonly worlds: readonly RandomWorld[];
}

function randomBlock(parts: Parts, isFirst: boolean): Block {
  const { cpu, random, worlds } = parts;
  const mode: Mode = cpu.has("s")
    ? random.weighted([
        [3, "M"],
        [5, "S"],
        [4, "U"],
      ])
    : cpu.has("u")
      ? random.pick(["M", "U"])
      : "M";
  const isPaged = worlds.length > 0 && random.chance(mode === "M" ? 30 : 80);
  const number = isPaged ? random.below(worlds.length) : undefined;
  const world = number === undefined ? undefined : worlds[number]!;
  const status = randomStatus(random, mode);
  const lent = mode === "M" && (status & Status.mprv) !== 0n ? random.pick(["U", "M"] as const) : mode;
  const fs = (status >> FS_SHIFT) & 3n;
  const protection = random.chance(15) ? randomProtection(random) : unprotected;
  const use = {
    ...randomUse(random),
    isFloatClean: fs === 1n || fs === 2n,
    hasAmos: protection === unprotected,
    hasCacheBlocks: protection === unprotected && (status & Status.mprv) === 0n,
    reservation: random.pick([4, 8] as const),
    mayFall: cpu.has("s") && random.chance(70),
  };
  const repeats = random.weighted([
    [5, 1],
    [4, 2 + random.below(60)],
    [1, 100 + random.below(1500)],
  ]);
  const length = 4 + random.below(repeats === 1 ? 36 : 20);
  const interrupts = randomInterrupts(parts);
  const context: BlockContext = {
    ...parts,
    use,
    mode,
    world: world?.world,
    interrupts,
    satps: use.mayFall ? [] : satpsOf(mode, worlds),
  };
  return {
    mode,
    ...(number === undefined ? {} : { world: number }),
    phase: instructionsMayStartAnywhere(cpu) && random.chance(50) ? 2 : 0,
    mstatus: status,
    vectored: random.chance(20),
    csrs: [...randomCsrs(parts, world, interrupts), ...known(cpu, protection)],
    registers: randomRegisters(parts, { use, repeats, isFirst, places: placesOf(lent, world) }),
    items: Array.from({ length }, () => randomItem(context)),
    ...(repeats === 1 ? {} : { counter: use.counter! }),
  };
}

/** Only for machine mode: the others seldom survive another one, where their code is elsewhere. */
function satpsOf(mode: Mode, worlds: readonly RandomWorld[]): readonly bigint[] {
  return mode === "M" ? [0n, ...worlds.map(({ world }) => world.satp)] : [];
}

const instructionsMayStartAnywhere = (cpu: LockstepCpu): boolean => cpu.has("zca");

function randomStatus(random: Random, mode: Mode): bigint {
  const flag = (percent: number, bit: bigint): bigint => (random.chance(percent) ? bit : 0n);
  const fs = random.weighted([
    [14, 3n],
    [2, 2n],
    [2, 1n],
    [2, 0n],
  ]);
  return (
    (modeNumbers[mode] << MPP_SHIFT) |
    (fs << FS_SHIFT) |
    flag(50, Status.sie) |
    flag(50, Status.spie) |
    flag(50, Status.mpie) |
    flag(50, Status.spp) |
    flag(mode === "M" ? 25 : 0, Status.mprv) |
    flag(50, Status.sum) |
    flag(50, Status.mxr) |
    flag(10, Status.tvm) |
    flag(10, Status.tw) |
    flag(10, Status.tsr)
  );
}

function randomUse(random: Random): Pick<RegisterUse, "bases" | "aligned" | "block" | "counter"> {
  // One is the stack pointer, one is within reach of compressed instructions.
  const bases = [2, 8 + random.below(8), 16 + random.below(8), 24 + random.below(4)];
  const counter = random.pick([1, 3, 4, 28, 29, 30, 31]);
  return { bases, aligned: bases.slice(1, 3), block: bases[1]!, counter };
}

function placesOf(mode: Mode, world: RandomWorld | undefined): DataPlaces {
  if (mode === "M" || world === undefined) {
    return {
      backed: Array.from({ length: map.DATA_BYTES / 4096 }, (_, i) => BigInt(map.DATA + i * 4096)),
      unbacked: [],
    };
  }
  return mode === "S" ? world.supervisorData : world.userData;
}

/** What register `n` of the bases begins with. */
function randomAddress(random: Random, places: DataPlaces, n: number, use: RegisterUse): bigint {
  const isAligned = use.aligned.includes(n);
  if (random.chance(2) && !isAligned) return random.pick(wild);
  const some = random.chance(2) && !isAligned && places.unbacked.length > 0 ? places.unbacked : places.backed;
  const inPage = random.weighted([
    [12, 0x800],
    [3, 0x800 + random.below(64)],
    [2, 0xfc0 + random.below(128)],
    [1, 0],
  ]);
  const mask = n === use.block ? ~63n : isAligned ? ~15n : -1n;
  return BigInt.asUintN(64, (random.pick(some) + BigInt(inPage)) & mask);
}

interface RegisterParts {
  readonly use: RegisterUse;
  readonly repeats: number;
  readonly isFirst: boolean;
  readonly places: DataPlaces;
}

function randomRegisters({ cpu, random }: Parts, { use, repeats, isFirst, places }: RegisterParts): Block["registers"] {
  const kept = new Set([...use.bases, use.counter]);
  const isFree = (n: number): boolean => !kept.has(n);
  const some = Array.from({ length: isFirst ? 31 : 5 }, (_, i) => (isFirst ? i + 1 : 1 + random.below(31)));
  const floats = cpu.has("f")
    ? Array.from({ length: isFirst ? 32 : 6 }, (_, i) => (isFirst ? i : random.below(32)))
    : [];
  return [
    ...use.bases.map((n) => [n, randomAddress(random, places, n, use)] as const),
    ...(repeats === 1 ? [] : [[use.counter!, BigInt(repeats)] as const]),
    ...some.filter(isFree).map((n) => [n, random.integer()] as const),
    ...floats.map((n) => [32 + n, random.float()] as const),
  ];
}

/** Bits of mie that a block may set: one beside the watchdog's. */
function randomInterrupts({ random }: Parts): bigint {
  return WATCHDOG | random.pick([1n << 1n, 1n << 3n, 1n << 5n, 1n << 9n]);
}

/** What traps and translation depend on, before each block. */
function randomCsrs({ cpu, random }: Parts, world: RandomWorld | undefined, interrupts: bigint): Block["csrs"] {
  const traps = world?.world.supervisorTraps ?? BigInt(map.SUPERVISOR_TRAPS);
  const most = (): bigint => (random.chance(70) ? 0xffff_ffffn : random.bits64() & 0xffff_ffffn);
  const environment = (): bigint => legalEnvironment(random.chance(70) ? -1n : random.bits64());
  const menvcfg = environment();
  const flags = BigInt(random.below(32));
  const rounding = BigInt(
    random.weighted([
      [6, 0],
      [1, 1],
      [1, 2],
      [1, 3],
      [1, 4],
      [1, 5 + random.below(3)],
    ]),
  );
  const writes: [string, bigint][] = [
    ["medeleg", random.chance(30) ? 0n : random.bits64() & DELEGABLE],
    ["mideleg", random.bits64() & SUPERVISOR_INTERRUPTS],
    ["mie", (random.bits64() & interrupts) | WATCHDOG],
    ["stvec", traps | (random.chance(20) ? 1n : 0n)],
    ["stimecmp", NEVER],
    ["menvcfg", menvcfg],
    ["mip", random.chance(20) ? random.bits64() & SUPERVISOR_INTERRUPTS : 0n],
    ["senvcfg", environment()],
    ["mcounteren", most()],
    ["scounteren", most()],
    // Where it decides STIP; else the bit just written would change in QEMU.
    ...((menvcfg & STCE) !== 0n && random.chance(10) ? ([["stimecmp", 0n]] as [string, bigint][]) : []),
    ["fcsr", (rounding << 5n) | flags],
    ...["mstateen0", "mstateen1", "mstateen2", "mstateen3", "sstateen0"].map(
      (name) => [name, most()] as [string, bigint],
    ),
  ];
  return known(cpu, writes);
}

/** By number, those that the CPU has. */
function known(cpu: LockstepCpu, writes: readonly (readonly [string, bigint])[]): Block["csrs"] {
  return writes
    .filter(([name]) => cpu.csrs.has(csrNamed(name)))
    .map(([name, value]) => [csrNamed(name), value] as const);
}

const NEVER = 0xffff_ffff_ffff_ffffn;
const STCE = 1n << 63n;
const CBIE = 0x30n;

/** Without the reserved value of CBIE. */
function legalEnvironment(bits: bigint): bigint {
  return BigInt.asUintN(64, (bits & CBIE) === 0x20n ? bits & ~CBIE : bits);
}

/** The keeper's own entry only. */
const unprotected: readonly (readonly [string, bigint])[] = [["pmpcfg0", 0x18n]];

/** One or two entries of PMP over some of the data. */
function randomProtection(random: Random): typeof unprotected {
  const count = 1 + random.below(2);
  const config = (): bigint => BigInt(random.pick([1, 3, 4, 5, 7, 0]) | (random.below(4) << 3));
  const address = (): bigint => {
    const at = BigInt(map.DATA + random.below(map.DATA_BYTES)) >> 2n;
    const size = 2n << BigInt(random.below(13));
    return random.chance(50) ? (at & ~(size - 1n)) | (size / 2n - 1n) : at;
  };
  const entries = Array.from({ length: 8 }, (_, i) => (i > 0 && i <= count ? config() : 0n));
  const configs = entries.reduce((all, each, i) => all | (each << BigInt(i * 8)), 0x18n);
  return [
    ["pmpaddr1", address()],
    ["pmpaddr2", address()],
    ["pmpcfg0", configs],
  ];
}
