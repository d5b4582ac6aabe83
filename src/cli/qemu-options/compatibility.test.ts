import { allCommands, humanCommandNames } from "../../monitor/index.ts";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { compatibilityTables, replaceTables } from "./compatibility.ts";

test("COMPATIBILITY.md has the tables of this program (npx tsx tools/option-table.ts writes them)", () => {
  const text = readFileSync(new URL("../../../COMPATIBILITY.md", import.meta.url), "utf8");
  expect(text).toContain(compatibilityTables());
  expect(replaceTables(text, compatibilityTables())).toBe(text);
});

test("only what stands between the marks is replaced", () => {
  const marked = "a\n<!-- options: written by tools/option-table.ts -->\nold\n<!-- options: end -->\nb\n";
  expect(replaceTables(marked, "new")).toBe(
    "a\n<!-- options: written by tools/option-table.ts -->\n\nnew\n\n<!-- options: end -->\nb\n",
  );
  expect(replaceTables("no marks", "new")).toBe("no marks");
});

test("COMPATIBILITY.md names every command of the monitors", () => {
  const text = readFileSync(new URL("../../../COMPATIBILITY.md", import.meta.url), "utf8");
  const names = [...allCommands().map(({ name }) => name), ...humanCommandNames];
  expect(names.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
});
