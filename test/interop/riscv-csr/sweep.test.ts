// Every CSR number in every mode, read and written with patterns, on the reference QEMU and here (sweep.c).
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { csrByNumber } from "../../../src/target/riscv/csr/table.ts";
import { buildProgram, crossCompiler, runHere, runOnReference } from "../../support/bare-metal.ts";
import { referenceQemu, type ReferenceQemu } from "../../support/reference-qemu.ts";
import { has, inFolder } from "../../support/tools.ts";
import { csrExceptions, type CsrException } from "./exceptions.ts";

const reference = await referenceQemu();
const isMissing = "missing" in reference;
const source = readFileSync(new URL("sweep.c", import.meta.url), "utf8");

const stages = ["at reset", "in M", "in S, closed", "in U, closed", "in S, open", "in U, open"];
const recordBytes = 12;
const otherTrap = 0x80;
const otherValue = 0x40;

/** Values by stage, number and pattern; what is not there was an illegal instruction. */
type Sweep = ReadonlyMap<string, bigint>;

function readSweep(output: Buffer): Sweep {
  const sweep = new Map<string, bigint>();
  for (let at = 0; at + recordBytes <= output.length; at += recordBytes) {
    const [stage, number, pattern] = [output[at]!, output.readUInt16LE(at + 1), output[at + 3]!];
    sweep.set(`${stage} ${number} ${pattern}`, output.readBigUInt64LE(at + 4));
  }
  return sweep;
}

function covers(
  exception: CsrException,
  pattern: number,
  theirs: bigint | undefined,
  ours: bigint | undefined,
): boolean {
  if (exception.readOnly === true && pattern !== 0) return false;
  if (theirs === undefined || ours === undefined) return exception.presence === true;
  if (exception.allows !== undefined) return exception.allows(theirs, ours);
  return exception.bits === undefined;
}

const used = new Set<string>();

/** Differences that no exception covers; several exceptions may each explain their bits of a value. */
function compare(theirs: Sweep, ours: Sweep): string[] {
  return [...new Set([...theirs.keys(), ...ours.keys()])].flatMap((key) => {
    const [stage, number, pattern] = key.split(" ").map(Number) as [number, number, number];
    const [their, our] = [theirs.get(key), ours.get(key)];
    if (their === our) return [];
    const candidates = csrExceptions.filter(({ numbers }) => numbers.includes(number));
    const whole = candidates.find((exception) => covers(exception, pattern, their, our));
    if (whole !== undefined) {
      used.add(whole.reason);
      return [];
    }
    let different = their === undefined || our === undefined ? -1n : their ^ our;
    for (const { bits, readOnly, reason } of candidates) {
      if (bits === undefined || (readOnly === true && pattern !== 0) || (different & bits) === 0n) continue;
      used.add(reason);
      different &= ~bits;
    }
    return BigInt.asUintN(64, different) === 0n ? [] : [describeDifference({ stage, number, pattern }, their, our)];
  });
}

function describeDifference(
  { stage, number, pattern }: { stage: number; number: number; pattern: number },
  theirs: bigint | undefined,
  ours: bigint | undefined,
): string {
  const name = csrByNumber[number]?.name ?? `0x${number.toString(16)}`;
  const how = (pattern & otherTrap) !== 0 ? " traps" : (pattern & otherValue) !== 0 ? " has another trap value" : "";
  const index = pattern & ~(otherTrap | otherValue);
  const what = `${index === 0 ? "read" : `pattern ${index}`}${how}`;
  const shown = (value: bigint | undefined): string => (value === undefined ? "illegal" : value.toString(16));
  return `${name} ${stages[stage]}, ${what}: QEMU ${shown(theirs)}, here ${shown(ours)}`;
}

const off = (...names: readonly string[]): string[] => names.map((name) => `${name}=off`);
/** How QEMU comes to what a CPU is here. */
const properties: Readonly<Record<string, readonly string[]>> = {
  rv64: off("h"),
  // Its PMP came with QEMU 10.1.
  rva22s64: [...off("h"), "pmp=on"],
  max: [
    ...off("h", "v", "zicfilp", "zicfiss", "sscofpmf", "smcdeleg", "ssccfg", "smcntrpmf", "smctr", "ssctr", "ssdbltrp"),
    ...off("smmpm", "smnpm", "ssnpm"),
  ],
};

describe.skipIf(!has(crossCompiler) || isMissing)(
  `CSRs and QEMU's ${isMissing ? reference.missing : reference.version}`,
  () => {
    test.each(Object.keys(properties))("of %s", (cpu) => {
      const [theirs, ours] = inFolder((folder) => {
        const elf = buildProgram(folder, { c: source });
        const theirCpu = [cpu, ...properties[cpu]!].join(",");
        return [
          readSweep(runOnReference(reference as ReferenceQemu, { elf, cpu: theirCpu, folder })),
          readSweep(runHere({ elf, cpu, folder })),
        ];
      });
      expect(ours.size).toBeGreaterThan(1500);
      expect(compare(theirs, ours)).toEqual([]);
    });

    afterAll(() => {
      // Newer versions may have mended what 10 does.
      if (isMissing || !reference.version.startsWith("10.")) return;
      expect(csrExceptions.map(({ reason }) => reason).filter((reason) => !used.has(reason))).toEqual([]);
    });
  },
);
