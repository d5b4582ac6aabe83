// Whether programs can be compiled and served here.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

export function hasCompiler(): boolean {
  try {
    execFileSync("cc", ["--version"], { stdio: "ignore" });
    return process.platform === "linux" && existsSync("/proc/self/mem");
  } catch {
    return false;
  }
}
