// Where two runs of a program part: registers and traps of one block, side by side.
import { csrByNumber } from "../../src/target/riscv/csr/table.ts";
import { disassemble } from "../../src/target/riscv/disassembler.ts";
import type { LockstepCpu } from "./cpu.ts";
import { makeImage, worldOf, type Image } from "./image.ts";
import type { Keeper } from "./keeper.ts";
import * as map from "./memory-map.ts";
import type { Program } from "./program.ts";
import type { Runner } from "./runner.ts";
import { at, CSRS, Floats, X } from "./state-page.ts";

/** Registers of the page of state by their place. */
function places(cpu: LockstepCpu): (readonly [name: string, offset: number])[] {
  const row = (prefix: string, first: number): (readonly [string, number])[] =>
    Array.from({ length: 32 }, (_, i) => [`${prefix}${i}`, first + i * 8] as const);
  return [
    ...row("x", X).slice(1),
    ...(cpu.has("f") ? row("f", Floats) : []),
    ...cpu.blockCsrs.map((csr, i) => [csrByNumber[csr]!.name, CSRS + i * 8] as const),
    ["traps", at.trapHash],
    ["number of traps", at.trapCount],
  ];
}

const TRAPS_SHOWN = 4;
const WORDS_SHOWN = 20;
const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** What the block number `index` left, as the runners have it; their names are in the first line. */
export async function compareBlock(
  program: Program,
  index: number,
  { cpu, keeper, runners }: { cpu: LockstepCpu; keeper: Keeper; runners: readonly [Runner, Runner] },
): Promise<string> {
  const image = makeImage(program, cpu, keeper, index + 1);
  const views: DataView[] = [];
  for (const runner of runners) views.push(new DataView((await runner.run([image.bytes])).ram.buffer));
  const [a, b] = views as [DataView, DataView];
  const read = (view: DataView, address: number): bigint => view.getBigUint64(address - map.RAM_BASE, true);
  const names = `${runners[0].name}, ${runners[1].name}`;
  if (index === program.blocks.length) return [`memory and the rest: ${names}`, ...compareEnd(a, b, cpu)].join("\n");
  const lines = [`block ${index}: ${names}`];
  for (const [name, offset] of places(cpu)) {
    const [x, y] = [read(a, map.DUMP + offset), read(b, map.DUMP + offset)];
    if (x !== y) lines.push(`  ${name.padEnd(16)} ${hex(x)} ${hex(y)}`);
  }
  const [left, right] = [traps(a), traps(b)];
  const parting = Array.from({ length: Math.max(left.length, right.length) }).findIndex((_, i) => left[i] !== right[i]);
  const shared = parting < 0 ? left.length : parting;
  lines.push(`  ${shared} traps on both sides`);
  for (const trap of left.slice(Math.max(0, shared - TRAPS_SHOWN), shared)) lines.push(`  both trap      ${trap}`);
  if (parting >= 0) {
    for (const trap of left.slice(parting, parting + 2)) lines.push(`  first traps    ${trap}`);
    for (const trap of right.slice(parting, parting + 2)) lines.push(`  second traps   ${trap}`);
  }
  return [...lines, ...listing(program, index, image, cpu)].join("\n");
}

/** What the last digest is made of. */
function compareEnd(a: DataView, b: DataView, cpu: LockstepCpu): string[] {
  const read = (view: DataView, address: number): bigint => view.getBigUint64(address - map.RAM_BASE, true);
  const words = (first: number, lengthBytes: number): number[] =>
    Array.from({ length: lengthBytes / 8 }, (_, i) => first + i * 8);
  const csrsDiffer = cpu.finalCsrs
    .map((csr, i) => [csrByNumber[csr]!.name, map.FINAL_CSRS + i * 8] as const)
    .filter(([, address]) => read(a, address) !== read(b, address));
  const wordsDiffer = [...words(map.DATA, map.DATA_BYTES), ...words(map.TABLES, map.TABLES_BYTES)]
    .filter((address) => read(a, address) !== read(b, address))
    .map((address) => [hex(BigInt(address)), address] as const);
  return [...csrsDiffer, ...wordsDiffer]
    .slice(0, WORDS_SHOWN)
    .map(([name, address]) => `  ${name.padEnd(16)} ${hex(read(a, address))} ${hex(read(b, address))}`);
}

function traps(view: DataView): string[] {
  const read = (address: number): bigint => view.getBigUint64(address - map.RAM_BASE, true);
  const end = Number(read(map.STATE + at.logAt));
  const lines: string[] = [];
  for (let entry = map.TRAP_LOG; entry < end; entry += 32) {
    const [cause, pc, value, status] = [0, 8, 16, 24].map((offset) => hex(read(entry + offset)));
    lines.push(`cause ${cause} at ${pc}, value ${value}, status ${status}`);
  }
  return lines;
}

/** The block as assembly text, with what was set before it. */
export function listing(program: Program, index: number, image: Image, cpu: LockstepCpu): string[] {
  const block = program.blocks[index]!;
  const place = image.blocks[index]!;
  const world = worldOf(program, block);
  const seen = { U: world.userCode, S: world.supervisorCode, M: BigInt(map.CODE) }[block.mode];
  const view = new DataView(image.code.buffer, image.code.byteOffset);
  const lines = [
    `  ${block.mode}-mode, satp ${hex(world.satp)}, mstatus ${hex(block.mstatus)}`,
    `  ${block.csrs.map(([csr, value]) => `${csrByNumber[csr]?.name} ${hex(value)}`).join(", ")}`,
    `  ${block.registers
      .slice(0, 12)
      .map(([n, value]) => `${n < 32 ? `x${n}` : `f${n - 32}`} ${hex(value)}`)
      .join(", ")}`,
  ];
  for (let address = place.start; address <= place.end;) {
    const offset = address - map.CODE;
    const word = view.getUint16(offset, true) | (view.getUint16(offset + 2, true) << 16);
    const pc = BigInt.asUintN(64, seen + BigInt(offset));
    const { text, lengthBytes } = disassemble(cpu.decoder, word, pc);
    lines.push(`  ${hex(pc)}  ${(lengthBytes === 4 ? word >>> 0 : word & 0xffff).toString(16).padStart(8)}  ${text}`);
    address += lengthBytes;
  }
  return lines;
}
