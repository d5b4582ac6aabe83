// Random programs in two ways each, for about a minute: the same digests of state after every block.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { referenceQemu, type ReferenceQemu } from "../support/reference-qemu.ts";
import { compare, type Setting } from "./compare.ts";
import { lockstepCpu } from "./cpu.ts";
import { generate } from "./generate.ts";
import { parseProgram, programText, type Program } from "./program.ts";
import { compareBlock } from "./report.ts";
import { closeSetting, lockstepCpus, makeSetting, type Way } from "./setting.ts";

const qemu = await referenceQemu();
const isMissing = "missing" in qemu;
const reference = (isMissing ? "interpreter" : qemu) as ReferenceQemu;
const missing = isMissing ? ` (${qemu.missing})` : "";
/** Known to agree; `npm run lockstep -- --seed` takes others. */
const SEED = 2026;
/** Between Ratite's own tiers, where a difference cannot be anybody else's: another one each time. */
const freshSeed = Math.floor(Date.now() / 1000) % 1_000_000_000;
const SHARE_MS = 12_000;
const MOST_PROGRAMS = 40;
const TIMEOUT_MS = 180_000;
const PROGRAMS_AT_ONCE = 8;

/** What differs, in words; empty when nothing does. */
async function differences(programs: readonly Program[], setting: Setting): Promise<string[]> {
  const answers = await compare(programs, setting);
  const texts: string[] = [];
  for (const [i, { parting }] of answers.entries()) {
    if (parting !== undefined) texts.push(await compareBlock(programs[i]!, parting, setting));
  }
  return texts;
}

/** Runs programs of a seed for its share of the minute. */
async function share(seed: number, cpu: string, first: Way, second: Way): Promise<string[]> {
  const setting = makeSetting(cpu, first, second);
  const found: string[] = [];
  const began = performance.now();
  for (let done = 0; done < MOST_PROGRAMS && performance.now() - began < SHARE_MS; done += PROGRAMS_AT_ONCE) {
    const seedOf = (i: number): bigint => BigInt(seed) * 1_000_000n + BigInt(done + i);
    const programs = Array.from({ length: PROGRAMS_AT_ONCE }, (_, i) => generate(seedOf(i), setting.cpu));
    found.push(...(await differences(programs, setting)));
  }
  await closeSetting(setting);
  return found;
}

test("a seed makes the same program each time, another seed another", () => {
  const cpu = lockstepCpu("rv64");
  const text = (of: bigint): string => programText(generate(of, cpu));
  expect(text(5n)).toBe(text(5n));
  expect(text(5n)).not.toBe(text(6n));
});

test("two runs of a program leave the same digests and execute the same number of instructions", async () => {
  const setting = makeSetting("max", "interpreter", "interpreter");
  const { parting, outcomes } = (await compare([generate(7n, setting.cpu)], setting))[0]!;
  expect(parting).toBeUndefined();
  expect(outcomes[1]).toEqual(outcomes[0]);
  expect(outcomes[0].status).toBe("done");
  expect(outcomes[0].digests).toHaveLength(65);
});

test("a register that differs makes the digest of its block differ, and of none before", async () => {
  const setting = makeSetting("rv64", "interpreter", "interpreter");
  const block = { mode: "M", phase: 0, mstatus: 0x1800n, vectored: false, csrs: [], items: [] } as const;
  const withValue = (value: bigint): Program => ({
    cpu: "rv64",
    fill: 1n,
    worlds: [],
    tables: [],
    blocks: [
      { ...block, registers: [] },
      { ...block, registers: [[5, value]] },
    ],
  });
  const [a, b] = await compare([withValue(1n), withValue(2n)], setting);
  expect(a!.outcomes[0].digests[0]).toBe(b!.outcomes[0].digests[0]);
  expect(a!.outcomes[0].digests[1]).not.toBe(b!.outcomes[0].digests[1]);
  await closeSetting(setting);
});

test.skipIf(isMissing).each(lockstepCpus)(
  `%s: the first programs agree with QEMU${missing}`,
  { timeout: TIMEOUT_MS },
  async (cpu) => {
    const setting = makeSetting(cpu, "interpreter", reference);
    const programs = Array.from({ length: PROGRAMS_AT_ONCE }, (_, i) => generate(BigInt(i + 1), setting.cpu));
    expect(await differences(programs, setting)).toEqual([]);
    await closeSetting(setting);
  },
);

test.skipIf(isMissing).each(lockstepCpus)(
  `%s: programs of seed ${SEED} agree with QEMU${missing}`,
  { timeout: TIMEOUT_MS },
  async (cpu) => {
    expect(await share(SEED, cpu, "interpreter", reference)).toEqual([]);
  },
);

test(`programs of seed ${freshSeed} agree with and without compiled regions`, { timeout: TIMEOUT_MS }, async () => {
  expect(await share(freshSeed, "max", "jit", "interpreter")).toEqual([]);
});

const kept = join(import.meta.dirname, "kept");
const keptNames = readdirSync(kept).filter((name) => name.endsWith(".json"));
test.skipIf(isMissing).each(keptNames)(
  `%s, which once differed, agrees${missing}`,
  { timeout: TIMEOUT_MS },
  async (name) => {
    const program = parseProgram(readFileSync(join(kept, name), "utf8"));
    const setting = makeSetting(program.cpu, "interpreter", reference);
    expect(await differences([program], setting)).toEqual([]);
    await closeSetting(setting);
  },
);
