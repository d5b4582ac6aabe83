import { expect, test } from "vitest";
import { nodeRng } from "./rng.ts";
import { createRateLimitedTrace } from "./trace.ts";

test("a source is limited per second and its suppressed lines are counted", () => {
  let nowNs = 0;
  const lines: string[] = [];
  const trace = createRateLimitedTrace({
    clock: { nowNs: () => nowNs },
    line: (text) => lines.push(text),
    linesPerSecond: 2,
  });
  for (let i = 0; i < 10; i++) trace.guestError("uart0", `bad register ${i}`);
  trace.guestError("plic", "bad source");
  nowNs = 2e9;
  trace.guestError("uart0", "again");
  expect(lines).toEqual([
    "guest error: uart0: bad register 0",
    "guest error: uart0: bad register 1",
    "guest error: plic: bad source",
    "guest error: uart0: 8 more not shown",
    "guest error: uart0: again",
  ]);
});

test("random bytes can be put into shared memory", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(64));
  // oxlint-disable-next-line unicorn/no-array-fill-with-reference-type
  nodeRng.fill(shared);
  expect(new Set(shared).size).toBeGreaterThan(8);
});
