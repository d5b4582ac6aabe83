// A share of `npm run faults:migration`, and that it finds what is broken on purpose.
import { expect, test } from "vitest";
import { FaultRuns } from "../model/migration/fault-run.ts";
import { SABOTAGES } from "../model/migration/sabotage.ts";

test("whatever goes wrong, one side runs the machine, and nothing of it is lost", async () => {
  const runs = new FaultRuns(7);
  const outcomes: string[] = [];
  for (let i = 0; i < 6; i++) outcomes.push((await runs.run()).outcome);
  await runs.end();
  expect(outcomes).toHaveLength(6);
});

// All of them: `npm run faults:migration -- --sabotage`.
test.each([
  "the source goes on after it gave the machine over",
  "pages are lost, and only the guest can tell",
  "a device's stream stays open",
])("it is found when %s", async (what) => {
  const sabotage = SABOTAGES[what]!;
  const runs = new FaultRuns(1, { fault: sabotage.fault, sabotage });
  await expect(runs.run()).rejects.toThrow(sabotage.finding);
  await runs.end();
});
