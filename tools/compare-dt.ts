// Compares two device trees by meaning: phandles may have other values, nodes and properties another order.
//   tsx tools/compare-dt.ts [--qemu] LEFT RIGHT      .dts files go through dtc; --qemu leaves out the allowed differences
// Prints every difference; exit status 1 when there is one that is not allowed.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { compareTrees, parseTree, type DeviceTreeNode } from "../src/format/index.ts";

/** A way in which our board may differ from QEMU's, by name, and why. */
export interface AllowedDifference {
  readonly name: string;
  readonly matches: (path: string, property: string | undefined) => boolean;
}

/** What the board still lacks, and what cannot be equal. */
export const allowedDifferences: readonly AllowedDifference[] = [
  { name: "rng-seed is random", matches: (path, property) => path === "/chosen" && property === "rng-seed" },
  {
    name: "the list of extensions is the CPU's",
    matches: (path, property) =>
      /^\/cpus\/cpu@[0-9a-f]+$/.test(path) && property !== undefined && CPU_FACTS.has(property),
  },
  { name: "missing device: flash", matches: (path) => path.startsWith("/flash@") },
  { name: "missing device: pmu", matches: (path) => path === "/pmu" },
];
const CPU_FACTS = new Set(["riscv,isa", "riscv,isa-extensions"]);

/** Where phandles stand in a property's cells. Everything else is compared as it is. */
const references: Readonly<Record<string, (cells: number[], tree: Phandles, node: DeviceTreeNode) => number[]>> = {
  phandle: single,
  "interrupt-parent": single,
  regmap: single,
  cpu: single,
  "msi-parent": single,
  "riscv,children": single,
  "riscv,delegation": (cells, tree) => cells.map((cell, i) => (i % 3 === 0 ? tree.canonical(cell) : cell)),
  "iommu-map": (cells, tree) => cells.map((cell, i) => (i % 4 === 1 ? tree.canonical(cell) : cell)),
  "interrupts-extended": (cells, tree) => eachEntry(cells, 0, tree, ["#interrupt-cells"]),
  "interrupt-map": (cells, tree, node) =>
    eachEntry(cells, (node.getU32("#address-cells") ?? 2) + (node.getU32("#interrupt-cells") ?? 1), tree, [
      "#address-cells",
      "#interrupt-cells",
    ]),
};

function single(cells: number[], tree: Phandles): number[] {
  return cells.map((cell) => tree.canonical(cell));
}

/** Entries of `before` cells, a phandle, and as many cells as the properties `after` of the node it names say. */
function eachEntry(cells: number[], before: number, tree: Phandles, after: readonly string[]): number[] {
  const out = [...cells];
  for (let at = before; at < cells.length; at += 1 + before) {
    const target = tree.nodes.get(cells[at]!);
    out[at] = tree.canonical(cells[at]!);
    at += after.reduce((sum, name) => sum + (target?.node.getU32(name) ?? 0), 0);
  }
  return out;
}

/** Gives each referable node a number that depends on its path alone. */
class Phandles {
  readonly nodes = new Map<number, { readonly path: string; readonly node: DeviceTreeNode }>();

  constructor(root: DeviceTreeNode) {
    for (const place of root.walk()) {
      if (place.node.phandle !== undefined) this.nodes.set(place.node.phandle, place);
    }
  }

  canonical(phandle: number): number {
    const path = this.nodes.get(phandle)?.path;
    if (path === undefined) return phandle;
    let hash = 0x811c9dc5;
    for (const character of path) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193) >>> 0;
    return hash;
  }
}

/** Rewrites every reference of the tree to its canonical number. */
function canonicalise(root: DeviceTreeNode): DeviceTreeNode {
  const tree = new Phandles(root);
  const rewritten = [...root.walk()].flatMap(({ node }) =>
    Object.entries(references).flatMap(([property, rewrite]) => {
      const cells = node.has(property) ? node.getU32s(property) : undefined;
      return cells === undefined ? [] : [{ node, property, cells: rewrite(cells, tree, node) }];
    }),
  );
  for (const { node, property, cells } of rewritten) node.setU32(property, ...cells);
  return root;
}

/** Differences as sentences: those that nobody allowed, and the names of the allowances that were used. */
export function compareByMeaning(
  left: DeviceTreeNode,
  right: DeviceTreeNode,
  allowed: readonly AllowedDifference[] = [],
): { readonly differences: string[]; readonly used: string[] } {
  const used = new Set<string>();
  const differences = compareTrees(canonicalise(left), canonicalise(right)).filter((sentence) => {
    const [, path, property] = /^(\/[^\s:]*)(?::(\S+))? is /.exec(sentence) ?? [];
    const allowance = path === undefined ? undefined : allowed.find((a) => a.matches(path, property));
    if (allowance !== undefined) used.add(allowance.name);
    return allowance === undefined;
  });
  return { differences, used: [...used].sort() };
}

/** Reads a .dtb, or a .dts by way of dtc. */
export function readTree(file: string): DeviceTreeNode {
  if (!file.endsWith(".dts")) return parseTree(readFileSync(file)).root;
  return parseTree(execFileSync("dtc", ["-q", "-I", "dts", "-O", "dtb", file])).root;
}

/** True when the device tree compiler is installed. */
export function hasDtc(): boolean {
  try {
    execFileSync("dtc", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function main(args: readonly string[]): void {
  const files = args.filter((arg) => arg !== "--qemu");
  const [left, right] = files;
  if (left === undefined || right === undefined || files.length !== 2) {
    process.stderr.write("usage: tsx tools/compare-dt.ts [--qemu] LEFT RIGHT\n");
    process.exitCode = 2;
    return;
  }
  const allowed = args.includes("--qemu") ? allowedDifferences : [];
  const { differences, used } = compareByMeaning(readTree(left), readTree(right), allowed);
  for (const name of used) process.stdout.write(`allowed: ${name}\n`);
  for (const difference of differences) process.stdout.write(`${difference}\n`);
  if (differences.length > 0) process.exitCode = 1;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  main(process.argv.slice(2));
