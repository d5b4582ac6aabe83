// A fixed share of `npm run property:iommufd`.
import { expect, test } from "vitest";
import { runModel } from "./model-run.ts";

test.for([0, 1, 2, 3])("random operations agree with a naive space, and nothing leaks (seed %i)", (seed) => {
  expect(() => runModel(seed, 3000)).not.toThrow();
});
