import { describe, expect, test } from "vitest";
import { SoftMmu, softMmuBytes, TlbKind, tlbTableBytes } from "./softmmu.ts";

function emptyTlb(): SoftMmu {
  const words = new Int32Array((tlbTableBytes + softMmuBytes(2)) / 4);
  return new SoftMmu(words, tlbTableBytes, 2);
}

describe("software TLB", () => {
  test("finds what was filled for the page, in its own table", () => {
    const tlb = emptyTlb();
    tlb.fill(TlbKind.store, 1, 0x1234_5678, 0x3f, 0x80_0000);
    tlb.fill(TlbKind.fetch, 1, 0x1234_5678, 0x3f, 0x4000);
    expect(tlb.find(TlbKind.store, 1, 0x1234_5000, 0x3f)).toBe(0x80_0000);
    expect(tlb.find(TlbKind.fetch, 1, 0x1234_5ff0, 0x3f)).toBe(0x4000);
    const others = [
      tlb.find(TlbKind.store, 0, 0x1234_5000, 0x3f),
      tlb.find(TlbKind.load, 1, 0x1234_5000, 0x3f),
      tlb.find(TlbKind.store, 1, 0x1234_5000, 0x40),
      tlb.find(TlbKind.store, 1, 0x1234_6000, 0x3f),
    ];
    expect(others).toEqual([0, 0, 0, 0]);
  });

  test("a flush of a page leaves other pages, also beside large ones", () => {
    const tlb = emptyTlb();
    tlb.fill(TlbKind.load, 0, 0x1000, 0, 0x10_0000);
    tlb.fill(TlbKind.load, 0, 0x2000, 0, 0x20_0000);
    tlb.fill(TlbKind.load, 0, 0x20_3000, -1, 0x30_0000);
    tlb.noteLarge(0x20_3000, -1, 2 << 20);
    tlb.flushPage(0x1000, 0);
    const left = [0x1000, 0x2000].map((low) => tlb.find(TlbKind.load, 0, low, 0));
    expect(left).toEqual([0, 0x20_0000]);
    expect(tlb.find(TlbKind.load, 0, 0x20_3000, -1)).toBe(0x30_0000);
  });

  test("a flush of any page in a large one drops all that the large one filled", () => {
    const tlb = emptyTlb();
    for (const low of [0x20_3000, 0x3f_f000]) {
      tlb.fill(TlbKind.load, 0, low, -1, 0x30_0000);
      tlb.noteLarge(low, -1, 2 << 20);
    }
    tlb.flushPage(0x28_0000, -1);
    expect([0x20_3000, 0x3f_f000].map((low) => tlb.find(TlbKind.load, 0, low, -1))).toEqual([0, 0]);
  });

  test("what leads to one page of the host is dropped under every address, and nothing else", () => {
    const tlb = emptyTlb();
    tlb.fill(TlbKind.store, 0, 0x1000, 0, 0x10_0000);
    tlb.fill(TlbKind.store, 1, 0xfff_f234 | 0, -1, 0x10_0000);
    tlb.fill(TlbKind.store, 1, 0x2000, 0, 0x10_1000);
    tlb.fill(TlbKind.load, 0, 0x1000, 0, 0x10_0000);
    tlb.flushTarget(TlbKind.store, 0x10_0000);
    expect(tlb.find(TlbKind.store, 0, 0x1000, 0)).toBe(0);
    expect(tlb.find(TlbKind.store, 1, 0xfff_f000 | 0, -1)).toBe(0);
    expect(tlb.find(TlbKind.store, 1, 0x2000, 0)).toBe(0x10_1000);
    expect(tlb.find(TlbKind.load, 0, 0x1000, 0)).toBe(0x10_0000);
  });

  test("more fills than are noted are dropped together", () => {
    const tlb = emptyTlb();
    for (let page = 0; page < 5000; page++) tlb.fill(TlbKind.store, 0, page * 4096, 0, 0x100_0000 + page * 4096);
    tlb.flushTarget(TlbKind.store, 0x100_0000 + 4999 * 4096);
    expect([4998, 4999].map((page) => tlb.find(TlbKind.store, 0, page * 4096, 0))).toEqual([0, 0]);
    tlb.fill(TlbKind.store, 0, 0x5000, 0, 0x10_0000);
    tlb.flushTarget(TlbKind.store, 0x20_0000);
    expect(tlb.find(TlbKind.store, 0, 0x5000, 0)).toBe(0x10_0000);
  });
});
