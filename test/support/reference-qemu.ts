// For tests: the QEMU that behaviour is compared with, version 10 or newer. The system's own where that is new enough, else
// the one that `npm run reference:qemu` unpacked into the cache.
import { execFile } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export const referenceMajor = 10;

export interface ReferenceQemu {
  /** Program and leading arguments; the machine's own options follow. */
  readonly command: readonly [string, ...string[]];
  readonly env: NodeJS.ProcessEnv;
  /** As QEMU says it: `10.0.2`. */
  readonly version: string;
  /** The M-mode firmware of the same suite (`fw_dynamic.bin`), where it is there. */
  readonly openSbi?: string;
}

export interface MissingQemu {
  readonly missing: string;
}

/** Where `npm run reference:qemu` puts QEMU: the root of what its packages hold. */
export function referenceRoot(): string {
  const xdg = process.env["XDG_CACHE_HOME"];
  return join(xdg !== undefined && xdg !== "" ? xdg : join(homedir(), ".cache"), "ratite", "reference-qemu");
}

const FIRMWARE = "usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";

function firmwareBelow(root: string): { openSbi?: string } {
  const path = join(root, FIRMWARE);
  return existsSync(path) ? { openSbi: path } : {};
}

/** The unpacked program finds its libraries and data beside itself. */
function unpackedAt(root: string): Omit<ReferenceQemu, "version"> {
  const lib = join(root, "usr/lib");
  const folders = existsSync(lib) ? readdirSync(lib).filter((name) => name.includes("-linux-gnu")) : [];
  const paths = [...folders.map((name) => join(lib, name)), process.env["LD_LIBRARY_PATH"] ?? ""];
  const modules = moduleFolder(root);
  return {
    command: [join(root, "usr/bin/qemu-system-riscv64"), "-L", join(root, "usr/share/qemu")],
    env: {
      ...process.env,
      LD_LIBRARY_PATH: paths.filter((path) => path !== "").join(":"),
      ...(modules === undefined ? {} : { QEMU_MODULE_DIR: modules }),
    },
    ...firmwareBelow(root),
  };
}

/** Where the QEMU of a root has its modules. */
export function moduleFolder(root: string): string | undefined {
  const lib = join(root, "usr/lib");
  const names = existsSync(lib) ? readdirSync(lib).filter((name) => name.includes("-linux-gnu")) : [];
  return names.map((name) => join(lib, name, "qemu")).find((folder) => existsSync(folder));
}

async function versionOf(candidate: Omit<ReferenceQemu, "version">): Promise<string | undefined> {
  const [program, ...args] = candidate.command;
  try {
    const { stdout } = await promisify(execFile)(program, [...args, "--version"], { env: candidate.env });
    return /version (\d+\.\d+\.\d+)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

async function find(): Promise<ReferenceQemu | MissingQemu> {
  const system = { command: ["qemu-system-riscv64"] as const, env: process.env, ...firmwareBelow("/") };
  const found: string[] = [];
  for (const candidate of [system, unpackedAt(referenceRoot())]) {
    const version = await versionOf(candidate);
    if (version === undefined) continue;
    if (Number(version.split(".")[0]) >= referenceMajor) return { ...candidate, version };
    found.push(version);
  }
  const what = found.length === 0 ? "no QEMU for riscv64 was found" : `QEMU ${found.join(" and ")} was found`;
  return { missing: `${what}, ${referenceMajor} or newer is needed; npm run reference:qemu fetches it` };
}

let answer: Promise<ReferenceQemu | MissingQemu> | undefined;

/** Looked for once in a process. */
export function referenceQemu(): Promise<ReferenceQemu | MissingQemu> {
  answer ??= find();
  return answer;
}
