// What fetching a guest asks of a platform: a verified package archive, and a place to keep the result.
import type { DecompressPort } from "../format/port.ts";

export { GuestError, type GuestErrorCode } from "./errors.ts";

/** A suite of the archive. A mirror may serve it under its aliases too; only `codename` says what it is. */
export interface GuestSuite {
  readonly codename: string;
  readonly aliases: readonly string[];
}

/** A package file as the verified index names it. */
export interface PackageRecord {
  readonly name: string;
  readonly version: string;
  /** Path below the archive's root. */
  readonly path: string;
  readonly lengthBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** The Depends and Pre-Depends fields as written, joined. */
  readonly depends: string;
  readonly suite: string;
}

/** A plain fact about work in progress. */
export interface GuestProgress {
  /** `notice`: `subject` is a sentence that a user should see once. */
  readonly phase: "index" | "download" | "unpack" | "compose" | "store" | "wait" | "notice";
  /** What is worked on: a package, a suite, a file. */
  readonly subject: string;
  readonly doneBytes?: number;
  readonly totalBytes?: number;
}
export type ReportProgress = (progress: GuestProgress) => void;

export interface WorkOptions {
  readonly report: ReportProgress;
  readonly signal?: AbortSignal;
}

export interface GuestArchive {
  /**
   * The suite's package index as text (deb822 stanzas), verified by signature. `origin` says where it came from.
   * Rejects with `GuestError`.
   */
  readIndex(suite: GuestSuite, options: WorkOptions): Promise<{ readonly text: string; readonly origin: string }>;
  /** A package's file, its hash verified. Rejects with `outOfStep` when the archive no longer has what its index says. */
  fetch(record: PackageRecord, options: WorkOptions): Promise<Uint8Array>;
  /** Frees what was kept to resume interrupted work. */
  discardDownloads(): Promise<void>;
}

export interface GuestId {
  readonly name: string;
  readonly release: string;
}

/** What is known of a guest in the store. */
export interface GuestManifest extends GuestId {
  /** Which edition of our own composition made it. */
  readonly recipe: number;
  readonly kernelRelease: string;
  readonly origins: readonly string[];
  readonly packages: readonly { readonly name: string; readonly version: string; readonly sha256: string }[];
}

/** A guest that is ready to boot. */
export interface GuestFiles extends GuestManifest {
  readonly kernelPath: string;
  readonly initrdPath: string;
}

export interface GuestStore {
  /** Undefined when the guest is not there in full. */
  read(id: GuestId): Promise<GuestFiles | undefined>;
  /** All or nothing: a reader sees the guest as it was before or as it is after, whenever the process ends. */
  write(
    manifest: GuestManifest,
    files: { readonly kernel: Uint8Array; readonly initrd: Uint8Array },
  ): Promise<GuestFiles>;
  list(): Promise<GuestFiles[]>;
  /** True when it was there. */
  remove(id: GuestId): Promise<boolean>;
  /** Runs `body` while no other process works in the store; waits for one that does. */
  exclusively<T>(options: WorkOptions, body: () => Promise<T>): Promise<T>;
}

export interface GuestHost {
  readonly archive: GuestArchive;
  readonly store: GuestStore;
  readonly decompress: DecompressPort;
}
