// Which shared libraries some programs need, out of the files of several packages.
import { type ArchiveEntry, elfSection, isElf, readNeededLibraries } from "../format/index.ts";
import { GuestError } from "./port.ts";

export type FileTree = ReadonlyMap<string, ArchiveEntry>;

/** A file whose path may lead over symlinks within the tree; /lib, /bin and /sbin are those of /usr. */
export function resolveFile(tree: FileTree, path: string): ArchiveEntry | undefined {
  let current = path.replace(/^\/+/, "").replace(/^(lib|bin|sbin)\//, "usr/$1/");
  for (let hops = 0; hops < 16; hops++) {
    const entry = tree.get(current);
    if (entry === undefined || entry.type === "file") return entry;
    if (entry.type !== "symlink") return undefined;
    current = follow(current, entry.linkTarget);
  }
  return undefined;
}

/**
 * The libraries and the loader that `programs` need, and those that they need in turn: path as it must be in the guest
 * → content. Throws `missingFile`, which names the first that no package brings.
 */
export function neededLibraries(tree: FileTree, programs: readonly ArchiveEntry[]): Map<string, ArchiveEntry> {
  const byName = new Map<string, string>();
  for (const path of tree.keys()) {
    if (/^usr\/lib\/(?:[^/]+\/)?[^/]+\.so(?:\.[^/]+)?$/.test(path)) byName.set(path.split("/").at(-1)!, path);
  }
  const found = new Map<string, ArchiveEntry>();
  const queue = [...programs];
  for (let program = queue.pop(); program !== undefined; program = queue.pop()) {
    for (const needed of needsOf(program)) {
      const path = needed.startsWith("/") ? needed.slice(1).replace(/^lib\//, "usr/lib/") : byName.get(needed);
      const entry = path === undefined ? undefined : resolveFile(tree, path);
      if (path === undefined || entry === undefined) {
        throw new GuestError("missingFile", `${program.path} needs ${needed}, which none of the packages has`, {
          subject: needed,
        });
      }
      if (found.has(path)) continue;
      found.set(path, entry);
      queue.push(entry);
    }
  }
  return found;
}

/** Library names, and the path of the program interpreter. */
function needsOf(program: ArchiveEntry): string[] {
  if (!isElf(program.content)) return [];
  const interpreter = elfSection(program.content, ".interp");
  const path = interpreter === undefined ? [] : [new TextDecoder().decode(interpreter).replace(/\0.*$/s, "")];
  return [...path, ...readNeededLibraries(program.content)];
}

function follow(from: string, target: string): string {
  if (target.startsWith("/")) return target.slice(1).replace(/^(lib|bin|sbin)\//, "usr/$1/");
  const parts = from.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  return parts.join("/");
}
