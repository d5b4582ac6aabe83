// The software host: answers for /dev/iommu (and the old container file), and can say whether anything leaked.
import { assert } from "../../base/index.ts";
import type { Caller, HostFile, HostPort, HostSession, MemorySpace } from "../port.ts";
import { makeSession } from "../session.ts";
import { Errno } from "../uapi/index.ts";
import { IommufdContext, makeIoctlTable, type IoctlTable } from "./context.ts";
import { iommufdHandlers } from "./handlers.ts";
import { HostMemory, type FailPoint } from "./host-memory.ts";
import { mockHandlers } from "./mock-calls.ts";
import { MockUnit } from "./mock-unit.ts";
import { vfioCompatIoctl } from "./vfio-compat.ts";

/** Opens a file of the host for a caller, or answers with a negative errno. */
export type FileOpener = (caller: Caller) => HostFile | number;

export interface SoftwareHostOptions {
  /** Answer the kernel's private test calls too. Default: no. */
  readonly kernelMock?: boolean;
  /** Reproduce what Linux 7.2 gets wrong. Default: yes. */
  readonly kernelQuirks?: boolean;
  /** The host's memory: more than that cannot be pinned (ENOMEM). Default: 128 GiB. */
  readonly memoryBytes?: number;
}

const MEMORY_BYTES = 128 * 2 ** 30;

/** What is still held; all zero and clear when every descriptor is closed. */
export interface HostAudit {
  readonly pinnedPages: number;
  readonly accountsClear: boolean;
  readonly openContexts: number;
}

export class SoftwareHost implements HostPort {
  readonly memory: HostMemory;
  readonly #ioctls: IoctlTable;
  readonly #kernelQuirks: boolean;
  readonly #files = new Map<string, FileOpener>();
  readonly #contexts = new Set<IommufdContext>();

  constructor(options: SoftwareHostOptions = {}) {
    this.memory = new HostMemory(options.memoryBytes ?? MEMORY_BYTES);
    const mock = options.kernelMock === true ? mockHandlers(new MockUnit()) : [];
    this.#ioctls = makeIoctlTable([...iommufdHandlers, ...mock], vfioCompatIoctl);
    this.#kernelQuirks = options.kernelQuirks ?? true;
  }

  get paths(): readonly string[] {
    return ["/dev/iommu", "/dev/vfio/vfio", ...this.#files.keys()];
  }

  /** Answers for one more path. */
  addFile(path: string, open: FileOpener): void {
    assert(!this.paths.includes(path), "a path has one file", path);
    this.#files.set(path, open);
  }

  openFile(caller: Caller, path: string): HostFile | number {
    if (path === "/dev/iommu" || path === "/dev/vfio/vfio") {
      if (this.memory.failAt("alloc")) return -Errno.ENOMEM;
      const context: IommufdContext = new IommufdContext({
        memory: this.memory,
        ioctls: this.#ioctls,
        kernelQuirks: this.#kernelQuirks,
        // The old container file accounts as VFIO always did.
        accountMode: path === "/dev/iommu" ? "user" : "space",
        onClosed: () => this.#contexts.delete(context),
      });
      this.#contexts.add(context);
      return context;
    }
    return this.#files.get(path)?.(caller) ?? -Errno.ENOENT;
  }

  attach(caller: Caller): HostSession {
    return makeSession(this, caller);
  }

  lockedMemory(space: MemorySpace): { readonly pinnedPages: number; readonly lockedPages: number } {
    return this.memory.accounting.of(space);
  }

  /** Makes the `nth` next step of this kind fail, once; for tests of what callers do then. */
  failNext(point: FailPoint, nth: number): void {
    this.memory.failNext(point, nth);
  }

  /** Whether a failure that was asked for is still to come. */
  get awaitsFailure(): boolean {
    return this.memory.awaitsFailure;
  }

  /** Counts the steps that could fail from now on, by kind. */
  countSteps(): ReadonlyMap<FailPoint, number> {
    return this.memory.countSteps();
  }

  audit(): HostAudit {
    return {
      pinnedPages: this.memory.frames.pinnedPages,
      accountsClear: this.memory.accounting.isClear,
      openContexts: this.#contexts.size,
    };
  }

  /** The whole host as plain data: equal snapshots mean that nothing changed which a program could tell. */
  snapshot(): object {
    return {
      contexts: [...this.#contexts].map((context) => context.snapshot()),
      frames: this.memory.frames.snapshot(),
      accounting: this.memory.accounting.snapshot(),
    };
  }
}
