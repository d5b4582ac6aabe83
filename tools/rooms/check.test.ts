import { describe, expect, test } from "vitest";
import { checkRooms } from "./check.ts";
import { ROOMS } from "./table.ts";

const README = "# room\n";

/** A tree that has a door and a README wherever `sources` has files. */
function treeOf(sources: Record<string, string>): Map<string, string> {
  const files = new Map(Object.entries(sources));
  for (const path of Object.keys(sources)) {
    const room = /^src\/((?:target|host)\/[^/]+|[^/]+)\//.exec(path)?.[1];
    if (room === undefined) continue;
    for (const [name, text] of [
      ["README.md", README],
      ["index.ts", "export {};\n"],
    ] as const) {
      if (!files.has(`src/${room}/${name}`)) files.set(`src/${room}/${name}`, text);
    }
  }
  return files;
}

function problemsOf(sources: Record<string, string>): string[] {
  return checkRooms(treeOf(sources)).map(({ path, line, reason }) => `${path}:${line}: ${reason}`);
}

describe("arrows", () => {
  test("a declared arrow through the door passes", () => {
    expect(
      problemsOf({
        "src/memory/ram.ts": 'import { u32 } from "../state/index.ts";\nexport const x = u32;\n',
        "src/state/index.ts": "export const u32 = 1;\n",
      }),
    ).toEqual([]);
  });

  test("every room may import base", () => {
    expect(
      problemsOf({
        "src/wasm/a.ts": 'import { assert } from "../base/index.ts";\nassert();\n',
        "src/base/index.ts": "export const assert = () => {};\n",
      }),
    ).toEqual([]);
  });

  test("an undeclared arrow fails with its line and what the room may import", () => {
    expect(
      problemsOf({
        "src/state/a.ts": '// first\nimport type { Ram } from "../memory/index.ts";\nexport type A = Ram;\n',
        "src/memory/index.ts": "export type Ram = 1;\n",
      }),
    ).toEqual(["src/state/a.ts:2: state may not import memory/index.ts: it may import base, object"]);
  });

  test("an import past the door fails", () => {
    expect(
      problemsOf({
        "src/memory/a.ts": 'import { x } from "../state/describe.ts";\nx();\n',
        "src/state/describe.ts": "export const x = () => {};\n",
      }),
    ).toEqual(["src/memory/a.ts:1: src/state/describe.ts lies past the door of state; import its index.ts or port.ts"]);
  });

  test("a re-export is an arrow too", () => {
    expect(
      problemsOf({
        "src/wasm/a.ts": 'export * from "../state/index.ts";\n',
        "src/state/index.ts": "export const x = 1;\n",
      }),
    ).toEqual(["src/wasm/a.ts:1: wasm may not import state/index.ts: it may import base only"]);
  });

  test("a dynamic import is an arrow too", () => {
    expect(
      problemsOf({
        "src/wasm/a.ts": 'export const load = () => import("../state/index.ts");\n',
        "src/state/index.ts": "export const x = 1;\n",
      }),
    ).toHaveLength(1);
  });

  test("an arrow to a port alone does not open the door", () => {
    const sources = {
      "src/device/a.ts": 'import type { B } from "../block/port.ts";\nexport type A = B;\n',
      "src/block/port.ts": "export type B = 1;\n",
    };
    expect(problemsOf(sources)).toEqual([]);
    expect(
      problemsOf({ ...sources, "src/device/b.ts": 'import { x } from "../block/index.ts";\nx();\n' }),
    ).toHaveLength(1);
  });

  test("a host takes any port and no implementation", () => {
    const sources = {
      "src/host/linux/a.ts": 'import type { M } from "../../machine/port.ts";\nexport type A = M;\n',
      "src/machine/port.ts": "export type M = 1;\n",
    };
    expect(problemsOf(sources)).toEqual([]);
    expect(
      problemsOf({ ...sources, "src/host/linux/b.ts": 'import "../../machine/index.ts";\n' }).join("\n"),
    ).toContain("host/linux may not import machine/index.ts");
  });

  test("nobody imports a door of the package", () => {
    expect(problemsOf({ "src/cli/a.ts": 'import "../node.ts";\n', "src/node.ts": "export {};\n" })).toEqual([
      "src/cli/a.ts:1: no room imports a door of the package (src/node.ts)",
    ]);
  });

  test("tests may import any door and test support, but not past a door", () => {
    expect(
      problemsOf({
        "src/wasm/a.test.ts": [
          'import "node:fs";',
          'import "../state/index.ts";',
          'import "../../test/support/x.ts";',
          'import "../state/describe.ts";',
        ].join("\n"),
        "src/state/describe.ts": "export {};\n",
      }),
    ).toEqual([
      "src/wasm/a.test.ts:4: src/state/describe.ts lies past the door of state; import its index.ts or port.ts",
    ]);
  });

  test("what is for tests only stays in tests", () => {
    expect(
      problemsOf({
        "src/wasm/a.ts": 'import "./test-host.ts";\nimport "./testing/b.ts";\n',
        "src/wasm/a.test.ts": 'import "./test-host.ts";\n',
        "src/wasm/test-host.ts": 'import "vitest";\n',
        "src/wasm/testing/b.ts": "export const now = Date.now();\n",
      }),
    ).toEqual([
      "src/wasm/a.ts:1: src/wasm/test-host.ts is for tests only",
      "src/wasm/a.ts:2: src/wasm/testing/b.ts is for tests only",
    ]);
  });

  test("an import without .ts fails", () => {
    expect(problemsOf({ "src/wasm/a.ts": 'import "./b";\n', "src/wasm/b.ts": "export {};\n" })).toEqual([
      "src/wasm/a.ts:1: ./b is not there (imports carry .ts)",
    ]);
  });
});

describe("cycles", () => {
  test("files of one room that import each other at run time fail", () => {
    expect(
      problemsOf({
        "src/wasm/a.ts": 'import { b } from "./b.ts";\nexport const a = () => b;\n',
        "src/wasm/b.ts": 'import { a } from "./a.ts";\nexport const b = () => a;\n',
      }),
    ).toEqual(["src/wasm/b.ts:1: closes an import cycle: src/wasm/a.ts → src/wasm/b.ts → src/wasm/a.ts"]);
  });

  test("type imports within a room may go round", () => {
    expect(
      problemsOf({
        "src/wasm/a.ts": 'import { b } from "./b.ts";\nexport const a = () => b;\n',
        "src/wasm/b.ts": 'import type { A } from "./a.ts";\nexport const b = (a: A) => a;\n',
      }),
    ).toEqual([]);
  });

  test("rooms that import each other fail, by type imports too", () => {
    const problems = problemsOf({
      "src/object/a.ts": 'import type { S } from "../state/index.ts";\nexport type O = S;\n',
      "src/state/a.ts": 'import type { O } from "../object/index.ts";\nexport type S = O;\n',
    });
    expect(problems.join("\n")).toContain("closes a cycle of rooms: object → state → object");
  });

  test("the table itself has none", () => {
    const reaches = (from: string, seen: ReadonlySet<string>): boolean => {
      const next = Object.keys(ROOMS).filter((room) => ROOMS[from]!.mayImport.some((arrow) => arrow.startsWith(room)));
      return next.some((room) => seen.has(room) || reaches(room, new Set([...seen, room])));
    };
    expect(Object.keys(ROOMS).filter((room) => reaches(room, new Set([room])))).toEqual([]);
  });
});

describe("platform", () => {
  test.each([
    ["export const t = Date.now();\n", "Date"],
    ["export const t = Math.random();\n", "Math.random"],
    ["export const f = () => { setTimeout(f, 1); };\n", "setTimeout"],
    ["export const p = { now: performance.now() };\n", "performance"],
    ["export const p = globalThis;\n", "globalThis"],
    ["export const u = import.meta.url;\n", "import.meta"],
  ])("%s fails", (source, name) => {
    expect(problemsOf({ "src/wasm/a.ts": source })).toEqual([
      `src/wasm/a.ts:1: ${name} is a platform facility; wasm asks a port instead`,
    ]);
  });

  test("node modules and packages fail in the core", () => {
    expect(problemsOf({ "src/wasm/a.ts": 'import "node:fs";\nimport "left-pad";\n' })).toEqual([
      "src/wasm/a.ts:1: node:fs is a platform module; wasm asks a port instead",
      "src/wasm/a.ts:2: left-pad is a package; the core has no dependencies",
    ]);
  });

  test("members, keys, types and a file's own names are not platform uses", () => {
    const source = [
      "export function run(self: { process: Date }): unknown { return self.process; }",
      "export const table = { fetch: 1, console: 2 };",
      "export class Hart { fetch(): void {} }",
    ].join("\n");
    expect(problemsOf({ "src/wasm/a.ts": source })).toEqual([]);
  });

  test("hosts, the command line and the node door may touch it; the core door may not", () => {
    const source = 'import "node:fs";\nexport const t = Date.now();\n';
    expect(
      problemsOf({
        "src/host/node/a.ts": source,
        "src/cli/a.ts": source,
        "src/node.ts": source,
        "src/index.ts": source,
      }),
    ).toEqual([
      "src/index.ts:1: node:fs is a platform module; door index asks a port instead",
      "src/index.ts:2: Date is a platform facility; door index asks a port instead",
    ]);
  });
});

describe("folders", () => {
  test("a room without door or README fails", () => {
    expect(checkRooms(new Map([["src/wasm/a.ts", "export {};\n"]])).map(({ path }) => path)).toEqual([
      "src/wasm/README.md",
      "src/wasm/index.ts",
    ]);
  });

  test("a README over 30 lines fails", () => {
    expect(problemsOf({ "src/wasm/a.ts": "export {};\n", "src/wasm/README.md": "x\n".repeat(31) })).toEqual([
      "src/wasm/README.md:31: has 31 lines; 30 is the limit",
    ]);
  });

  test("a source over 800 lines fails, unless it says that it is a table or generated", () => {
    const long = "export {};\n".repeat(801);
    expect(problemsOf({ "src/wasm/a.ts": long })).toEqual(["src/wasm/a.ts:801: has 801 lines; 800 is the limit"]);
    expect(problemsOf({ "src/wasm/a.ts": `// table: opcodes\n${long}` })).toEqual([]);
    expect(problemsOf({ "src/wasm/a.ts": `// generated: by a tool\n${long}` })).toEqual([]);
  });

  test("a folder that the table does not have fails", () => {
    expect(problemsOf({ "src/kitchen/a.ts": "export {};\n" })).toContain(
      "src/kitchen/a.ts:1: belongs to no room of the table in tools/rooms/table.ts",
    );
  });

  test("a syntax error is reported where it is", () => {
    expect(problemsOf({ "src/wasm/a.ts": "export const a = 1;\nexport const = 2;\n" })[0]).toMatch(
      /^src\/wasm\/a\.ts:2: /,
    );
  });
});
