import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fieldTables } from "./field-table.ts";
import { readHostDescription } from "./read-host.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/iommufd-host.md"), "utf8");

test("the page lists the fields that the schema has", () => {
  expect(page).toContain(`differs -->\n\n${fieldTables()}\n\n<!-- end -->`);
});

test("the page's example is a description", () => {
  const example = /```json\n([^`]+)```/.exec(page)![1]!;
  const kinds = [
    { name: "dma-engine", bus: "pci", migration: ["stop-copy", "p2p", "pre-copy"], dmaLog: true },
    { name: "mdev-serial", bus: "mdev", migration: ["stop-copy"], dmaLog: false },
  ] as const;
  expect(readHostDescription(example, kinds).devices).toHaveLength(2);
});
