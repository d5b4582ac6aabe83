import { expect, test } from "vitest";
import { BlockGraph } from "./graph.ts";
import { MemoryNode } from "./memory.ts";

function graphOf(...names: string[]) {
  const graph = new BlockGraph();
  const nodes = names.map((nodeName) => new MemoryNode({ nodeName, content: 512 }));
  for (const node of nodes) graph.add(node);
  return { graph, nodes };
}

test("a node is found by its name", () => {
  const { graph, nodes } = graphOf("a", "b");
  expect(graph.find("b")).toBe(nodes[1]);
  expect(graph.find("c")).toBeUndefined();
  expect([...graph.nodes.keys()]).toEqual(["a", "b"]);
});

test("a name is given once", () => {
  const { graph } = graphOf("a");
  expect(() => graph.add(new MemoryNode({ nodeName: "a", content: 0 }))).toThrow("Duplicate node name 'a'");
});

test("a node has one user until it is released", () => {
  const { graph, nodes } = graphOf("a");
  expect(graph.claim("a", "device 'disk0'")).toBe(nodes[0]);
  expect(() => graph.claim("a", "device 'disk1'")).toThrow("Block node 'a' is used by device 'disk0'");
  graph.release("a");
  expect(graph.claim("a", "device 'disk1'")).toBe(nodes[0]);
});

test("a missing node is said with those that exist", () => {
  const { graph } = graphOf("a", "b");
  expect(() => graph.claim("c", "device 'disk0'")).toThrow("Cannot find block node 'c'; there are 'a', 'b'");
});

test("a node in use is not removed; a free one is closed and forgotten", async () => {
  const { graph, nodes } = graphOf("a");
  graph.claim("a", "device 'disk0'");
  await expect(graph.remove("a")).rejects.toMatchObject({ code: "inUse" });
  graph.release("a");
  await graph.remove("a");
  expect(graph.find("a")).toBeUndefined();
  await expect(nodes[0]!.flush()).rejects.toMatchObject({ code: "closed" });
});

test("closing closes every node, even when one fails", async () => {
  const { graph, nodes } = graphOf("a", "b");
  nodes[0]!.close = () => Promise.reject(new Error("stuck"));
  await expect(graph.close()).rejects.toThrow("stuck");
  await expect(nodes[1]!.flush()).rejects.toMatchObject({ code: "closed" });
});
