// `npm run check:rooms`: holds src/ against the table of rooms in rooms/table.ts.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { checkRooms } from "./rooms/check.ts";

const root = join(import.meta.dirname, "..");
const files = new Map<string, string>();
for (const entry of readdirSync(join(root, "src"), { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !/\.(?:ts|md)$/.test(entry.name)) continue;
  const absolute = join(entry.parentPath, entry.name);
  files.set(absolute.slice(root.length + 1).replaceAll("\\", "/"), readFileSync(absolute, "utf8"));
}

const problems = checkRooms(files);
for (const { path, line, reason } of problems) console.error(`${path}:${line}: ${reason}`);
console.log(`rooms: ${files.size} files, ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;
