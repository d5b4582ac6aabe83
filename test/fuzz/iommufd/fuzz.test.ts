// A fixed share of `npm run fuzz:iommufd`, without the coverage.
import { expect, test } from "vitest";
import { SeededRng } from "../../../src/base/index.ts";
import { mutate, randomProgram } from "./program.ts";
import { runProgram } from "./run-program.ts";

const STEPS = 250;

test("random programs of calls, DMA and drivers get answers, take no time and leave nothing", () => {
  const rng = new SeededRng(0x2545_f491n);
  const answers = new Set<number>();
  let last = randomProgram(rng, STEPS);
  for (let i = 0; i < 60; i++) {
    const fresh = randomProgram(rng, STEPS);
    const program = i % 2 === 0 ? fresh : mutate(rng, last, fresh, STEPS);
    for (const answer of runProgram(program).answers) answers.add(answer);
    last = program;
  }
  // Many different errnos: the calls get past the first checks.
  expect([...answers].filter((a) => a < 0).length).toBeGreaterThan(12);
});

test("a program gives the same answers every time", () => {
  const program = randomProgram(new SeededRng(7n), STEPS);
  const answersOf = (): number[] => {
    const answers: number[] = [];
    runProgram(program, undefined, (answer) => answers.push(answer));
    return answers;
  };
  expect(answersOf()).toEqual(answersOf());
});
