import { describe, expect, test } from "vitest";
import { viewOf } from "../base/index.ts";
import { ElfMachine, parseElf } from "./elf.ts";
import { expectOnlyFormatErrors } from "../../test/support/mutations.ts";

interface SmallElf {
  class?: number;
  data?: number;
  machine?: number;
  fileLengthBytes?: bigint;
  memoryLengthBytes?: bigint;
  physicalAddress?: bigint;
  count?: number;
}

/** A riscv64 executable of one header, one PT_NOTE and one PT_LOAD of four bytes at offset 0xb0. */
function smallElf(change: SmallElf = {}): Uint8Array {
  const file = new Uint8Array(0xb4);
  const view = viewOf(file);
  file.set([0x7f, 0x45, 0x4c, 0x46, change.class ?? 2, change.data ?? 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, change.machine ?? 243, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, 0xffffffff80000000n, true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, change.count ?? 2, true);
  view.setUint32(64, 4, true);
  view.setUint32(120, 1, true);
  view.setUint32(124, 5, true);
  view.setBigUint64(128, 0xb0n, true);
  view.setBigUint64(136, 0xffffffff80000000n, true);
  view.setBigUint64(144, change.physicalAddress ?? 0x80200000n, true);
  view.setBigUint64(152, change.fileLengthBytes ?? 4n, true);
  view.setBigUint64(160, change.memoryLengthBytes ?? 0x1000n, true);
  file.set([0xde, 0xad, 0xbe, 0xef], 0xb0);
  return file;
}

describe("parseElf", () => {
  test("gives the entry, the machine and the loadable segments", () => {
    const elf = parseElf(smallElf());
    expect(elf.entry).toBe(0xffffffff80000000n);
    expect(elf.machine).toBe(ElfMachine.RiscV);
    expect(elf.segments).toHaveLength(1);
    expect(elf.segments[0]).toMatchObject({ physicalAddress: 0x80200000n, memoryLengthBytes: 0x1000, flags: 5 });
    expect([...elf.segments[0]!.fileBytes]).toEqual([0xde, 0xad, 0xbe, 0xef]);
  });
  test("refuses a 32-bit file by name", () => {
    expect(() => parseElf(smallElf({ class: 1 }))).toThrow("32-bit one (ELFCLASS32)");
  });
  test("refuses a big-endian file by name", () => {
    expect(() => parseElf(smallElf({ data: 2 }))).toThrow("big-endian");
  });
  test("refuses another machine by name when one is asked for", () => {
    expect(() => parseElf(smallElf({ machine: 62 }), { machine: ElfMachine.RiscV })).toThrow("X86_64");
  });
  test("refuses a segment that is larger in the file than in memory", () => {
    expect(() => parseElf(smallElf({ memoryLengthBytes: 3n }))).toThrow("more bytes in the file than in memory");
  });
  test("refuses a segment whose bytes are past the end of the file", () => {
    expect(() => parseElf(smallElf({ fileLengthBytes: 5n }))).toThrow("announces 5 bytes of segment");
  });
  test("refuses a segment that passes the end of the address space", () => {
    expect(() => parseElf(smallElf({ physicalAddress: 0xfffffffffffff800n }))).toThrow("passes 2^64");
  });
  test("refuses program headers past the end of the file", () => {
    expect(() => parseElf(smallElf({ count: 3 }))).toThrow("ends inside its program header");
  });
  test("answers damaged files with FormatError and nothing else", () => {
    expectOnlyFormatErrors((file) => parseElf(file), smallElf());
  });
});
