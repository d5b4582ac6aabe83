// Random programs on Ratite and on QEMU: the same digests of state after every block.
import { expect, test } from "vitest";
import { referenceQemu, type ReferenceQemu } from "../support/reference-qemu.ts";
import { compare, type Setting } from "./compare.ts";
import { generate } from "./generate.ts";
import { programText, type Program } from "./program.ts";
import { compareBlock } from "./report.ts";
import { closeSetting, lockstepCpus, makeSetting } from "./setting.ts";

const qemu = await referenceQemu();
const missing = "missing" in qemu ? ` (${qemu.missing})` : "";

/** What differs, in words; empty when nothing does. */
async function differences(programs: readonly Program[], setting: Setting): Promise<string[]> {
  const answers = await compare(programs, setting);
  const texts: string[] = [];
  for (const [i, { parting }] of answers.entries()) {
    if (parting !== undefined) texts.push(await compareBlock(programs[i]!, parting, setting));
  }
  return texts;
}

const some = (setting: Setting, first: bigint, count: number): Program[] =>
  Array.from({ length: count }, (_, i) => generate(first + BigInt(i), setting.cpu));

test("a seed makes the same program each time, another seed another", () => {
  const { cpu } = makeSetting("rv64");
  const text = (seed: bigint): string => programText(generate(seed, cpu));
  expect(text(5n)).toBe(text(5n));
  expect(text(5n)).not.toBe(text(6n));
});

test("two runs of a program leave the same digests and execute the same number of instructions", async () => {
  const setting = makeSetting("max");
  const { parting, outcomes } = (await compare(some(setting, 7n, 1), setting))[0]!;
  expect(parting).toBeUndefined();
  expect(outcomes[1]).toEqual(outcomes[0]);
  expect(outcomes[0].status).toBe("done");
  expect(outcomes[0].digests).toHaveLength(65);
});

test.skipIf("missing" in qemu).each(lockstepCpus)(
  `%s: programs of a fixed seed agree with QEMU${missing}`,
  async (cpu) => {
    const setting = makeSetting(cpu, qemu as ReferenceQemu);
    expect(await differences(some(setting, 1n, 8), setting)).toEqual([]);
    await closeSetting(setting);
  },
);
