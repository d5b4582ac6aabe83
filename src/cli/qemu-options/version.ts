// The program's version, from the one place that has it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageRoot } from "../../host/node/index.ts";

/** `0.1.0`, as package.json says. */
export function packageVersion(): string {
  const text = readFileSync(join(packageRoot(), "package.json"), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

export function versionText(): string {
  return `Ratite emulator version ${packageVersion()} (Node.js ${process.version})\n`;
}
