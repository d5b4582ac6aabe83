// Files that an option names for this program to write.
import { writeFileSync } from "node:fs";
import { errnoText } from "../host/node/index.ts";
import { CliError } from "./errors.ts";

/** Throws a CliError with the option as its subject. */
export function writeNamedFile(file: { subject: string; path: string }, content: Uint8Array | string): void {
  const { subject, path } = file;
  try {
    writeFileSync(path, content);
  } catch (cause) {
    throw new CliError("badFile", `Could not write '${path}': ${errnoText(cause)}`, { subject, cause });
  }
}
