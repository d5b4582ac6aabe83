// Compiles the preload library with the system's C compiler, once per source, and keeps it in the user's cache.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HostServerError } from "./errors.ts";

/** The C source ships with the package, in one of the folders above this file. */
function sourcePath(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const path = join(folder, "src", "host", "linux", "preload", "iommufd.c");
    if (existsSync(path) || folder === dirname(folder)) return path;
  }
}

function cacheFolder(): string {
  const base = process.env["XDG_CACHE_HOME"];
  return join(base !== undefined && base !== "" ? base : join(homedir(), ".cache"), "ratite");
}

/** Path of the shared library; throws HostServerError when there is no compiler, or it fails. */
export function preloadLibrary(): string {
  const source = sourcePath();
  if (!existsSync(source)) {
    throw new HostServerError(
      "noSource",
      `The preload library's source is missing at "${source}"; reinstall the package`,
    );
  }
  const digest = createHash("sha256").update(readFileSync(source)).digest("hex").slice(0, 16);
  const folder = cacheFolder();
  const library = join(folder, `preload-${process.arch}-${digest}.so`);
  if (existsSync(library)) return library;
  mkdirSync(folder, { recursive: true });
  const made = `${library}.${process.pid}`;
  const compiler = process.env["CC"] ?? "cc";
  try {
    execFileSync(compiler, ["-O2", "-shared", "-fPIC", "-o", made, source, "-ldl", "-lpthread"], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (cause) {
    const error = cause as NodeJS.ErrnoException & { stderr?: Buffer };
    if (error.code === "ENOENT") {
      throw new HostServerError(
        "noCompiler",
        `No C compiler "${compiler}" was found; install one (Debian: apt install gcc libc6-dev) or name it in CC`,
        { cause },
      );
    }
    throw new HostServerError(
      "compileFailed",
      `The preload library does not compile with "${compiler}": ${(error.stderr?.toString() ?? error.message).trim()}`,
      { cause },
    );
  }
  renameSync(made, library);
  return library;
}
