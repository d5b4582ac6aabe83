// Every program: its source, the environments that it runs in, and what of a CPU it needs.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { programOf, type Table } from "./table.ts";
import { floatTables } from "./tables/floats.ts";
import { integerTables } from "./tables/integers.ts";
import { memoryTables, memoryTail } from "./tables/memory.ts";

/** `machine` is the physical one; in the others the program is in user mode, its pages filled on demand. */
export type Environment = "machine" | "sv39" | "sv48" | "sv57";

export interface Program {
  readonly name: string;
  readonly environments: readonly Environment[];
  /** Options beyond `-M virt -bios none -kernel FILE -monitor none`. */
  readonly options: readonly string[];
  /** Why a QEMU is not asked: the section of the specification that it differs from, or what it lacks. */
  readonly notOnQemu?: string;
  /** As `notOnQemu`, for versions before 10 only. */
  readonly notOnOldQemu?: string;
  source(): string;
}

type Facts = Partial<Pick<Program, "environments" | "options" | "notOnQemu" | "notOnOldQemu">>;

const everywhere: readonly Environment[] = ["machine", "sv39", "sv48", "sv57"];
const max = ["-cpu", "max"];
const pageKinds = ["-cpu", "rv64,svnapot=on,svpbmt=on,svinval=on"];
const folder = join(import.meta.dirname, "programs");

/** What is special about a program; the others run on the default CPU. */
const noMax: Facts = { options: max, notOnOldQemu: "it has no CPU `max`" };
const facts: Readonly<Record<string, Facts>> = {
  zbb: { notOnOldQemu: "ctzw of a negative number whose low half is zero (Zbb)" },
  zbkb: noMax,
  zicond: noMax,
  "zfh-arithmetic": noMax,
  "zfh-fused": noMax,
  "zfh-comparisons": noMax,
  "zfh-conversions": noMax,
  "access-faults": { notOnOldQemu: "atomics fault there as loads (privileged spec, table 15)" },
  "accessed-dirty": { notOnOldQemu: "it has no menvcfg.ADUE" },
  "cache-blocks": { notOnOldQemu: "it has no Zicboz" },
  "counted-time": { options: ["-icount", "shift=0"] },
  harts: { options: ["-smp", "4"] },
  "interrupt-order": { notOnQemu: "the lowest number comes first there (privileged spec §3.1.9)" },
  "medeleg-bits": { notOnQemu: "bit 11 of medeleg is writable there (privileged spec §3.1.8)" },
  misaligned: { notOnQemu: "sc without a reservation does not trap there (unprivileged spec §13.2)" },
  "page-kinds": { options: pageKinds, notOnOldQemu: "menvcfg.PBMTE does not matter there (privileged spec §12)" },
  "protection-reserved": { notOnQemu: "pmpcfg takes W without R there (privileged spec §3.7.1)" },
  "reserved-memory-type": { options: pageKinds, notOnQemu: "type 3 is taken there (privileged spec §12)" },
  "protection-address-bits": { notOnQemu: "it keeps all 64 bits (privileged spec §3.7.1)" },
  "retired-instructions": { notOnQemu: "minstret is the host's clock there (unprivileged spec §6.1.1)" },
  "trigger-zero": { notOnQemu: "it is ignored there (debug spec 1.0 §5.7.2)" },
  "user-fences": { options: pageKinds, notOnQemu: "they are taken there (privileged spec §13)" },
  "walk-access": { notOnQemu: "it is a page fault there (privileged spec §10.3.2)" },
  "status-fields": { notOnOldQemu: "MPP takes 2 there (privileged spec §3.1.6.1)" },
};

function fromTables(name: string, tables: () => readonly Table[], tail: string): Program {
  return {
    name,
    environments: everywhere,
    options: [],
    source: () => programOf(tables()) + tail,
    ...facts[name],
  };
}

const fromSets = (sets: Readonly<Record<string, () => readonly Table[]>>, tail = ""): Program[] =>
  Object.entries(sets).map(([name, tables]) => fromTables(name, tables, tail));

const written: readonly Program[] = readdirSync(folder)
  .filter((file) => file.endsWith(".S"))
  .sort()
  .map((file) => {
    const name = file.slice(0, -2);
    return {
      name,
      environments: ["machine"],
      options: [],
      source: () => readFileSync(join(folder, file), "utf8"),
      ...facts[name],
    };
  });

export const programs: readonly Program[] = [
  ...fromSets(integerTables),
  ...fromSets(memoryTables, memoryTail),
  ...fromSets(floatTables),
  ...written,
];
