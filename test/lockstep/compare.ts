// Runs programs in two ways and tells where they part.
import { fitting, type Outcome } from "./batch.ts";
import type { LockstepCpu } from "./cpu.ts";
import { makeImage } from "./image.ts";
import type { Keeper } from "./keeper.ts";
import type { Program } from "./program.ts";
import type { Runner } from "./runner.ts";

export interface Setting {
  readonly cpu: LockstepCpu;
  readonly keeper: Keeper;
  readonly runners: readonly [Runner, Runner];
}

export interface Comparison {
  /** Index of the first digest that differs: a block, or the number of blocks for memory; undefined when all agree. */
  readonly parting: number | undefined;
  readonly outcomes: readonly [Outcome, Outcome];
}

/** The programs in order, batch by batch. */
export async function compare(programs: readonly Program[], setting: Setting): Promise<Comparison[]> {
  const { cpu, keeper, runners } = setting;
  const images = programs.map((program) => makeImage(program, cpu, keeper).bytes);
  const answers: Comparison[] = [];
  while (answers.length < images.length) {
    const rest = images.slice(answers.length);
    const batch = rest.slice(0, fitting(rest));
    const outcomes = [await complete(runners[0], batch), await complete(runners[1], batch)] as const;
    const areCounted = runners.every(({ countsInstructions }) => countsInstructions);
    batch.forEach((_, i) => answers.push(comparison(outcomes[0][i]!, outcomes[1][i]!, areCounted)));
  }
  return answers;
}

/** A program that does not come to its end takes those behind it with it, so they are run again. */
async function complete(runner: Runner, images: readonly Uint8Array[]): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  while (outcomes.length < images.length) {
    const { outcomes: some, isEnded } = await runner.run(images.slice(outcomes.length));
    const stuck = isEnded ? -1 : some.findIndex((outcome) => outcome.status === "unfinished");
    outcomes.push(...(stuck < 0 ? some : some.slice(0, stuck + 1)));
  }
  return outcomes;
}

function comparison(a: Outcome, b: Outcome, areCounted: boolean): Comparison {
  const outcomes = [a, b] as const;
  const length = Math.max(a.digests.length, b.digests.length);
  const parting = Array.from({ length }).findIndex((_, i) => a.digests[i] !== b.digests[i]);
  if (parting >= 0) return { parting, outcomes };
  const isSame = a.status === b.status && (!areCounted || a.retired === b.retired);
  return { parting: isSame ? undefined : length, outcomes };
}
