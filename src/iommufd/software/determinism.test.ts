// The same calls give the same ids, the same bytes and the same host, every time.
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { everyObject, leaveScene, makeScene } from "./test-scenario.ts";
import { testBench } from "./test-bench.ts";

/** Everything that a caller can see of a run: its ids and memory after each step, and the host at the end. */
function run(): readonly unknown[] {
  const bench = testBench({}, { space: { id: 1 } });
  const scene = makeScene(bench);
  const seen: unknown[] = [];
  for (const step of everyObject) {
    step.run(scene);
    seen.push([...scene.ids], createHash("sha256").update(bench.bytes).digest("hex"));
  }
  seen.push(bench.host.snapshot());
  leaveScene(scene);
  bench.caller.files.closeAll();
  return seen;
}

test("the same calls give the same ids and bytes, and an equal host", () => {
  expect(run()).toEqual(run());
});

test("ids are the lowest free ones, whatever order they were given back in", () => {
  const { client } = testBench();
  const ids = Array.from({ length: 6 }, () => client.ioasAlloc());
  expect(ids).toEqual([1, 2, 3, 4, 5, 6]);
  for (const id of [4, 2, 5]) client.destroy(id);
  expect(Array.from({ length: 4 }, () => client.ioasAlloc())).toEqual([2, 4, 5, 7]);
});
