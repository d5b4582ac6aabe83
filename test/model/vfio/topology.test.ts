// A fixed share of `npm run property:trackers`.
import { expect, test } from "vitest";
import { SABOTAGES } from "./sabotage.ts";
import { OracleFinding, runTopology } from "./topology-run.ts";

test("no written page is missed on forty random hosts", () => {
  let writes = 0;
  for (let seed = 0; seed < 40; seed++) writes += runTopology(seed).deviceWrites;
  expect(writes).toBeGreaterThan(1000);
});

test.each(SABOTAGES)("the oracle notices when %s are lost", (sabotage) => {
  const seeds = Array.from({ length: 40 }, (_, seed) => seed);
  const noticed = seeds.filter((seed) => {
    try {
      runTopology(seed, sabotage);
      return false;
    } catch (error) {
      if (error instanceof OracleFinding) return true;
      throw error;
    }
  });
  expect(noticed.length).toBeGreaterThan(0);
});
