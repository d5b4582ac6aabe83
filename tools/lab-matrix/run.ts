// `npm run lab:matrix`: `ratite lab migrate` on every host of the seed's matrix, by each policy (cases.ts). Where a move is
// allowed the guest is moved ten times, nothing may be lost, and each device's writes have to come from the source that was
// planned; where it is not, a machine, `migrate`, `host check` and `lab migrate` have to say the same. Resumable: what has
// passed is in the results file and not run again.
//
//     npm run lab:matrix -- --fresh          from the beginning
//     npm run lab:matrix -- --share N        the first N only; --seed S for another order
//     npm run lab:matrix -- --only "mixed × all/first × hwpt × 4 × tcp"     this one; may be repeated
//     npm run lab:matrix -- --only refused   all whose name has this in it
//     npm run lab:matrix -- --guest small    a program that looks itself whether it lost anything, in place of Debian: minutes
//     npm run lab:matrix -- --moves N        in place of ten; has its own results
//     npm run lab:matrix -- --jobs N         so many at a time; default 2 where there are two cores
//     npm run lab:matrix -- --list, --json   the names alone; data instead of lines
import { join } from "node:path";
import { parseArgs } from "node:util";
import { fetchGuest } from "../../src/guest/index.ts";
import { catchEndSignals, nodeGuestHost, signalExitStatus } from "../../src/host/node/index.ts";
import { caseOptions, chooseCases, positive, runCases } from "../support/case-runs.ts";
import { caseName, labCases } from "./cases.ts";
import { runCase, type Outcome } from "./one.ts";

const { values } = parseArgs({
  options: {
    ...caseOptions,
    seed: { type: "string", default: "1" },
    guest: { type: "string", default: "debian" },
    moves: { type: "string", default: "10" },
    list: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const NAME_COLUMNS = 52;
const moves = positive("moves", values.moves);
const chosen = chooseCases(labCases(positive("seed", values.seed)), caseName, values);
if (values.list) {
  for (const { name } of chosen) console.log(name);
  process.exit(0);
}

const guest = guestOf(values.guest);
const suffix = [guest === "debian" ? [] : [guest], moves === 10 ? [] : [moves]].flat().map((text) => `-${text}`);
const stop = new AbortController();
const signals = catchEndSignals((signal) => {
  process.exitCode = signalExitStatus(signal);
  stop.abort(new Error("interrupted"));
});
const told = new Map<string, Outcome>();
const count = { passed: 0, failed: 0 };
const debian = guest === "debian" ? await fetchGuest(nodeGuestHost(), "debian", { signal: stop.signal }) : undefined;
try {
  await runCases(chosen, values, {
    resultsName: `lab-matrix${suffix.join("")}`,
    run: (what) =>
      runCase(what, {
        ...{ moves, signal: stop.signal },
        ...(debian !== undefined && { debian }),
        programs: join(import.meta.dirname, "../../dist/bin"),
      }),
    hasPassed: (outcome) => !("error" in outcome),
    tell: (name, outcome) => {
      told.set(name, outcome);
      count["error" in outcome ? "failed" : "passed"]++;
      if (!values.json) console.log(`${name.padEnd(NAME_COLUMNS)} ${tell(outcome)}`);
    },
  });
} catch (error) {
  if (!stop.signal.aborted) throw error;
  console.error("interrupted; what has passed is kept");
} finally {
  signals.release();
}
if (values.json) {
  const cases = chosen.flatMap(({ what, name }) => {
    const outcome = told.get(name);
    return outcome === undefined ? [] : [{ name, ...what, ...outcome }];
  });
  console.log(JSON.stringify({ ...count, cases }, undefined, 2));
} else {
  console.log(`${count.passed} passed, ${count.failed} failed`);
}
process.exitCode ??= count.failed === 0 ? 0 : 1;

function tell(outcome: Outcome): string {
  if ("error" in outcome) return `FAILED ${outcome.error}`;
  if ("refused" in outcome) return outcome.refused.map((sentence) => sentence.split(": VFIO")[0]).join(", ");
  const { seconds, downtimesMs, rounds } = outcome.moved;
  const sorted = [...downtimesMs].sort((a, b) => a - b);
  const [median, most] = [sorted[sorted.length >> 1], sorted.at(-1)];
  return `${outcome.moved.moves} moves, ${rounds} rounds, ${seconds.toFixed(0)} s; down ${median} ms, at most ${most} ms`;
}

function guestOf(text: string): "debian" | "small" {
  if (text === "debian" || text === "small") return text;
  throw new Error(`--guest ${text}: debian or small would do`);
}
