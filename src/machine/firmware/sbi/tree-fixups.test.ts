import { describe, expect, test } from "vitest";
import { DeviceTreeNode } from "../../../format/index.ts";
import { plainOptions } from "../../virt/options.ts";
import { buildBoardTree } from "../../virt/device-tree.ts";
import { fixUpTree } from "./tree-fixups.ts";

const isa = { base: "rv64i", extensions: ["i"], mmuType: "riscv,sv57" };

describe("the guest's tree", () => {
  test("has the PLIC's machine contexts off and its supervisor contexts as they were", () => {
    const root = buildBoardTree({
      harts: [0, 1].map((id) => ({ id, isa })),
      memoryBytes: 1 << 28,
      options: plainOptions,
    });
    const plic = root.find("/soc/interrupt-controller@c000000")!;
    const before = plic.getU32s("interrupts-extended")!;
    fixUpTree(root);
    const [intc0, , , , intc1] = before;
    expect(plic.getU32s("interrupts-extended")).toEqual([intc0, 0xffffffff, intc0, 9, intc1, 0xffffffff, intc1, 9]);
  });

  test("leaves machine timer and software interrupts as the board has them", () => {
    const root = buildBoardTree({ harts: [{ id: 0, isa }], memoryBytes: 1 << 28, options: plainOptions });
    const before = root.find("/soc/clint@2000000")!.getU32s("interrupts-extended");
    fixUpTree(root);
    expect(root.find("/soc/clint@2000000")!.getU32s("interrupts-extended")).toEqual(before);
  });

  test("has the machine's interrupt domain and interrupt files off, and the supervisor's as they were", () => {
    const harts = [{ id: 0, isa }];
    const status = (aia: "aplic" | "aplic-imsic"): Record<string, string | undefined> => {
      const root = buildBoardTree({ harts, memoryBytes: 1 << 28, options: { aclint: false, aia } });
      fixUpTree(root);
      const chips = root.find("/soc")!.children.filter(({ name }) => name.startsWith("interrupt-controller@"));
      return Object.fromEntries(chips.map((node) => [node.name.slice(21), node.getString("status")]));
    };
    expect(status("aplic")).toEqual({ c000000: "disabled", d000000: undefined });
    expect(status("aplic-imsic")).toEqual({
      c000000: "disabled",
      d000000: undefined,
      "24000000": "disabled",
      "28000000": undefined,
    });
  });

  test("has a hart without an MMU disabled", () => {
    const root = new DeviceTreeNode();
    const cpus = root.add("cpus");
    cpus.add("cpu@0").setU32("reg", 0).setString("status", "okay").setString("mmu-type", "riscv,sv39");
    cpus.add("cpu@1").setU32("reg", 1).setString("status", "okay");
    cpus.add("cpu-map");
    fixUpTree(root);
    expect(cpus.children.map((node) => node.getString("status"))).toEqual(["okay", "disabled", undefined]);
  });

  test("stays as it is where there is nothing to change", () => {
    const root = new DeviceTreeNode();
    root.add("soc").add("plic@0").setStrings("compatible", "riscv,plic0");
    fixUpTree(root);
    expect([...root.find("/soc/plic@0")!.properties.keys()]).toEqual(["compatible"]);
  });
});
