import { describe, expect, test } from "vitest";
import { DeviceTreeNode, parseTree } from "../src/format/index.ts";
import { createMachine } from "../src/machine/index.ts";
import { run } from "../src/machine/testing/program-run.ts";
import { allowedDifferences, compareByMeaning, hasDtc, readTree } from "./compare-dt.ts";

/** The tree of a machine as it is built, with QEMU's default CPU: what `-M virt,…,dumpdtb=FILE -smp 2 -m 1G` writes. */
async function boardTree(boardOptions: Readonly<Record<string, string>> = {}): Promise<DeviceTreeNode> {
  const { config, host } = run([0x6f], 0x8000_0000, { firmware: "none", boardOptions, smp: 2, memoryBytes: 1024 ** 3 });
  const { kernel: _kernel, ...withoutKernel } = config;
  const machine = createMachine(withoutKernel, host);
  const { root } = parseTree(machine.boardDeviceTree);
  await machine.close();
  return root;
}

describe("the board's tree and QEMU 11.1.3's for -smp 2 -m 1G", () => {
  test.skipIf(!hasDtc()).each<[string, Readonly<Record<string, string>>]>([
    ["plain", {}],
    ["aclint", { aclint: "on" }],
    ["aplic", { aia: "aplic" }],
    ["imsic", { aia: "aplic-imsic" }],
  ])("mean the same apart from what is allowed by name: %s (needs dtc)", async (fixture, options) => {
    const qemu = readTree(`test/fixtures/qemu-virt/${fixture}.dts`);
    const { differences, used } = compareByMeaning(await boardTree(options), qemu, allowedDifferences);
    expect(differences).toEqual([]);
    expect(used).toEqual(allowedDifferences.map(({ name }) => name).sort());
  });
});

/** Nodes a, b and c; c's interrupt goes to the node with phandle `target`. */
function wired(a: number, b: number, target: number, irq: number): DeviceTreeNode {
  const root = new DeviceTreeNode();
  root.add("a").setU32("#interrupt-cells", 1).phandle = a;
  root.add("b").setU32("#interrupt-cells", 1).phandle = b;
  root.add("c").setU32("interrupts-extended", target, irq).setU32("interrupt-parent", target);
  return root;
}

describe("comparing by meaning", () => {
  test("other phandle values for the same nodes are no difference", () => {
    expect(compareByMeaning(wired(1, 2, 1, 9), wired(7, 1, 7, 9)).differences).toEqual([]);
  });

  test("an interrupt that goes to another node is a difference, in each property that says so", () => {
    expect(compareByMeaning(wired(1, 2, 1, 9), wired(1, 2, 2, 9)).differences).toHaveLength(2);
  });

  test("an interrupt number that equals a phandle is not taken for one", () => {
    expect(compareByMeaning(wired(3, 5, 3, 3), wired(4, 5, 4, 3)).differences).toEqual([]);
    expect(compareByMeaning(wired(3, 5, 3, 3), wired(4, 5, 4, 4)).differences).toHaveLength(1);
  });

  test("a device that nobody allowed to be missing is reported", async () => {
    const less = await boardTree();
    less.find("/soc")!.remove("rtc@101000");
    expect(compareByMeaning(less, await boardTree(), allowedDifferences).differences).toEqual([
      "/soc/rtc@101000 is only in the right tree",
    ]);
  });
});
