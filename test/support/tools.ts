// For tests: Debian's own tools as peers, where they are installed.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** True when `program` is on the path; a test that needs it is skipped otherwise, its title naming the program. */
export function has(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v "$1"`, "sh", program], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Runs `body` in an empty folder that is removed afterwards. */
export function inFolder<T>(body: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "ratite-format-"));
  try {
    return body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export function run(program: string, args: string[], options: { cwd?: string; input?: Uint8Array } = {}): Buffer {
  return execFileSync(program, args, { stdio: ["pipe", "pipe", "pipe"], ...options });
}
