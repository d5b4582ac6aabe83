import { describe, expect, test } from "vitest";
import { blockNodeContract } from "./block-node.contract.ts";
import { MemoryNode } from "./memory.ts";

describe("a node in memory", () => {
  test.each(blockNodeContract)("$claim", async ({ check }) => {
    const make = (content: Uint8Array, readOnly: boolean) =>
      Promise.resolve(new MemoryNode({ nodeName: "m0", content, readOnly }));
    await expect(check(make)).resolves.toBeUndefined();
  });

  test("begins with zeroes when only a length is given", async () => {
    const node = new MemoryNode({ nodeName: "m0", content: 1024 });
    const into = new Uint8Array(1024).fill(1);
    await node.read(0, into);
    expect(into).toEqual(new Uint8Array(1024));
  });
});
