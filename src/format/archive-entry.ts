// What tar and cpio have in common: entries of a file tree.
import { FormatError } from "./errors.ts";

export type ArchiveEntryType =
  | "file"
  | "directory"
  | "symlink"
  | "hardlink"
  | "characterDevice"
  | "blockDevice"
  | "fifo"
  | "socket";

export interface ArchiveEntry {
  /** Relative, without "." and ".." parts and without a trailing slash; the root itself is "". */
  readonly path: string;
  readonly type: ArchiveEntryType;
  /** Permission bits, at most 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly mtimeS: number;
  /** Of files; empty for all else. */
  readonly content: Uint8Array;
  /** Of symlinks as written; of hard links the path of the first name. */
  readonly linkTarget: string;
  /** Of device nodes. */
  readonly device: { readonly major: number; readonly minor: number };
}

/** A path from an archive as `ArchiveEntry.path`; throws for one that leaves the tree. */
export function normalizePath(path: string, format: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) {
    throw new FormatError("corrupt", `The ${format} has an entry that leaves its tree: "${path}"`);
  }
  return parts.join("/");
}
