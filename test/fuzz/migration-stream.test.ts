// A share of `npm run fuzz:stream`.
import { expect, test } from "vitest";
import { StreamFuzzer } from "./migration-stream.ts";

test("streams that somebody made up are refused, or are machines that run", async () => {
  const fuzzer = new StreamFuzzer(11);
  const outcomes = new Set<string>();
  for (let i = 0; i < 40; i++) outcomes.add(await fuzzer.step());
  await fuzzer.end();
  expect([...outcomes].sort()).toEqual(["loaded", "refused"]);
});
