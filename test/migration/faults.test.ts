// A share of `npm run faults:migration`.
import { expect, test } from "vitest";
import { FaultRuns } from "../model/migration/fault-run.ts";

test("whatever goes wrong, one side runs the machine, and nothing of it is lost", async () => {
  const runs = new FaultRuns(7);
  const outcomes: string[] = [];
  for (let i = 0; i < 6; i++) outcomes.push((await runs.run()).outcome);
  await runs.end();
  expect(outcomes).toHaveLength(6);
});
