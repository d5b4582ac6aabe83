import { describe, expect, test } from "vitest";
import { TestHost, TestLine } from "../../test-host.ts";
import { Aplic } from "./device.ts";

const DOMAINCFG = 0;
const MMSIADDRCFG = 0x1bc0;
const MMSIADDRCFGH = 0x1bc4;
const SMSIADDRCFG = 0x1bc8;
const SMSIADDRCFGH = 0x1bcc;
const SETIP = 0x1c00;
const SETIPNUM = 0x1cdc;
const IN_CLRIP = 0x1d00;
const CLRIPNUM = 0x1ddc;
const SETIE = 0x1e00;
const SETIENUM = 0x1edc;
const CLRIE = 0x1f00;
const CLRIENUM = 0x1fdc;
const SETIPNUM_LE = 0x2000;
const SETIPNUM_BE = 0x2004;
const GENMSI = 0x3000;
const IDELIVERY = 0x4000;
const IFORCE = 0x4004;
const ITHRESHOLD = 0x4008;
const TOPI = 0x4018;
const CLAIMI = 0x401c;
const HART_1 = 0x20;
const sourcecfg = (id: number): number => 4 * id;
const target = (id: number): number => 0x3000 + 4 * id;
const IE = 0x100;
const DELEGATE = 0x400;
const mode = { detached: 1, edgeRise: 4, edgeFall: 5, levelHigh: 6, levelLow: 7 };

interface Access {
  read(offset: number): number;
  write(offset: number, value: number): void;
}

function accessTo(aplic: Aplic): Access {
  return {
    read: (offset) => aplic.mmio.read(offset, 4)!,
    write: (offset, value) => void aplic.mmio.write(offset, 4, value),
  };
}

/** Two domains with 96 sources each, for two harts. */
function makeDirect() {
  const { trace } = new TestHost();
  const meip = [new TestLine(), new TestLine()];
  const seip = [new TestLine(), new TestLine()];
  const sourceCount = 96;
  const root = new Aplic({ level: "machine", sourceCount, delivery: { kind: "direct", harts: meip }, trace });
  const child = new Aplic({
    level: "supervisor",
    sourceCount,
    delivery: { kind: "direct", harts: seip },
    parent: root,
    trace,
  });
  return { root, child, m: accessTo(root), s: accessTo(child), meip, seip };
}

/** The machine domain with source 10 enabled for hart 0. */
function makeWith10(sourceMode: number) {
  const made = makeDirect();
  made.m.write(DOMAINCFG, IE);
  made.m.write(IDELIVERY, 1);
  made.m.write(sourcecfg(10), sourceMode);
  made.m.write(SETIENUM, 10);
  return { ...made, wire: made.root.source(10), line: made.meip[0]! };
}

function makeMsi() {
  const { trace } = new TestHost();
  const sent: [string, number][] = [];
  const port = { send: (at: bigint, data: number) => void sent.push([`0x${at.toString(16)}`, data]) };
  const delivery = { kind: "msi", port } as const;
  const root = new Aplic({ level: "machine", sourceCount: 96, delivery, trace });
  const child = new Aplic({ level: "supervisor", sourceCount: 96, delivery, parent: root, trace });
  const m = accessTo(root);
  m.write(MMSIADDRCFG, 0x24000);
  m.write(MMSIADDRCFGH, 2 << 12); // two bits of hart index
  m.write(SMSIADDRCFG, 0x28000);
  return { root, child, m, s: accessTo(child), sent };
}

/** The supervisor domain with source 10 going to hart 3 as identity 55. */
function makeMsiWith10(sourceMode: number) {
  const made = makeMsi();
  made.m.write(sourcecfg(10), DELEGATE);
  made.s.write(DOMAINCFG, IE);
  made.s.write(sourcecfg(10), sourceMode);
  made.s.write(target(10), (3 << 18) | 55);
  made.s.write(SETIENUM, 10);
  return { ...made, wire: made.root.source(10) };
}

const MESSAGE_10: [string, number] = ["0x28003000", 55];

describe("source modes", () => {
  test.each([
    ["edgeRise", true, false],
    ["levelHigh", true, false],
    ["edgeFall", false, true],
    ["levelLow", false, true],
  ] as const)("%s rectifies its wire", (name, whenHigh, whenLow) => {
    const { m, wire } = makeWith10(mode[name]);
    expect(m.read(IN_CLRIP)).toBe(whenLow ? 1 << 10 : 0);
    wire.set(true);
    expect(m.read(IN_CLRIP)).toBe(whenHigh ? 1 << 10 : 0);
  });

  test("a detached source ignores its wire and can be set by software", () => {
    const { m, wire, line } = makeWith10(mode.detached);
    wire.set(true);
    expect(m.read(IN_CLRIP)).toBe(0);
    expect(line.level).toBe(false);
    m.write(SETIPNUM, 10);
    expect(line.level).toBe(true);
  });

  test("an edge stays pending when the wire falls, until it is claimed", () => {
    const { m, wire, line } = makeWith10(mode.edgeRise);
    wire.set(true);
    wire.set(false);
    expect(line.level).toBe(true);
    expect(m.read(CLAIMI)).toBe((10 << 16) | 1);
    expect(line.level).toBe(false);
    wire.set(true);
    expect(line.level).toBe(true);
  });

  test("a level is pending while it lasts, claimed or not", () => {
    const { m, wire, line } = makeWith10(mode.levelHigh);
    wire.set(true);
    expect(m.read(CLAIMI)).toBe((10 << 16) | 1);
    expect(line.level).toBe(true);
    m.write(CLRIPNUM, 10);
    expect(m.read(SETIP)).toBe(1 << 10);
    wire.set(false);
    expect(line.level).toBe(false);
    m.write(SETIPNUM, 10);
    expect(m.read(SETIP)).toBe(0);
  });

  test("a source configured for the level that it has is pending at once", () => {
    const { m, wire } = makeWith10(mode.detached);
    wire.set(true);
    m.write(sourcecfg(10), mode.levelHigh);
    expect(m.read(SETIP)).toBe(1 << 10);
  });

  test("reserved modes are inactive; an inactive source has no pending, enable and target bits", () => {
    const { m, wire } = makeWith10(mode.levelHigh);
    m.write(target(10), (1 << 18) | 5);
    wire.set(true);
    m.write(sourcecfg(10), 2);
    expect(m.read(sourcecfg(10))).toBe(0);
    expect([SETIP, SETIE, target(10)].map(m.read)).toEqual([0, 0, 0]);
    m.write(SETIENUM, 10);
    m.write(SETIPNUM, 10);
    expect([SETIP, SETIE].map(m.read)).toEqual([0, 0]);
  });
});

describe("pending and enable bits", () => {
  test("are set and cleared by word and by number", () => {
    const { m } = makeDirect();
    for (const id of [33, 34]) m.write(sourcecfg(id), mode.detached);
    m.write(SETIP + 4, 0b110);
    m.write(SETIE + 4, 0b110);
    m.write(IN_CLRIP + 4, 0b010);
    m.write(CLRIE + 4, 0b010);
    expect([SETIP + 4, SETIE + 4, CLRIE + 4].map(m.read)).toEqual([0b100, 0b100, 0]);
    m.write(CLRIPNUM, 34);
    m.write(CLRIENUM, 34);
    m.write(SETIPNUM, 33);
    expect([SETIP + 4, SETIE + 4, SETIPNUM].map(m.read)).toEqual([0b010, 0, 0]);
  });

  test("of sources that do not exist stay 0", () => {
    const { m } = makeDirect();
    for (const id of [0, 97, 0xffffffff]) {
      m.write(SETIPNUM, id);
      m.write(SETIENUM, id);
    }
    m.write(SETIP, 0xffffffff);
    expect([0, 4, 8, 12].map((word) => m.read(SETIP + word))).toEqual([0, 0, 0, 0]);
  });
});

describe("direct delivery", () => {
  test("goes to the hart that the target names", () => {
    const { m, wire, meip } = makeWith10(mode.levelHigh);
    m.write(IDELIVERY + HART_1, 1);
    wire.set(true);
    m.write(target(10), 1 << 18);
    expect(meip.map((line) => line.level)).toEqual([false, true]);
    expect(m.read(TOPI + HART_1)).toBe((10 << 16) | 1);
    m.write(sourcecfg(10), 0);
    expect(meip.map((line) => line.level)).toEqual([false, false]);
  });

  test("the smallest priority number comes first, then the lowest source", () => {
    const { m, root } = makeWith10(mode.levelHigh);
    for (const [id, priority] of [
      [10, 3],
      [11, 2],
      [12, 2],
    ] as const) {
      m.write(sourcecfg(id), mode.levelHigh);
      m.write(SETIENUM, id);
      m.write(target(id), priority);
      root.source(id).set(true);
    }
    expect(m.read(TOPI)).toBe((11 << 16) | 2);
    expect(root.topPriority(0)).toBe(2);
  });

  test("priorities have three bits and are never 0", () => {
    const { m } = makeWith10(mode.levelHigh);
    m.write(target(10), 0xf8);
    expect(m.read(target(10))).toBe(1);
    m.write(target(10), 0x3ff05);
    expect(m.read(target(10))).toBe(5);
  });

  test("a threshold lets only smaller priority numbers through", () => {
    const { m, wire, line } = makeWith10(mode.levelHigh);
    m.write(target(10), 3);
    m.write(ITHRESHOLD, 3);
    wire.set(true);
    expect(line.level).toBe(false);
    m.write(ITHRESHOLD, 4);
    expect(line.level).toBe(true);
  });

  test("needs the domain's and the hart's enable", () => {
    const { m, wire, line } = makeWith10(mode.levelHigh);
    wire.set(true);
    m.write(DOMAINCFG, 0);
    expect(line.level).toBe(false);
    m.write(DOMAINCFG, IE);
    m.write(IDELIVERY, 0);
    expect(line.level).toBe(false);
  });

  test("a forced interrupt is spurious, and ends when it is claimed", () => {
    const { m, line } = makeWith10(mode.levelHigh);
    m.write(IFORCE, 1);
    expect(line.level).toBe(true);
    expect(m.read(CLAIMI)).toBe(0);
    expect(line.level).toBe(false);
    expect(m.read(IFORCE)).toBe(0);
  });

  test("sends no messages", () => {
    const { m } = makeDirect();
    m.write(GENMSI, 5);
    m.write(MMSIADDRCFG, 5);
    expect([GENMSI, MMSIADDRCFG].map(m.read)).toEqual([0, 0]);
  });
});

describe("delegation", () => {
  test("a delegated source is the child's", () => {
    const { m, s, root, meip, seip } = makeWith10(mode.levelHigh);
    m.write(sourcecfg(10), DELEGATE);
    s.write(DOMAINCFG, IE);
    s.write(IDELIVERY, 1);
    s.write(sourcecfg(10), mode.levelHigh);
    s.write(SETIENUM, 10);
    root.source(10).set(true);
    expect(meip[0]!.level).toBe(false);
    expect(seip[0]!.level).toBe(true);
    expect(m.read(sourcecfg(10))).toBe(DELEGATE);
    expect(m.read(IN_CLRIP)).toBe(0);
  });

  test("a source that is not delegated does not exist for the child", () => {
    const { s } = makeDirect();
    s.write(sourcecfg(10), mode.levelHigh);
    expect(s.read(sourcecfg(10))).toBe(0);
  });

  test("a source that is taken back is forgotten by the child", () => {
    const { m, s, root, seip } = makeDirect();
    m.write(sourcecfg(10), DELEGATE);
    s.write(DOMAINCFG, IE);
    s.write(IDELIVERY, 1);
    s.write(sourcecfg(10), mode.edgeRise);
    s.write(SETIENUM, 10);
    root.source(10).set(true);
    expect(seip[0]!.level).toBe(true);
    m.write(sourcecfg(10), 0);
    expect(seip[0]!.level).toBe(false);
    m.write(sourcecfg(10), DELEGATE);
    expect([sourcecfg(10), SETIP, SETIE].map(s.read)).toEqual([0, 0, 0]);
  });

  test("a domain without children cannot delegate", () => {
    const { m, s } = makeDirect();
    m.write(sourcecfg(10), DELEGATE);
    s.write(sourcecfg(10), DELEGATE | mode.levelHigh);
    expect(s.read(sourcecfg(10))).toBe(0);
  });
});

describe("messages", () => {
  test("a source is forwarded to the interrupt file of its hart, once a rise", () => {
    const { wire, sent, s } = makeMsiWith10(mode.levelHigh);
    wire.set(true);
    expect(sent).toEqual([MESSAGE_10]);
    expect(s.read(SETIP)).toBe(0);
    wire.set(true);
    expect(sent).toHaveLength(1);
    wire.set(false);
    wire.set(true);
    expect(sent).toEqual([MESSAGE_10, MESSAGE_10]);
  });

  test("a level that is still high can be sent again by number, a low one cannot", () => {
    const { wire, sent, s } = makeMsiWith10(mode.levelHigh);
    s.write(SETIPNUM, 10);
    expect(sent).toEqual([]);
    wire.set(true);
    s.write(SETIPNUM_LE, 10);
    expect(sent).toEqual([MESSAGE_10, MESSAGE_10]);
  });

  test("a level that has fallen before it could be sent is not pending", () => {
    const { wire, sent, s } = makeMsiWith10(mode.levelHigh);
    s.write(DOMAINCFG, 0);
    wire.set(true);
    expect(s.read(SETIP)).toBe(1 << 10);
    wire.set(false);
    s.write(DOMAINCFG, IE);
    expect(sent).toEqual([]);
  });

  test("what waits is sent when the source or the domain is enabled", () => {
    const { wire, sent, s } = makeMsiWith10(mode.edgeRise);
    s.write(CLRIENUM, 10);
    wire.set(true);
    s.write(DOMAINCFG, 0);
    s.write(SETIENUM, 10);
    expect(sent).toEqual([]);
    s.write(DOMAINCFG, IE);
    expect(sent).toEqual([MESSAGE_10]);
  });

  test("genmsi sends at once, enabled or not, to the level of its domain", () => {
    const { m, s, sent } = makeMsi();
    m.write(GENMSI, (2 << 18) | 7);
    s.write(GENMSI, (1 << 18) | 9);
    expect(sent).toEqual([
      ["0x24002000", 7],
      ["0x28001000", 9],
    ]);
    expect(m.read(GENMSI)).toBe((2 << 18) | 7);
  });

  test("groups of harts lie apart, and every page of a hart counts", () => {
    const { m, s, sent } = makeMsi();
    // High shift 12 (address bit 36), low shift 1, two bits of group, two of hart.
    m.write(MMSIADDRCFGH, (12 << 24) | (2 << 16) | (2 << 12));
    m.write(SMSIADDRCFGH, 1 << 20);
    s.write(GENMSI, (0b1011 << 18) | 3);
    expect(sent).toEqual([["0x2028006000", 3]]);
  });

  test("no guest index is kept, and there are no delivery registers of harts", () => {
    const { m, s } = makeMsiWith10(mode.edgeRise);
    s.write(target(10), (3 << 18) | (0x3f << 12) | 0xfff);
    expect(s.read(target(10))).toBe((3 << 18) | 0x7ff);
    m.write(IDELIVERY, 1);
    expect(m.read(IDELIVERY)).toBe(0);
  });
});

describe("the addresses of messages", () => {
  test("cannot be changed once they are locked", () => {
    const { m } = makeMsi();
    m.write(SMSIADDRCFGH, 0x0030_0005);
    m.write(MMSIADDRCFGH, 0x9fff_ffff);
    for (const at of [MMSIADDRCFG, MMSIADDRCFGH, SMSIADDRCFG, SMSIADDRCFGH]) m.write(at, 0);
    expect([MMSIADDRCFG, MMSIADDRCFGH, SMSIADDRCFG, SMSIADDRCFGH].map(m.read)).toEqual([
      0x24000, 0x9f77_ffff, 0x28000, 0x0030_0005,
    ]);
  });

  test("are the root domain's", () => {
    const { s } = makeMsi();
    s.write(MMSIADDRCFG, 5);
    expect(s.read(MMSIADDRCFG)).toBe(0);
  });
});

describe("byte order", () => {
  test("domaincfg tells it, and how the domain delivers", () => {
    expect(makeDirect().m.read(DOMAINCFG)).toBe(0x8000_0000);
    expect(makeMsi().m.read(DOMAINCFG)).toBe(0x8000_0004);
  });

  test("a big-endian domain has all its registers swapped but the ports of a fixed order", () => {
    const { m } = makeDirect();
    m.write(DOMAINCFG, 0x0100_0001);
    expect(m.read(DOMAINCFG)).toBe(0x0100_0080);
    m.write(sourcecfg(5), 0x0100_0000);
    expect(m.read(sourcecfg(5))).toBe(0x0100_0000);
    m.write(SETIPNUM_LE, 5);
    expect(m.read(SETIP)).toBe(0x2000_0000);
    m.write(DOMAINCFG, 0);
    expect(m.read(SETIP)).toBe(1 << 5);
    m.write(CLRIPNUM, 5);
    m.write(SETIPNUM_BE, 0x0500_0000);
    expect(m.read(SETIP)).toBe(1 << 5);
  });
});

test("a loaded domain continues where the saved one was; a reset forgets it all", () => {
  const from = makeWith10(mode.edgeRise);
  from.wire.set(true);
  const to = makeDirect();
  to.root.loadState(from.root.saveState());
  expect(to.meip[0]!.level).toBe(true);
  expect(to.m.read(CLAIMI)).toBe((10 << 16) | 1);
  to.root.reset();
  expect(to.root.saveState()).toEqual(makeDirect().root.saveState());
  expect(Object.keys(from.root.saveState())).toEqual(from.root.stateDescription.fields.map((f) => f.name));
});
