// Writes the option tables of COMPATIBILITY.md from the program's own table, or checks them with --check.
import { readFileSync, writeFileSync } from "node:fs";
import { compatibilityTables, replaceTables } from "../src/cli/qemu-options/compatibility.ts";

const path = new URL("../COMPATIBILITY.md", import.meta.url);
const old = readFileSync(path, "utf8");
const now = replaceTables(old, compatibilityTables());
if (process.argv.includes("--check")) {
  if (old !== now) {
    console.error("COMPATIBILITY.md is out of step with the option table; npx tsx tools/option-table.ts writes it");
    process.exitCode = 1;
  }
} else if (old !== now) writeFileSync(path, now);
