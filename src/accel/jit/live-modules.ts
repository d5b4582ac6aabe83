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

export class LiveModules {
  /** In the order in which they were compiled. */
  private readonly modules: Set<CompiledModule> = new Set();
  private readonly moduleOf: Map<Region, CompiledModule> = new Map();
  lengthBytes = 0;

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

  /** The module of which the least is still of use, the oldest of several; undefined when there is none. */
  leastUseful(): CompiledModule | undefined {
    let least: CompiledModule | undefined;
    for (const module of this.modules) {
      if (least === undefined || share(module) < share(least)) least = module;
    }
    return least;
  }
}

const share = ({ liveBytes, lengthBytes }: CompiledModule): number => liveBytes / lengthBytes;
