// A share of the architecture's programs; `npm run arch` runs all of them, in every environment, and asks QEMU too.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createMachine } from "../../src/machine/index.ts";
import { ended, run } from "../../src/machine/testing/program-run.ts";
import { has } from "../support/tools.ts";
import { buildProgram, compiler } from "./build.ts";
import { execute, ratite } from "./execute.ts";
import { programs, type Environment, type Program } from "./programs.ts";

const optionAfter = (options: readonly string[], name: string): string | undefined => {
  const at = options.indexOf(name);
  return at < 0 ? undefined : options[at + 1];
};

async function runHere(program: Program, environment: Environment): Promise<unknown> {
  const [model = "rv64", ...features] = (optionAfter(program.options, "-cpu") ?? "rv64").split(",");
  const { config, host } = run([0], 0x8000_0000, {
    firmware: "none",
    memoryBytes: 32 << 20,
    smp: Number(optionAfter(program.options, "-smp") ?? 1),
    cpu: { model, features: Object.fromEntries(features.map((f) => [f.split("=")[0]!, f.endsWith("=on")])) },
    ...(program.options.includes("-icount") ? { icount: { shift: 0, align: false, sleep: false } } : {}),
    kernel: { name: program.name, bytes: readFileSync(buildProgram(program, environment)) },
  });
  return ended(createMachine(config, host));
}

/** One environment each, so that every environment has its turn. */
const share = programs
  .filter((program, i) => program.environments.length === 1 || i % 4 === 0)
  .map((program, i): [string, Program, Environment] => {
    const environment = program.environments[i % program.environments.length]!;
    return [`${program.name} in ${environment}`, program, environment];
  });

describe.skipIf(!has(compiler))(`programs (skipped where ${compiler} is not installed)`, () => {
  test.each(share)("%s", async (_title, program, environment) => {
    expect(await runHere(program, environment)).toMatchObject({ status: 0 });
  });

  test("one that fails ends the program with the number of its case", async () => {
    const failing: Program = {
      name: "failing",
      environments: ["machine"],
      options: [],
      source: () => `#include "arch.h"\n .globl main\nmain: case 7\n li a0, 1\n expect a0, 2\n j pass\n`,
    };
    expect(await execute(ratite, buildProgram(failing, "machine"), [])).toEqual({
      status: 7,
      output: "c00000007r00000000",
    });
  });
});
