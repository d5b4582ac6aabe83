// A fixed share of `npm run property:trackers`.
import { expect, test } from "vitest";
import { SABOTAGES, sabotageName } from "./sabotage.ts";
import { runSabotaged, runTopology } from "./topology-run.ts";

test("no written page is missed on fifteen random hosts", async () => {
  let writes = 0;
  for (let seed = 0; seed < 15; seed++) writes += (await runTopology(seed)).deviceWrites;
  expect(writes).toBeGreaterThan(1000);
});

test("nor on hosts that refuse one call in twelve, and nothing is left", async () => {
  let writes = 0;
  for (let seed = 0; seed < 10; seed++) writes += (await runTopology(seed, { isFlaky: true })).deviceWrites;
  expect(writes).toBeGreaterThan(500);
});

test.each(SABOTAGES.map((sabotage) => [sabotageName(sabotage), sabotage] as const))(
  "the oracle notices: %s",
  async (_name, sabotage) => {
    // The first host on which something is lost.
    for (let seed = 0; seed < 100; seed++) if ((await runSabotaged(seed, sabotage)) === "noticed") return;
    expect.fail("nothing was lost on a hundred hosts");
  },
);
