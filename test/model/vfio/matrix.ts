// The matrix of the seed as the room's README has it: two small tables, read from the page, and multiplied here into what
// every combination must do.
import { readFileSync } from "node:fs";
import { assert } from "../../../src/base/index.ts";
import { DMA_MODES, TRACKER_POLICIES, type DmaMode, type TrackerPolicy } from "../../../src/vfio/index.ts";

const README = new URL("../../../src/vfio/README.md", import.meta.url);

/** Which of the first and second device of each kind have it. */
const SHARES = {
  all: [true, true],
  none: [false, false],
  "the first": [true, false],
  "the second": [false, true],
} as const;
export type Share = keyof typeof SHARES;
const KINDS = { PCI: ["a", "b"], mdev: ["m", "n"], both: ["a", "b", "m", "n"] } as const;

export interface Combination {
  /** Units with dirty bits; devices with a log. */
  readonly units: Share;
  readonly logs: Share;
  readonly kinds: keyof typeof KINDS;
  readonly policy: TrackerPolicy;
  readonly mode: DmaMode;
}

export interface Expected {
  /** Devices by page table, in the order of making; "+" for one with dirty bits. */
  readonly tables: readonly string[];
  /** Devices on the IOAS itself. */
  readonly mediated: string;
  /** `a: log` */
  readonly trackers: readonly string[];
  /** Devices whose page table QEMU warns of, then those that are told to count as writing everywhere. */
  readonly warnings: readonly string[];
  /** Devices that block. */
  readonly blockers: string;
}

export const combinations: readonly Combination[] = (Object.keys(SHARES) as Share[]).flatMap((units) =>
  (Object.keys(SHARES) as Share[]).flatMap((logs) =>
    (Object.keys(KINDS) as (keyof typeof KINDS)[]).flatMap((kinds) =>
      TRACKER_POLICIES.flatMap((policy) => DMA_MODES.map((mode) => ({ units, logs, kinds, policy, mode }))),
    ),
  ),
);

export function devicesOf({ units, logs, kinds }: Combination): readonly {
  readonly name: string;
  readonly isMediated: boolean;
  readonly unitHasBits: boolean;
  readonly hasLog: boolean;
}[] {
  return KINDS[kinds].map((name) => {
    const isSecond = name === "b" || name === "n" ? 1 : 0;
    const isMediated = name === "m" || name === "n";
    return { name, isMediated, unitHasBits: !isMediated && SHARES[units][isSecond], hasLog: SHARES[logs][isSecond] };
  });
}

/** What the tables say of a combination. */
export function expectedOf(combination: Combination): Expected {
  const { kinds, policy, mode, units } = combination;
  const place = row("units with dirty bits", units);
  const devices = devicesOf(combination);
  const tables = kinds === "mdev" ? [] : cell(place, mode).split(" ");
  const onBits = (name: string): boolean => tables.some((table) => table.endsWith("+") && table.includes(name));
  const allLog = devices.every(({ hasLog }) => hasLog);
  const told = devices.map(({ name, hasLog }) => {
    const has = hasLog ? (onBits(name) ? "a log and bits" : "a log") : onBits(name) ? "bits" : "neither";
    const facts = row("a device has", has);
    const column = policy === "all-or-nothing" ? (allLog ? "all log" : "not all do") : policy;
    return { name, tracker: cell(facts, column), blocks: cell(facts, "blocks") === "yes" };
  });
  const warned = kinds !== "mdev" && policy === "all-or-nothing" && mode === "hwpt" ? cell(place, "QEMU warns of") : "";
  return {
    tables,
    mediated: devices.flatMap(({ name, isMediated }) => (isMediated ? [name] : [])).join(""),
    trackers: told.map(({ name, tracker }) => `${name}: ${tracker}`),
    warnings: [
      ...(warned === "" ? [] : [`QEMU ${warned}`]),
      ...told.flatMap(({ name, tracker }) => (tracker === "all" ? [`all ${name}`] : [])),
    ],
    blockers: told.flatMap(({ name, blocks }) => (blocks ? [name] : [])).join(""),
  };
}

type Row = ReadonlyMap<string, string>;

function cell(cells: Row, column: string): string {
  const found = cells.get(column);
  assert(found !== undefined, "the README's table has the column", column);
  return found;
}

/** The row that begins with `first`, of the table whose first column is `heading`. */
function row(heading: string, first: string): Row {
  const table = tablesOfReadme.get(heading);
  const found = table?.find((cells) => cells.get(heading) === first);
  assert(found !== undefined, "the README has the row", heading, first);
  return found;
}

const tablesOfReadme = readTables(readFileSync(README, "utf8"));

function readTables(text: string): ReadonlyMap<string, readonly Row[]> {
  const tables = new Map<string, Row[]>();
  for (const block of text.split(/\n\n/).filter((part) => part.startsWith("|"))) {
    const [head = [], , ...rows] = block.trim().split("\n").map(cellsOf);
    tables.set(
      head[0]!,
      rows.map((cells) => new Map(head.map((name, i) => [name, cells[i]!]))),
    );
  }
  return tables;
}

function cellsOf(line: string): string[] {
  return line
    .slice(1, line.lastIndexOf("|"))
    .split("|")
    .map((text) => text.trim().replaceAll("`", ""));
}
