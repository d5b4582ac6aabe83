import fc from "fast-check";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { DeviceTreeNode, compareTrees } from "./fdt-node.ts";
import { flattenTree, parseTree } from "./fdt.ts";
import { expectOnlyFormatErrors } from "../../test/support/mutations.ts";
import { has, inFolder, run } from "../../test/support/tools.ts";

function board(): DeviceTreeNode {
  const root = new DeviceTreeNode().setString("compatible", "riscv-virtio").setU32("#address-cells", 2);
  const soc = root.add("soc").setEmpty("ranges").setStrings("compatible", "simple-bus", "syscon");
  soc.add("serial@10000000").setU64("reg", 0x10000000n, 0x100n).setU32("interrupts", 10).phandle = 7;
  root.add("chosen").setString("stdout-path", "/soc/serial@10000000");
  return root;
}

const names = fc.stringMatching(/^[a-z][a-z0-9,._+@-]{0,20}$/);
const trees: fc.Arbitrary<DeviceTreeNode> = fc
  .array(fc.tuple(names, fc.nat(3), fc.uint8Array({ maxLength: 40 })), { maxLength: 30 })
  .map((entries) => {
    const nodes = [new DeviceTreeNode()];
    for (const [name, choice, value] of entries) {
      const node = nodes[choice % nodes.length]!;
      node.setBytes(name, value);
      if (node.child(name) === undefined) nodes.unshift(node.add(name));
    }
    return nodes.at(-1)!;
  });

describe("flattenTree and parseTree", () => {
  test("keep the tree, the reservations and the boot CPU", () => {
    const blob = flattenTree(board(), {
      reservations: [{ address: 0x80000000n, lengthBytes: 0x40000n }],
      bootCpuId: 2,
    });
    const tree = parseTree(blob);
    expect(compareTrees(tree.root, board())).toEqual([]);
    expect(tree.reservations).toEqual([{ address: 0x80000000n, lengthBytes: 0x40000n }]);
    expect(tree.bootCpuId).toBe(2);
  });
  test("keep any tree", () => {
    fc.assert(
      fc.property(trees, (tree) => {
        expect(compareTrees(parseTree(flattenTree(tree)).root, tree)).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });
  test("leave room at the blob's end on request", () => {
    const blob = flattenTree(board(), { spareBytes: 0x1000 });
    expect(blob.length).toBe(flattenTree(board()).length + 0x1000);
    expect(compareTrees(parseTree(blob).root, board())).toEqual([]);
  });
  test("skip NOP tokens", () => {
    const blob = flattenTree(board());
    const structureOffset = new DataView(blob.buffer).getUint32(8);
    const first = structureOffset + 8;
    const length = new DataView(blob.buffer).getUint32(first + 4);
    blob.fill(0, first, first + 12 + Math.ceil(length / 4) * 4);
    for (let at = first; at < first + 12 + Math.ceil(length / 4) * 4; at += 4) blob[at + 3] = 4;
    expect(parseTree(blob).root.has("compatible")).toBe(false);
    expect(parseTree(blob).root.getU32("#address-cells")).toBe(2);
  });
  test("refuse another magic, an old version and a blob that is shorter than it says", () => {
    expect(() => parseTree(new Uint8Array(64))).toThrow("device tree magic");
    const old = flattenTree(board());
    old[23] = 3;
    expect(() => parseTree(old)).toThrow("version 3");
    expect(() => parseTree(flattenTree(board()).slice(0, 100))).toThrow("announces");
  });
  test("refuse a tree nested beyond the bound", () => {
    const root = new DeviceTreeNode();
    let node = root;
    for (let i = 0; i < 64; i++) node = node.add("n");
    expect(() => parseTree(flattenTree(root))).toThrow("deeper than 64");
  });
  test("answer damaged blobs with FormatError and nothing else", () => {
    expectOnlyFormatErrors(parseTree, flattenTree(board()), 5000);
  });
});

describe("DeviceTreeNode", () => {
  test("reads back every type it writes", () => {
    const node = new DeviceTreeNode("n")
      .setU32("a", 1, 2)
      .setU64("b", 1n << 40n)
      .setStrings("c", "x", "yz")
      .setEmpty("d");
    expect(node.getU32s("a")).toEqual([1, 2]);
    expect(node.getU64("b")).toBe(1n << 40n);
    expect(node.getStrings("c")).toEqual(["x", "yz"]);
    expect(node.has("d")).toBe(true);
    expect(node.getStrings("d")).toEqual([]);
    expect(node.getU32("none")).toBeUndefined();
  });
  test("reads a 64-bit value that a tree gives in one cell", () => {
    expect(new DeviceTreeNode("n").setU32("linux,initrd-start", 0x84000000).getU64("linux,initrd-start")).toBe(
      0x84000000n,
    );
  });
  test("refuses to read a property as what it is not", () => {
    const node = new DeviceTreeNode("n").setString("s", "ab").setU32("w", 1, 2);
    expect(() => node.getU32("s")).toThrow('property "s" of node "n" has 3 bytes');
    expect(() => node.getU32("w")).toThrow("one 32-bit cell");
    expect(() => node.getStrings("w")).toThrow("strings that end with NUL");
  });
  test("finds a node by path, with or without a unit address", () => {
    expect(board().find("/soc/serial@10000000")?.phandle).toBe(7);
    expect(board().find("/soc/serial")?.phandle).toBe(7);
    expect(board().find("/soc/none")).toBeUndefined();
    expect(board().find("/")?.name).toBe("");
  });
});

describe("compareTrees", () => {
  test("names what differs and ignores order", () => {
    const other = new DeviceTreeNode().setU32("#address-cells", 1).setString("compatible", "riscv-virtio");
    expect(compareTrees(board(), other)).toEqual([
      "/:#address-cells is <00000002> in the left tree and <00000001> in the right",
      "/soc is only in the left tree",
      "/soc/serial@10000000 is only in the left tree",
      "/chosen is only in the left tree",
    ]);
  });
  test("leaves out what it is told to ignore", () => {
    const other = board().setU32("#address-cells", 1);
    expect(compareTrees(board(), other, (path, name) => path === "/" && name === "#address-cells")).toEqual([]);
  });
});

describe.skipIf(!has("dtc"))("with dtc (skipped where dtc is not installed)", () => {
  test("dtc reads what we flatten and gives back the same tree", () => {
    inFolder((folder) => {
      writeFileSync(join(folder, "ours.dtb"), flattenTree(board()));
      run("dtc", ["-q", "-I", "dtb", "-O", "dts", "-o", join(folder, "ours.dts"), join(folder, "ours.dtb")]);
      run("dtc", ["-q", "-I", "dts", "-O", "dtb", "-o", join(folder, "theirs.dtb"), join(folder, "ours.dts")]);
      expect(compareTrees(parseTree(readFileSync(join(folder, "theirs.dtb"))).root, board())).toEqual([]);
    });
  });
  test("we read what dtc compiles, in both versions", () => {
    const source = `/dts-v1/; /memreserve/ 0x1000 0x2000; / { model = "m"; a: n@1 { reg = <1 2>; }; b { link = <&a>; }; };`;
    for (const version of ["16", "17"]) {
      const blob = run("dtc", ["-q", "-V", version, "-I", "dts", "-O", "dtb", "-"], { input: Buffer.from(source) });
      const tree = parseTree(blob);
      expect(tree.reservations).toEqual([{ address: 0x1000n, lengthBytes: 0x2000n }]);
      expect(tree.root.find("/b")?.getU32("link")).toBe(tree.root.find("/n@1")?.phandle);
    }
  });
});
