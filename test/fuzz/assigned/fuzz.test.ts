// A fixed share of `npm run fuzz:assigned`.
import { expect, test } from "vitest";
import { fuzzAssigned } from "./hostile-guest.ts";

test("a hostile guest stays in its memory, and its machine runs on", async () => {
  for (let seed = 1; seed <= 3; seed++) expect(await fuzzAssigned(seed, 200)).toBeUndefined();
});
