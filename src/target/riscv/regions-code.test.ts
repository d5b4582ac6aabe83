// Code that changes under compiled regions: rewritten by the hart in every way of storing, by devices, and through aliases.
import { describe, expect, test } from "vitest";
import { iova } from "../../base/index.ts";
import { dmaPort, mmioRegion, type DmaPort } from "../../memory/index.ts";
import { assemble as a } from "./testing/assemble.ts";
import { reg, type Assembler } from "./testing/assembler.ts";
import { ramBase, type BareMachine } from "./testing/bare-machine.ts";
import { program, sameInBothTiers } from "./testing/both-tiers.ts";
import { enterPaged, mapPage, Pte, pte, tables } from "./testing/paging.ts";

const { zero, ra, t0, t1, t2, s0, s1, s2, s3, a0, a1, a2, a3, a4 } = reg;

/** The function at `target` adds a constant to a0; it is called often, then its constant grows by one, over and over. */
function rewriter(target: number, patch: (p: Assembler) => void): (m: BareMachine) => void {
  const load = program((p) => {
    p.la(s0, target);
    p.la(s2, ramBase + 0x3000);
    p.op("lw", { rd: t1, rs1: s0 });
    p.label("round");
    p.li(s1, 37);
    p.label("call");
    p.op("jalr", { rd: ra, rs1: s0 });
    p.op("addi", { rd: s1, rs1: s1, imm: -1 });
    p.to("bne", "call", { rs1: s1, rs2: zero });
    p.op("lui", { rd: t2, imm: 1 << 20 });
    p.op("addw", { rd: t1, rs1: t1, rs2: t2 });
    patch(p);
    p.jump("round");
  });
  return (m) => {
    load(m);
    m.load(target, [
      a("addi", { rd: a0, rs1: a0, imm: 1 }),
      a("xor", { rd: a1, rs1: a1, rs2: a0 }),
      a("jalr", { rs1: ra }),
    ]);
  };
}

const ways: readonly (readonly [string, (p: Assembler) => void])[] = [
  ["a word", (p) => p.op("sw", { rs1: s0, rs2: t1 })],
  ["a word and fence.i", (p) => (p.op("sw", { rs1: s0, rs2: t1 }), p.op("fence.i"))],
  [
    "its upper half alone",
    (p) => (p.op("srli", { rd: t2, rs1: t1, imm: 16 }), p.op("sh", { rs1: s0, rs2: t2, imm: 2 })),
  ],
  ["one byte", (p) => (p.op("srli", { rd: t2, rs1: t1, imm: 24 }), p.op("sb", { rs1: s0, rs2: t2, imm: 3 }))],
  ["an atomic swap", (p) => p.op("amoswap.w", { rd: zero, rs1: s0, rs2: t1 })],
  [
    "a store-conditional",
    (p) => (
      p.op("lr.w", { rd: t2, rs1: s0 }),
      p.op("sc.w", { rd: t2, rs1: s0, rs2: t1 }),
      p.op("add", { rd: a2, rs1: a2, rs2: t2 })
    ),
  ],
  [
    "a store of floating point",
    (p) => {
      p.op("lui", { rd: t2, imm: 0x6000 });
      p.setCsrBits("mstatus", t2);
      p.op("fmv.w.x", { rd: 1, rs1: t1 });
      p.op("fsw", { rs1: s0, rs2: 1 });
    },
  ],
  [
    "a store that begins before it",
    (p) => {
      p.op("slli", { rd: t2, rs1: t1, imm: 16 });
      p.op("ld", { rd: a3, rs1: s0, imm: -2 });
      p.op("slli", { rd: a4, rs1: a3, imm: 48 });
      p.op("srli", { rd: a4, rs1: a4, imm: 48 });
      p.op("or", { rd: t2, rs1: t2, rs2: a4 });
      p.op("sw", { rs1: s0, rs2: t2, imm: -2 });
      p.op("srli", { rd: t2, rs1: t1, imm: 16 });
      p.op("sh", { rs1: s0, rs2: t2, imm: 2 });
    },
  ],
  [
    "a copy of its whole block after it was zeroed",
    (p) => {
      p.op("ld", { rd: a3, rs1: s0 });
      p.op("ld", { rd: a4, rs1: s0, imm: 8 });
      p.op("cbo.zero", { rs1: s0 });
      p.op("sd", { rs1: s0, rs2: a3 });
      p.op("sd", { rs1: s0, rs2: a4, imm: 8 });
      p.op("sw", { rs1: s0, rs2: t1 });
    },
  ],
];

describe("code that the hart rewrites", () => {
  describe.each([
    ["the same page", ramBase + 0x800],
    ["the next 64 bytes", ramBase + 0x80],
    ["another page", ramBase + 0x2000],
  ])("in %s", (_where, target) => {
    test.each(ways)("by %s", (_way, patch) => {
      const { figures } = sameInBothTiers({
        machine: { model: "max" },
        prepare: rewriter(target, patch),
        instructions: 30_000,
      });
      expect(figures.dropped).toBeGreaterThan(20);
      expect(figures.regionInstructions).toBeGreaterThan(4000);
    });
  });

  test("in both pages that an instruction lies in, by one store over their border", () => {
    const target = ramBase + 0x1ffe;
    const { figures } = sameInBothTiers({ prepare: rewriter(target, (p) => p.op("sw", { rs1: s0, rs2: t1 })) });
    expect(figures.dropped).toBeGreaterThan(20);
  });

  test("by the instruction right before it, in a straight run, and by a store to itself", () => {
    const { figures } = sameInBothTiers({
      prepare: program((p) => {
        p.labelAddress(s0, "patched");
        p.labelAddress(s1, "itself");
        p.op("lw", { rd: t1, rs1: s0 });
        p.op("lw", { rd: t2, rs1: s1 });
        p.op("lui", { rd: a3, imm: 1 << 20 });
        p.label("round");
        p.op("addi", { rd: a2, rs1: a2, imm: 1 });
        p.op("andi", { rd: t0, rs1: a2, imm: 63 });
        p.to("bne", "on", { rs1: t0, rs2: zero });
        p.op("addw", { rd: t1, rs1: t1, rs2: a3 });
        p.label("itself");
        p.op("sw", { rs1: s1, rs2: t2 });
        p.op("sw", { rs1: s0, rs2: t1 });
        p.label("patched");
        p.op("addi", { rd: a0, rs1: a0, imm: 1 });
        p.op("xor", { rd: a1, rs1: a1, rs2: a0 });
        p.label("on");
        p.op("addi", { rd: a0, rs1: a0, imm: 5 });
        p.jump("round");
      }),
    });
    expect(figures.dropped).toBeGreaterThan(20);
  });

  test("as a compiler does: new functions of changing length at the same place", () => {
    const buffer = ramBase + 0x2000;
    const { figures } = sameInBothTiers({
      prepare: program((p) => {
        p.la(s0, buffer);
        p.li(s2, 0x00a5_0513); // addi a0, a0, 10
        p.li(s3, 0x0000_8067); // ret
        p.label("round");
        p.op("addi", { rd: a2, rs1: a2, imm: 1 });
        p.op("andi", { rd: t0, rs1: a2, imm: 31 });
        p.op("add", { rd: t1, rs1: s0, rs2: zero });
        p.label("emit");
        p.op("slli", { rd: t2, rs1: t0, imm: 20 });
        p.op("xor", { rd: t2, rs1: t2, rs2: s2 });
        p.op("sw", { rs1: t1, rs2: t2 });
        p.op("addi", { rd: t1, rs1: t1, imm: 4 });
        p.op("addi", { rd: t0, rs1: t0, imm: -1 });
        p.to("bge", "emit", { rs1: t0, rs2: zero });
        p.op("sw", { rs1: t1, rs2: s3 });
        p.op("fence.i");
        p.li(s1, 9);
        p.label("call");
        p.op("jalr", { rd: ra, rs1: s0 });
        p.op("addi", { rd: s1, rs1: s1, imm: -1 });
        p.to("bne", "call", { rs1: s1, rs2: zero });
        p.jump("round");
      }),
    });
    expect(figures.dropped).toBeGreaterThan(50);
  });
});

describe("code that several harts run", () => {
  test("one of them rewrites it while all call it, each with stores of its own", () => {
    const target = ramBase + 0x2000;
    const { figures, m } = sameInBothTiers({
      machine: { harts: 3 },
      prepare: (machine) => {
        program((p) => {
          p.readCsr(s1, "mhartid");
          p.la(s0, target);
          p.la(s2, ramBase + 0x3000);
          p.op("slli", { rd: t0, rs1: s1, imm: 6 });
          p.op("add", { rd: s2, rs1: s2, rs2: t0 });
          p.op("lui", { rd: s3, imm: 1 << 20 });
          p.label("loop");
          p.op("jalr", { rd: ra, rs1: s0 });
          p.op("sd", { rs1: s2, rs2: a0 });
          p.op("ld", { rd: a1, rs1: s2 });
          p.op("add", { rd: a3, rs1: a3, rs2: a1 });
          p.op("addi", { rd: a2, rs1: a2, imm: 1 });
          p.op("andi", { rd: t0, rs1: a2, imm: 63 });
          p.to("bne", "loop", { rs1: t0, rs2: zero });
          // Hart 1 writes; the others only say that they would fetch anew.
          p.op("addi", { rd: t1, rs1: s1, imm: -1 });
          p.to("bne", "fence", { rs1: t1, rs2: zero });
          p.op("lw", { rd: t1, rs1: s0 });
          p.op("addw", { rd: t1, rs1: t1, rs2: s3 });
          p.op("sw", { rs1: s0, rs2: t1 });
          p.label("fence");
          p.op("fence.i");
          p.jump("loop");
        })(machine);
        machine.load(target, [
          a("addi", { rd: a0, rs1: a0, imm: 1 }),
          a("xor", { rd: a4, rs1: a4, rs2: a0 }),
          a("jalr", { rs1: ra }),
        ]);
      },
    });
    expect(figures.dropped).toBeGreaterThan(50);
    expect(figures.regionInstructions).toBeGreaterThan(50_000);
    expect(m.harts[2]!.x(a0)).not.toBe(0n);
  });
});

/** A loop that adds a constant to a0 and stores to a device at `device`. */
const device = 0x1000_0000;
function storingLoop(p: Assembler): void {
  p.li(s0, device);
  p.label("loop");
  p.op("addi", { rd: a2, rs1: a2, imm: 1 });
  p.op("andi", { rd: t0, rs1: a2, imm: 63 });
  p.to("bne", "on", { rs1: t0, rs2: zero });
  p.op("sw", { rs1: s0, rs2: a2 });
  p.label("on");
  p.op("addi", { rd: a0, rs1: a0, imm: 1 });
  p.op("xor", { rd: a1, rs1: a1, rs2: a0 });
  p.jump("loop");
}
const patchedAt = 6 * 4;

describe("code that a device writes", () => {
  const adding = (n: number): Uint8Array =>
    new Uint8Array(Int32Array.of(a("addi", { rd: a0, rs1: a0, imm: n & 1023 })).buffer);

  test("between two runs", () => {
    const ports = new Map<BareMachine, DmaPort>();
    const { figures } = sameInBothTiers({
      prepare: (m) => {
        ports.set(m, dmaPort(m.space, "disk"));
        program(storingLoop)(m);
        m.root.add(mmioRegion("nothing", 4096, { read: () => 0, write: () => undefined }), device);
      },
      between: (m, slice) => {
        if (slice % 5 === 0) ports.get(m)!.write(iova(BigInt(ramBase + patchedAt)), adding(slice));
      },
    });
    expect(figures.dropped).toBeGreaterThan(10);
  });

  test("in the middle of a run, because the hart told it to: the instruction after the store is the new one", () => {
    const { figures } = sameInBothTiers({
      prepare: (m) => {
        const port = dmaPort(m.space, "disk");
        program(storingLoop)(m);
        const write = (_offset: number, _width: number, value: number): void => {
          port.write(iova(BigInt(ramBase + patchedAt)), adding(value));
        };
        m.root.add(mmioRegion("disk", 4096, { read: () => 0, write }), device);
      },
    });
    expect(figures.dropped).toBeGreaterThan(50);
  });
});

const code = 0x4000_0000n;
const leaf = (va: bigint): number => tables + 0x2000 + Number((va >> 12n) & 511n) * 8;
const executable = Pte.V | Pte.R | Pte.X | Pte.A;
const writable = Pte.V | Pte.R | Pte.W | Pte.A | Pte.D;

describe("code at several addresses", () => {
  test("runs at two in turn while it is rewritten through a third", () => {
    const page = ramBase + 0x8000;
    const [second, alias] = [code + 0x5000n, code + 0x9000n];
    const body = program((p) => {
      // s0: the alias; s1: the distance of the two addresses.
      p.op("lw", { rd: t1, rs1: s0, imm: 64 });
      p.op("lui", { rd: t2, imm: 1 << 20 });
      p.label("loop");
      p.op("auipc", { rd: a3 });
      p.op("add", { rd: a1, rs1: a1, rs2: a3 });
      p.op("addi", { rd: a2, rs1: a2, imm: 1 });
      p.op("andi", { rd: t0, rs1: a2, imm: 31 });
      p.to("bne", "patched", { rs1: t0, rs2: zero });
      p.op("xor", { rd: a3, rs1: a3, rs2: s1 });
      p.op("jalr", { rd: zero, rs1: a3, imm: 28 });
      p.op("addi", { rd: a0, rs1: a0, imm: 1000 });
      p.op("addw", { rd: t1, rs1: t1, rs2: t2 });
      p.op("sw", { rs1: s0, rs2: t1, imm: 64 });
      for (let i = p.here; i < page + 64; i += 4) p.op("addi", { rd: a0, rs1: a0, imm: 2 });
      p.label("patched");
      p.op("addi", { rd: a0, rs1: a0, imm: 1 });
      p.jump("loop");
    }, page);
    const { figures } = sameInBothTiers({
      prepare: (m) => {
        mapPage(m, code, page, executable);
        m.write64(leaf(second), pte(page, executable));
        m.write64(leaf(alias), pte(page, writable));
        body(m);
        enterPaged(m, code);
        m.hart.setX(s0, alias);
        m.hart.setX(s1, 0x5000n);
      },
    });
    expect(figures.dropped).toBeGreaterThan(20);
    expect(figures.regionInstructions).toBeGreaterThan(10_000);
  });

  test("an instruction in two pages, of which the second is exchanged under the loop", () => {
    // The loop's addi a0, a0, n lies at 0xffe of its page; its upper half is another one in each second page.
    const pages = { first: ramBase + 0x8000, even: ramBase + 0x9000, odd: ramBase + 0xa000 };
    const table = code + 0x9000n;
    const upper = (m: BareMachine, page: number, n: number): void => {
      const word = a("addi", { rd: a0, rs1: a0, imm: n });
      const rest = [a("addi", { rd: s1, rs1: s1, imm: -1 }), a("jalr", { rs1: ra })];
      const halves = [word >>> 16, ...rest.flatMap((each) => [each & 0xffff, each >>> 16])];
      m.loadBytes(page, new Uint8Array(Uint16Array.from(halves).buffer));
    };
    const body = program((p) => {
      p.label("loop");
      p.op("jalr", { rd: ra, rs1: s2, imm: -2 });
      p.to("bne", "loop", { rs1: s1, rs2: zero });
      p.li(s1, 21);
      // Exchanges the entries in t0 and t1, and says so by the address.
      p.op("xor", { rd: t0, rs1: t0, rs2: t1 });
      p.op("xor", { rd: t1, rs1: t0, rs2: t1 });
      p.op("xor", { rd: t0, rs1: t0, rs2: t1 });
      p.op("sd", { rs1: s0, rs2: t0, imm: 8 });
      p.op("sfence.vma", { rs1: s2 });
      p.jump("loop");
    }, pages.first);
    const { figures } = sameInBothTiers({
      prepare: (m) => {
        mapPage(m, code, pages.first, executable);
        body(m);
        const low = a("addi", { rd: a0, rs1: a0, imm: 0 }) & 0xffff;
        m.loadBytes(pages.first + 0xffe, new Uint8Array(Uint16Array.of(low).buffer));
        upper(m, pages.even, 3);
        upper(m, pages.odd, 64);
        m.write64(leaf(code + 0x1000n), pte(pages.even, executable));
        m.write64(leaf(table), pte(tables + 0x2000, writable));
        enterPaged(m, code);
        m.hart.setX(s0, table);
        m.hart.setX(s1, 5n);
        m.hart.setX(s2, code + 0x1000n);
        m.hart.setX(t0, pte(pages.even, executable));
        m.hart.setX(t1, pte(pages.odd, executable));
      },
    });
    expect(figures.regionInstructions).toBeGreaterThan(10_000);
  });
});
