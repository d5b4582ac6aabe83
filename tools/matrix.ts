// Boots every kernel with every number of harts to the shell and powers off. Resumable: what is in the results file is
// not run again; `--fresh` begins anew. `--share N` runs the first N only.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withGuest } from "./guest-session.ts";

const results = join(import.meta.dirname, "..", "test", "results");
const file = join(results, "matrix.json");
const guests = ["debian", "debian-backports"];
const harts = [1, 2, 4];

type Outcome = { seconds: number; kernel: string } | { error: string };

const argument = (name: string): string | undefined => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const share = Number(argument("--share") ?? Number.POSITIVE_INFINITY);
const fresh = process.argv.includes("--fresh");
const known = new Map<string, Outcome>(
  fresh ? [] : Object.entries(JSON.parse(await readFile(file, "utf8").catch(() => "{}")) as Record<string, Outcome>),
);

await mkdir(results, { recursive: true });
const cases = guests.flatMap((guest) => harts.map((cpus) => ({ guest, cpus }))).slice(0, share);
let failed = 0;
for (const { guest, cpus } of cases) {
  const name = `${guest} × ${cpus}`;
  let outcome = known.get(name);
  if (outcome === undefined || "error" in outcome) {
    outcome = await boot(guest, cpus);
    known.set(name, outcome);
    await writeFile(file, JSON.stringify(Object.fromEntries(known), undefined, 2));
  }
  if ("error" in outcome) failed++;
  console.log(
    `${name.padEnd(24)} ${"error" in outcome ? `FAILED ${outcome.error}` : `${outcome.seconds.toFixed(1)} s  ${outcome.kernel}`}`,
  );
}
console.log(`${cases.length - failed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

async function boot(guest: string, cpus: number): Promise<Outcome> {
  try {
    let outcome: Outcome = { error: "no shell" };
    await withGuest({ guest, cpus }, async (session) => {
      const kernel = (await session.run("uname -r")).trim();
      const found = Number(await session.run("nproc"));
      outcome =
        found === cpus ? { seconds: session.bootSeconds, kernel } : { error: `${found} of ${cpus} harts came up` };
    });
    return outcome;
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}
