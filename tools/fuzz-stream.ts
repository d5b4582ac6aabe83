// Migration streams with their structure known, made up from a seed:
//   npm run fuzz:stream -- [--from SEED] [--seeds N] [--streams N]
// A run goes on where another ended by --from. A seed that fails is printed, with what would repeat it.
import { parseArgs } from "node:util";
import { StreamFuzzer } from "../test/fuzz/migration-stream.ts";

const REPORT_MS = 5000;
/** Nothing takes so long; a stream that does hangs. */
const LIMIT_MS = 60_000;

const { values } = parseArgs({
  options: {
    from: { type: "string", default: "1" },
    seeds: { type: "string", default: "100" },
    streams: { type: "string", default: "100" },
  },
});
const [from, seeds, streams] = [Number(values.from), Number(values.seeds), Number(values.streams)];

let failures = 0;
const outcomes = { loaded: 0, refused: 0 };
let reportedAt = performance.now();
for (let seed = from; seed < from + seeds; seed++) {
  const fuzzer = new StreamFuzzer(seed);
  let done = 0;
  const repeat = (): string => `seed ${seed} (--from ${seed} --seeds 1 --streams ${done + 1})`;
  try {
    for (; done < streams; done++) {
      const limit = setTimeout(() => {
        console.log(`${repeat()} hangs`);
        process.exit(1);
      }, LIMIT_MS);
      outcomes[await fuzzer.step().finally(() => clearTimeout(limit))]++;
    }
  } catch (error) {
    failures++;
    console.log(`${repeat()} fails:\n${error instanceof Error ? error.stack : String(error)}`);
  }
  await fuzzer.end().catch((error: unknown) => console.log(`${repeat()} cannot be closed: ${String(error)}`));
  if (performance.now() - reportedAt < REPORT_MS && seed + 1 < from + seeds) continue;
  reportedAt = performance.now();
  console.log(
    `seeds ${from} to ${seed}: ${outcomes.loaded} streams loaded, ${outcomes.refused} refused, ${failures} seeds failed`,
  );
}
process.exit(failures === 0 ? 0 : 1);
