// Composes the guest's initramfs: BusyBox, e2fsprogs with its libraries, kernel modules, and our few text files.
import { type ArchiveEntry, type CpioInput, type DecompressPort, writeCpio } from "../format/index.ts";
import { type FileTree, neededLibraries, resolveFile } from "./libraries.ts";
import { moduleIndexes, selectModules } from "./modules.ts";
import { GuestError } from "./port.ts";
import { GUEST_MODULES, ROOT_DIRECTORIES, ROOT_FILES, ROOT_SYMLINKS } from "./root-files.ts";

/** Programs besides BusyBox, and the names by which the file system tools are found. */
const PROGRAMS = ["mke2fs", "e2fsck", "tune2fs", "resize2fs", "dumpe2fs"].map((name) => `usr/sbin/${name}`);
const PROGRAM_NAMES: Readonly<Record<string, string>> = {
  "usr/sbin/mkfs.ext4": "mke2fs",
  "usr/sbin/mkfs.ext2": "mke2fs",
  "usr/sbin/fsck.ext4": "e2fsck",
  "usr/sbin/fsck.ext2": "e2fsck",
};

export interface InitramfsParts {
  /** All files of the user-space packages. */
  readonly userSpace: FileTree;
  /** The kernel's release, which names its module folder. */
  readonly kernelRelease: string;
  /** Module files by path below the module folder. */
  readonly modules: ReadonlyMap<string, Uint8Array>;
  readonly decompress: DecompressPort;
}

/**
 * An uncompressed cpio archive: a guest copies it faster than it would unpack it, and its drivers are plain files.
 * The same parts give the same bytes. Throws `GuestError` and `FormatError`.
 */
export async function composeInitramfs(parts: InitramfsParts): Promise<Uint8Array> {
  const tree = new Tree();
  for (const path of ROOT_DIRECTORIES) tree.directory(path);
  for (const { path, linkTarget } of ROOT_SYMLINKS) tree.symlink(path, linkTarget);
  for (const { path, text, mode } of ROOT_FILES) tree.file(path, new TextEncoder().encode(text), mode);
  tree.device("dev/console", 5, 1);
  tree.device("dev/null", 1, 3);

  tree.file("usr/bin/busybox", requireFile(parts.userSpace, "usr/bin/busybox").content, 0o755);
  const programs = PROGRAMS.map((path) => requireFile(parts.userSpace, path));
  for (const program of programs) tree.file(program.path, program.content, 0o755);
  for (const [path, linkTarget] of Object.entries(PROGRAM_NAMES)) tree.symlink(path, linkTarget);
  for (const [path, library] of neededLibraries(parts.userSpace, programs)) tree.file(path, library.content, 0o755);
  tree.file("etc/mke2fs.conf", requireFile(parts.userSpace, "etc/mke2fs.conf").content);

  const folder = `usr/lib/modules/${parts.kernelRelease}`;
  const modules = await selectModules(parts.modules, GUEST_MODULES, parts.decompress);
  for (const module of modules) tree.file(`${folder}/${module.path}`, module.content);
  const { dep, alias } = moduleIndexes(modules);
  tree.file(`${folder}/modules.dep`, new TextEncoder().encode(dep));
  tree.file(`${folder}/modules.alias`, new TextEncoder().encode(alias));
  return writeCpio(tree.entries());
}

function requireFile(tree: FileTree, path: string): ArchiveEntry {
  // Packages that predate the merged /usr have the same file under the shorter path.
  const entry = resolveFile(tree, path) ?? tree.get(path.replace(/^usr\//, ""));
  if (entry?.type === "file") return { ...entry, path };
  throw new GuestError("missingFile", `None of the guest's packages has the file /${path}`, { subject: path });
}

/** Entries by path; parents come into being with what is in them. */
class Tree {
  readonly #entries = new Map<string, CpioInput>();

  directory(path: string): void {
    this.#put({ path, type: "directory" });
  }

  file(path: string, content: Uint8Array, mode = 0o644): void {
    this.#put({ path, type: "file", content, mode });
  }

  symlink(path: string, linkTarget: string): void {
    this.#put({ path, type: "symlink", linkTarget, mode: 0o777 });
  }

  device(path: string, major: number, minor: number): void {
    this.#put({ path, type: "characterDevice", mode: 0o600, device: { major, minor } });
  }

  entries(): Iterable<CpioInput> {
    return this.#entries.values();
  }

  #put(entry: CpioInput): void {
    const parent = entry.path.slice(0, Math.max(0, entry.path.lastIndexOf("/")));
    if (parent !== "" && !this.#entries.has(parent)) this.directory(parent);
    if (!this.#entries.has(entry.path)) this.#entries.set(entry.path, entry);
  }
}
