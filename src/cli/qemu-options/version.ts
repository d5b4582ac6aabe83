// The program's version, from the one place that has it.
import { readFileSync } from "node:fs";

/** `0.1.0`, as package.json says; src/cli and dist/cli are equally deep. */
export function packageVersion(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

export function versionText(): string {
  return `Ratite emulator version ${packageVersion()} (Node.js ${process.version})\n`;
}
