// Cases by the hundred, as matrices have them: which are chosen, what is known of them from earlier calls, so many at a time.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/** For `parseArgs`. */
export const caseOptions: {
  readonly fresh: { readonly type: "boolean"; readonly default: false };
  readonly share: { readonly type: "string" };
  readonly only: { readonly type: "string"; readonly multiple: true; readonly default: string[] };
  readonly jobs: { readonly type: "string"; readonly default: string };
} = {
  fresh: { type: "boolean", default: false },
  share: { type: "string" },
  only: { type: "string", multiple: true, default: [] },
  jobs: { type: "string", default: String(Math.min(2, availableParallelism())) },
};

export interface CaseValues {
  readonly fresh: boolean;
  readonly share?: string | undefined;
  readonly only: readonly string[];
  readonly jobs: string;
}

export interface NamedCase<Case> {
  readonly what: Case;
  readonly name: string;
}

/** Those with the names in `only`, or with these texts in their names; of them the first `share`. Throws when there is none. */
export function chooseCases<Case>(
  cases: readonly Case[],
  nameOf: (what: Case) => string,
  { only, share }: CaseValues,
): readonly NamedCase<Case>[] {
  const all = cases.map((what) => ({ what, name: nameOf(what) }));
  const isName = (text: string): boolean => all.some(({ name }) => name === text);
  const isWanted = (name: string): boolean =>
    only.length === 0 || only.some((text) => (isName(text) ? name === text : name.includes(text)));
  const most = share === undefined ? all.length : positive("share", share);
  const chosen = all.filter(({ name }) => isWanted(name)).slice(0, most);
  if (chosen.length === 0) throw new Error(`no case has ${only.join(" or ")} in its name`);
  return chosen;
}

export interface CaseRun<Case, Outcome> {
  /** Of the file in test/results that keeps outcomes. */
  readonly resultsName: string;
  readonly run: (what: Case) => Promise<Outcome>;
  /** It is not run again by a further call. */
  readonly hasPassed: (outcome: Outcome) => boolean;
  readonly tell: (name: string, outcome: Outcome) => void;
}

/** Each chosen case is told once; one that has passed before is told as it was. Rejects with what `run` rejects with. */
export async function runCases<Case, Outcome>(
  chosen: readonly NamedCase<Case>[],
  { fresh, jobs }: CaseValues,
  { resultsName, run, hasPassed, tell }: CaseRun<Case, Outcome>,
): Promise<void> {
  const folder = join(import.meta.dirname, "../../test/results");
  const file = join(folder, `${resultsName}.json`);
  const earlier = fresh || !existsSync(file) ? "{}" : readFileSync(file, "utf8");
  const known = new Map<string, Outcome>(Object.entries(JSON.parse(earlier) as Record<string, Outcome>));
  mkdirSync(folder, { recursive: true });
  // The workers take from one list.
  const rest = chosen.values();
  const work = async (): Promise<void> => {
    for (const { what, name } of rest) {
      let outcome = known.get(name);
      if (outcome === undefined || !hasPassed(outcome)) {
        outcome = await run(what);
        known.set(name, outcome);
        writeFileSync(file, JSON.stringify(Object.fromEntries(known), undefined, 2));
      }
      tell(name, outcome);
    }
  };
  await Promise.all(Array.from({ length: positive("jobs", jobs) }, work));
}

export function positive(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new Error(`--${option} ${text}: a whole number from 1 up`);
}
