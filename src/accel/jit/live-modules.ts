// What an engine keeps of compiled code: a module stays in memory as a whole until the last function of it is let go, so the
// bound of memory counts modules, and room is made by whole ones.
import type { Region } from "./region-records.ts";

export class CompiledModule {
  readonly lengthBytes: number;
  /** Those that can still be entered, and their code. */
  readonly regions: Set<Region> = new Set();
  liveBytes = 0;

  constructor(lengthBytes: number) {
    this.lengthBytes = lengthBytes;
  }
}

/** A module of which less than this share lives is given up first. */
const LITTLE = 0.25;

export class LiveModules {
  /** In the order in which they are asked for: those that were compiled or passed over last are at the end. */
  private readonly modules: Set<CompiledModule> = new Set();
  private readonly moduleOf: Map<Region, CompiledModule> = new Map();
  private readonly wasEntered: (region: Region) => boolean;
  lengthBytes = 0;

  /** `wasEntered` says whether a region was entered since it was asked last. */
  constructor(wasEntered: (region: Region) => boolean) {
    this.wasEntered = wasEntered;
  }

  get count(): number {
    return this.modules.size;
  }

  get regionCount(): number {
    return this.moduleOf.size;
  }

  regions(): IterableIterator<Region> {
    return this.moduleOf.keys();
  }

  /** A module lives while it has regions. */
  add(module: CompiledModule, region: Region): void {
    if (!this.modules.has(module)) {
      this.modules.add(module);
      this.lengthBytes += module.lengthBytes;
    }
    module.regions.add(region);
    module.liveBytes += region.lengthBytes;
    this.moduleOf.set(region, module);
  }

  /** False when the region was in none. */
  delete(region: Region): boolean {
    const module = this.moduleOf.get(region);
    if (module === undefined) return false;
    this.moduleOf.delete(region);
    module.regions.delete(region);
    module.liveBytes -= region.lengthBytes;
    if (module.regions.size === 0) {
      this.modules.delete(module);
      this.lengthBytes -= module.lengthBytes;
    }
    return true;
  }

  /**
   * A module that can be spared; undefined when there is none: one that is mostly dead, else the first that was not entered
   * since it was asked last (clock algorithm).
   */
  leastUseful(): CompiledModule | undefined {
    for (const module of this.modules) if (module.liveBytes < module.lengthBytes * LITTLE) return module;
    // Twice round at most: the first time makes all of them answer no.
    for (let left = 2 * this.modules.size; left > 0; left--) {
      const module = this.modules.values().next().value!;
      if (!this.takeEntered(module)) return module;
      this.modules.delete(module);
      this.modules.add(module);
    }
    return undefined;
  }

  /** Whether any of its regions was entered since the last call. */
  private takeEntered({ regions }: CompiledModule): boolean {
    let isEntered = false;
    for (const region of regions) if (this.wasEntered(region)) isEntered = true;
    return isEntered;
  }
}
