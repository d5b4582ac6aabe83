// Every field of a host description with every kind of value that its schema has, and many that it has not, one and two at a
// time: a description is refused with a place and what would do, or it is taken and does what is said of it.
import { VmError } from "../../../src/base/index.ts";
import { DescriptionError, hostJsonSchema, readHostDescription } from "../../../src/iommufd/index.ts";
import { DMA_MODES, MIGRATION_WISHES, TRACKER_POLICIES, type PlannedUse } from "../../../src/vfio/index.ts";
import { builtInKinds } from "../../../src/vfiohost/index.ts";
import { meet, MEMORY, saidOf } from "./meet.ts";

/** As much of JSON Schema as host descriptions use. */
interface Node {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Node[];
  readonly items?: Node;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface Change {
  readonly path: readonly (string | number)[];
  /** Undefined: the field is left out. */
  readonly value: unknown;
}

const BASE = {
  units: [
    { id: "u0", profile: "vtd-ssads" },
    { id: "u1", profile: "vtd" },
  ],
  groups: [{ id: 1 }],
  devices: [
    { bdf: "0000:01:00.0", kind: "dma-engine", unit: "u0", group: 1, properties: { memory: "16k" } },
    { bdf: "0000:02:00.0", kind: "dma-engine", unit: "u1", migration: ["stop-copy"], properties: { memory: "16k" } },
    { id: "m0", kind: "mdev-serial", dmaLog: true },
  ],
};

const WRONG = [null, [], {}, "", "nonsense", "0x", "-1", -1, 1.5, 1e300, 2 ** 53, 0, true, [null], [[]], { x: 1 }];
/** Values with a meaning that no schema tells. */
const MEANT: Readonly<Record<string, readonly unknown[]>> = {
  id: ["u0", "u1", "m1", 1, 2],
  unit: ["u0", "u1", "u9"],
  group: [0, 1, 7, 65_535],
  kind: ["dma-engine", "mdev-serial", "nvme", "toaster"],
  bdf: ["0000:01:00.0", "0000:02:00.0", "0000:00:1f.7", "0000:01:00.8"],
  pageSizes: [[4096], ["4K", "2M"], [4096, 8192], [2048], [65_536], ["2M"], ["4K", "2M", "1G"]],
  aperture: [
    { start: 0, last: "0xffffffff" },
    { start: 0, last: "0x7fffffff" },
    { start: 4096, last: 0 },
    { start: 0, last: "0xffffffffffffffff" },
    { start: 1, last: 2 },
  ],
  reserved: [
    [{ start: "0x80000000", last: "0x80000fff", kind: "reserved" }],
    [{ start: "0xfee00000", last: "0xfeefffff", kind: "hw-msi" }],
    [{ start: "0x8000000", last: "0x80fffff", kind: "sw-msi" }],
    [{ start: 0, last: 4095, kind: "direct-relaxable" }],
    [{ start: 5, last: 4, kind: "direct" }],
    [{ start: 0, last: 4095, kind: "toaster" }],
  ],
  migration: [["stop-copy"], ["p2p"], ["stop-copy", "p2p", "pre-copy"], ["stop-copy", "stop-copy"]],
  properties: [{}, { memory: "1k" }, { memory: "3" }, { dma: "copy" }, { dma: 1 }, { toaster: true }],
};

/** Each changes one field. */
export function changes(): readonly Change[] {
  const { properties } = hostJsonSchema() as Node;
  const of = (list: string, at: number): Change[] => {
    const fields = Object.entries(properties![list]!.items!.properties!);
    return [
      ...fields.flatMap(([name, node]) => valuesOf(name, node).map((value) => ({ path: [list, at, name], value }))),
      { path: [list, at, "toaster"], value: 1 },
    ];
  };
  const whole = WRONG.flatMap((value) => ["units", "groups", "devices"].map((name) => ({ path: [name], value })));
  return [
    ...[...of("units", 0), ...of("groups", 0), ...of("devices", 0), ...of("devices", 2)],
    ...[...whole, { path: ["toaster"], value: 1 }],
  ];
}

function valuesOf(name: string, node: Node): unknown[] {
  const numbers = [node.minimum, node.maximum].filter((bound) => bound !== undefined);
  const past = numbers.flatMap((bound) => [bound - 1, bound + 1]);
  const booleans = node.type === "boolean" ? [true, false] : [];
  return [undefined, ...(node.enum ?? []), ...numbers, ...past, ...booleans, ...(MEANT[name] ?? []), ...WRONG];
}

/** The description with these changes. */
export function changed(list: readonly Change[]): string {
  const copy = structuredClone(BASE) as Record<string, unknown>;
  for (const { path, value } of list) {
    let at: Record<string | number, unknown> = copy;
    for (const step of path.slice(0, -1)) {
      const next = at[step];
      // Another change took away what this one is in.
      if (typeof next !== "object" || next === null) return changed(list.filter((each) => each.path !== path));
      at = next as Record<string | number, unknown>;
    }
    at[path.at(-1)!] = value;
  }
  return JSON.stringify(copy);
}

/** How a machine takes the devices; each `index` is another way. */
export function useOf(index: number): PlannedUse {
  const pick = <T>(from: readonly T[], stride: number): T => from[Math.floor(index / stride) % from.length]!;
  return {
    policy: pick(TRACKER_POLICIES, 1),
    mode: pick(DMA_MODES, 4),
    wish: pick(MIGRATION_WISHES, 8),
    mayLog: pick([true, false], 24),
    memory: MEMORY,
  };
}

/** How messages say what would do. */
const REMEDY =
  /would do|leave it out|did you mean|(?:is|are) missing|are known|exist\b|names it|must be|are an? |has a |such as|needs|add it|describe one|has .* already|at least/;

export type Outcome = "refused" | "taken";

/** Throws when a description is refused without a place or a remedy, or taken and not as is said of it. */
export function tryDescription(text: string, use: PlannedUse): Outcome {
  let plan;
  try {
    plan = readHostDescription(text, builtInKinds);
  } catch (error) {
    if (!(error instanceof DescriptionError)) throw error;
    if (error.problems.length === 0) throw new Error(`no place is told: ${error.message}`, { cause: error });
    for (const { message } of error.problems) {
      if (!REMEDY.test(message)) throw new Error(`nothing that would do is told: ${message}`, { cause: error });
    }
    return "refused";
  }
  const { reasons, ...said } = saidOf(plan, use);
  for (const { message, refusal } of reasons) {
    if (message === "" || refusal.remedy === "") throw new Error(`nothing that would do is told: ${message}`);
  }
  try {
    const met = meet(plan, use);
    if (JSON.stringify(met) !== JSON.stringify(said)) {
      throw new Error(`said ${JSON.stringify(said)}, met ${JSON.stringify(met)}`);
    }
    return "taken";
  } catch (error) {
    // Properties are the kind's own to check, when the device is made.
    if (!(error instanceof VmError)) throw error;
    if (!/would do|not found|does not accept|must be|expects|needs|has no disks?/.test(error.message)) throw error;
    return "refused";
  }
}
