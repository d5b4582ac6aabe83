// From a program to the bytes that the keeper brings in.
import { assert } from "../../src/base/index.ts";
import type { CompressedForm } from "../../src/target/riscv/encoding.ts";
import { assemble } from "../../src/target/riscv/testing/assemble.ts";
import { Assembler, csrNamed, reg } from "../../src/target/riscv/testing/assembler.ts";
import type { LockstepCpu } from "./cpu.ts";
import { SUPERVISOR_RETURN, type Keeper } from "./keeper.ts";
import * as map from "./memory-map.ts";
import type { Block, Item, Program, Reference, World } from "./program.ts";
import { at, blockVariables, ENTRY_TABLE, Floats, MAX_BLOCKS, X, type Variable } from "./state-page.ts";

const BRANCH_BITS = 0xfe000f80 | 0;
const JUMP_BITS = 0xfffff000 | 0;
const C_NOP = 0x0001;

interface Segment {
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface Image {
  readonly bytes: Uint8Array;
  /** Physical address of each block's first slot, and of each of its items. */
  readonly blocks: readonly { readonly start: number; readonly items: readonly number[]; readonly end: number }[];
  /** The words at CODE, for disassembly. */
  readonly code: Uint8Array;
}

/** `dumpAfter`: after so many blocks the page of state is copied to `DUMP`. */
export function makeImage(program: Program, cpu: LockstepCpu, keeper: Keeper, dumpAfter = 0): Image {
  assert(program.blocks.length <= MAX_BLOCKS, "a program's blocks fit the table", program.blocks.length);
  const code = layCode(program, cpu);
  const entries = new Assembler(map.ENTRIES);
  const entryTable = program.blocks.map((block, i) => {
    const entry = entries.here;
    writeEntry(entries, { program, block, place: code.blocks[i]!, cpu, keeper });
    return entry;
  });
  const entryBytes = entries.finish();
  assert(entryBytes.length <= map.ENTRIES_BYTES, "preparations of blocks fit", entryBytes.length);
  const tables = tableSegment(program);
  const segments = [
    stateSegment(entryTable, dumpAfter, tables.bytes.length),
    { address: map.SUPERVISOR_TRAPS, bytes: supervisorTraps() },
    { address: map.CODE, bytes: code.bytes },
    { address: map.ENTRIES, bytes: entryBytes },
    tables,
  ].filter((segment) => segment.bytes.length > 0);
  return { bytes: pack(program.fill, segments), blocks: code.blocks, code: code.bytes };
}

function layCode(program: Program, cpu: LockstepCpu): { bytes: Uint8Array; blocks: Image["blocks"] } {
  const bytes = new Uint8Array(map.CODE_BYTES);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  const blocks = program.blocks.map((block) => {
    offset = ((offset + 3) & ~3) + block.phase;
    const start = offset;
    const starts: number[] = [];
    for (const { words } of block.items) {
      starts.push(offset);
      offset += words.length * 4;
    }
    const end = offset + (block.counter === undefined ? 0 : 8);
    assert(end + 4 <= map.CODE_BYTES, "random code fits its place", end);
    block.items.forEach((item, i) => {
      const next = starts[i + 1] ?? offset;
      const target = targetOf(block.items, i, starts) ?? (item.reference?.kind === "patch" ? next - 4 : offset);
      completed(item, target - starts[i]!, cpu).forEach((word, j) => view.setInt32(starts[i]! + j * 4, word, true));
    });
    if (block.counter !== undefined) {
      view.setInt32(offset, assemble("addi", { rd: block.counter, rs1: block.counter, imm: -1 }), true);
      const back = assemble("blt", { rs1: 0, rs2: block.counter, imm: start - offset - 4 });
      view.setInt32(offset + 4, back, true);
    }
    view.setInt32(end, assemble("ecall"), true);
    offset = end + 4;
    return { start: map.CODE + start, items: starts.map((each) => map.CODE + each), end: map.CODE + end };
  });
  return { bytes: bytes.subarray(0, (offset + 7) & ~7), blocks };
}

/** Where the item that a reference means starts; undefined when there is none. Only a lone instruction is patched. */
function targetOf(items: readonly Item[], index: number, starts: readonly number[]): number | undefined {
  const { reference } = items[index]!;
  if (reference === undefined) return starts[index];
  const target = items[index + 1 + reference.skip];
  const isAlone = target?.words.length === 1 && target.reference === undefined;
  return reference.kind === "patch" && !isAlone ? undefined : starts[index + 1 + reference.skip];
}

/** `distance`: from the item's start to what it refers to. */
function completed({ words, reference }: Item, distance: number, cpu: LockstepCpu): number[] {
  const out = [...words];
  if (reference === undefined) return out;
  out[reference.at] = complete(out[reference.at]!, reference, distance, cpu);
  return out;
}

function complete(word: number, reference: Reference, distance: number, cpu: LockstepCpu): number {
  const { at: index, kind } = reference;
  const fromWord = distance - index * 4;
  switch (kind) {
    case "b":
      return (word & ~BRANCH_BITS) | (assemble("beq", { imm: fromWord }) & BRANCH_BITS);
    case "j":
      return (word & ~JUMP_BITS) | (assemble("jal", { imm: fromWord }) & JUMP_BITS);
    case "c": {
      const form = cpu.forms.find((each) => each.name === reference.form);
      assert(form !== undefined, "a compressed branch is one of the CPU's forms", reference.form);
      return ((C_NOP << 16) | compressedBranch(form, word & 0xffff, fromWord)) >>> 0;
    }
    default:
      return (word & 0xfffff) | ((distance - (reference.less ?? 0)) << 20);
  }
}

/** The form with this offset; to the next slot where it does not reach so far. */
function compressedBranch(form: CompressedForm, half: number, distance: number): number {
  const base = half & form.mask;
  const zero = form.expand(base).imm ?? 0;
  const bits = Array.from({ length: 16 }, (_, i) => 1 << i)
    .filter((bit) => (form.mask & bit) === 0)
    .map((bit) => ({ bit, value: (form.expand(base | bit).imm ?? 0) - zero }))
    .filter(({ value }) => value > 0);
  const isOffset = bits.reduce((all, { bit }) => all | bit, 0);
  const limit = bits.reduce((sum, { value }) => sum + value, 0);
  const wanted = distance > limit ? 4 : distance;
  const registers = half & ~form.mask & ~isOffset & ~signBit(form, base, zero);
  return bits.reduce((all, { bit, value }) => ((wanted & value) !== 0 ? all | bit : all), base | registers);
}

function signBit(form: CompressedForm, base: number, zero: number): number {
  for (let bit = 1; bit < 0x10000; bit <<= 1) {
    if ((form.mask & bit) === 0 && (form.expand(base | bit).imm ?? 0) - zero < 0) return bit;
  }
  return 0;
}

const bare: World = {
  satp: 0n,
  userCode: BigInt(map.CODE),
  supervisorCode: BigInt(map.CODE),
  supervisorTraps: BigInt(map.SUPERVISOR_TRAPS),
};

export function worldOf(program: Program, block: Block): World {
  return block.world === undefined ? bare : program.worlds[block.world]!;
}

interface EntryParts {
  readonly program: Program;
  readonly block: Block;
  readonly place: Image["blocks"][number];
  readonly cpu: LockstepCpu;
  readonly keeper: Keeper;
}

function writeEntry(a: Assembler, { program, block, place, cpu, keeper }: EntryParts): void {
  const world = worldOf(program, block);
  const offset = BigInt(place.start - map.CODE);
  const seen = { U: world.userCode, S: world.supervisorCode, M: BigInt(map.CODE) }[block.mode];
  const variables: Partial<Record<Variable, bigint>> = {
    endOffset: BigInt(place.end - map.CODE),
    userCode: world.userCode,
    supervisorCode: world.supervisorCode,
    // No mode makes this `ecall`.
    virtualCode: 0n,
    machineCode: BigInt(map.CODE),
    phase: BigInt(block.phase),
    supervisorTraps: world.supervisorTraps,
    mepc: BigInt.asUintN(64, seen + offset),
    mstatus: block.mstatus,
  };
  const writes: (readonly [number, bigint])[] = [
    ...block.csrs,
    [csrNamed("mtvec"), BigInt(block.vectored ? keeper.vectoredTrap : keeper.trap)],
    [csrNamed("satp"), world.satp],
  ];
  for (const [csr, value] of writes) {
    if (!cpu.csrs.has(csr)) continue;
    a.li(reg.t1, value);
    a.writeCsr(csr, reg.t1);
  }
  if (cpu.has("s")) a.op("sfence.vma");
  const presets = block.registers.map(([n, value]) => [n < 32 ? X + n * 8 : Floats + (n - 32) * 8, value] as const);
  const words = [
    ...blockVariables.map((name) => variables[name]!),
    BigInt(presets.length),
    ...presets.flatMap(([place_, value]) => [BigInt(place_), value]),
  ];
  // Doublewords stand aligned, for the loads of the keeper.
  const label = a.fresh("descriptor");
  a.labelAddress(reg.a0, label);
  a.op("jal", { rd: 0, imm: keeper.enter - a.here });
  if (a.here % 8 !== 0) a.word(0);
  a.label(label);
  for (const value of words) a.word(Number(value & 0xffff_ffffn) | 0, Number((value >> 32n) & 0xffff_ffffn) | 0);
}

function stateSegment(entryTable: readonly number[], dumpAfter: number, tableBytes: number): Segment {
  const bytes = new Uint8Array(4096);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(at.dumpAfter, BigInt(dumpAfter), true);
  view.setBigUint64(at.tablesEnd, BigInt(map.TABLES + Math.max(8, tableBytes)), true);
  entryTable.forEach((address, i) => view.setBigUint64(ENTRY_TABLE + i * 8, BigInt(address), true));
  return { address: map.STATE, bytes };
}

/** Something for each slot of a vector: all go to machine mode. */
function supervisorTraps(): Uint8Array {
  const words = Array.from({ length: SUPERVISOR_RETURN / 4 }, () => assemble("ecall"));
  return new Uint8Array(Int32Array.from([...words, assemble("sret"), 0]).buffer);
}

function tableSegment(program: Program): Segment {
  const end = program.tables.reduce((last, [address]) => Math.max(last, address + 8), map.TABLES);
  assert(end <= map.TABLES + map.TABLES_BYTES, "page tables fit their place", end);
  const bytes = new Uint8Array((end - map.TABLES + 4095) & ~4095);
  const view = new DataView(bytes.buffer);
  for (const [address, value] of program.tables) view.setBigUint64(address - map.TABLES, value, true);
  return { address: map.TABLES, bytes };
}

function pack(fill: bigint, segments: readonly Segment[]): Uint8Array {
  const length = segments.reduce((sum, { bytes }) => sum + 16 + ((bytes.length + 7) & ~7), 16);
  const out = new Uint8Array(length);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, fill | 1n, true);
  view.setBigUint64(8, BigInt(segments.length), true);
  let offset = 16;
  for (const { address, bytes } of segments) {
    const padded = (bytes.length + 7) & ~7;
    view.setBigUint64(offset, BigInt(address), true);
    view.setBigUint64(offset + 8, BigInt(padded), true);
    out.set(bytes, offset + 16);
    offset += 16 + padded;
  }
  return out;
}
