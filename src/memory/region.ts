// The tree of memory regions: what lies where, and what hides what.
import { assert } from "../base/index.ts";
import { MmioPort } from "./mmio-port.ts";
import type { MmioHandler, RamBlock } from "./port.ts";
import { type DerivedView, markStale } from "./transaction.ts";

export type RegionContent =
  | { readonly kind: "container" }
  | { readonly kind: "ram"; readonly block: RamBlock; readonly readOnly: boolean }
  | { readonly kind: "mmio"; readonly port: MmioPort }
  | {
      readonly kind: "alias";
      readonly target: MemoryRegion;
      readonly offsetBytes: number;
      readonly readOnly: boolean;
    };

/** A child inside its container. */
export interface Placement {
  readonly region: MemoryRegion;
  /** Byte offset in the container. Parts past the container's end are not visible. */
  readonly at: number;
  /** Where children overlap, the higher priority is seen; among equals, the one placed last. */
  readonly priority: number;
}

/** A run of addresses with one content. Made by the functions below. */
export class MemoryRegion {
  readonly name: string;
  readonly lengthBytes: number;
  readonly content: RegionContent;
  #enabled = true;
  #container: MemoryRegion | undefined;
  readonly #aliases: Set<MemoryRegion> = new Set();
  readonly #views: Set<DerivedView> = new Set();
  #children: readonly Placement[] = [];

  constructor(name: string, lengthBytes: number, content: RegionContent) {
    assert(lengthBytes > 0 && lengthBytes <= 2 ** 53, "a region has 1 to 2^53 bytes", name, lengthBytes);
    assert(Number.isInteger(lengthBytes), "a region has whole bytes", name, lengthBytes);
    this.name = name;
    this.lengthBytes = lengthBytes;
    this.content = content;
    if (content.kind === "alias") content.target.#aliases.add(this);
  }

  /** Children, the one seen first at its front. */
  get children(): readonly Placement[] {
    return this.#children;
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** Hides the region, or shows it again. */
  set enabled(enabled: boolean) {
    if (enabled === this.#enabled) return;
    this.#enabled = enabled;
    this.#changed();
  }

  /** Places `region` in this container; a region has one place, further ones are aliases. */
  add(region: MemoryRegion, at: number, priority: number = 0): void {
    assert(this.content.kind === "container", "regions are placed in containers", this.name, region.name);
    assert(region.#container === undefined, "a region is placed once", region.name);
    assert(Number.isSafeInteger(at) && at >= 0, "a place is a safe integer", region.name, at);
    assert(!region.#reaches(this), "a region does not contain itself", region.name);
    region.#container = this;
    const before = this.#children.findIndex((other) => priority >= other.priority);
    const index = before === -1 ? this.#children.length : before;
    this.#children = [...this.#children.slice(0, index), { region, at, priority }, ...this.#children.slice(index)];
    this.#changed();
  }

  remove(region: MemoryRegion): void {
    assert(region.#container === this, "a removed region lies in this container", region.name);
    region.#container = undefined;
    this.#children = this.#children.filter((child) => child.region !== region);
    this.#changed();
  }

  /** Moves a child; its priority stays, and it counts as placed last. */
  move(region: MemoryRegion, at: number): void {
    const placed = this.#children.find((child) => child.region === region);
    assert(placed !== undefined, "a moved region lies in this container", region.name);
    assert(Number.isSafeInteger(at) && at >= 0, "a place is a safe integer", region.name, at);
    if (placed.at === at) return;
    const rest = this.#children.filter((child) => child !== placed);
    const before = rest.findIndex((other) => placed.priority >= other.priority);
    const index = before === -1 ? rest.length : before;
    this.#children = [...rest.slice(0, index), { ...placed, at }, ...rest.slice(index)];
    this.#changed();
  }

  /** Lets go of an alias's target, so that the target may outlive it. */
  detachAlias(): void {
    assert(this.content.kind === "alias" && this.#container === undefined, "a detached alias is not placed", this.name);
    this.content.target.#aliases.delete(this);
  }

  /** Keeps `view` up to date with the tree under this region, until the returned function is called. */
  addView(view: DerivedView): () => void {
    this.#views.add(view);
    return () => this.#views.delete(view);
  }

  #changed(): void {
    for (const view of this.#viewsAbove(new Set())) markStale(view);
  }

  #viewsAbove(into: Set<DerivedView>): Set<DerivedView> {
    for (const view of this.#views) into.add(view);
    if (this.#container !== undefined) this.#container.#viewsAbove(into);
    for (const alias of this.#aliases) alias.#viewsAbove(into);
    return into;
  }

  #reaches(other: MemoryRegion): boolean {
    if (this === other) return true;
    if (this.content.kind === "alias") return this.content.target.#reaches(other);
    return this.#children.some((child) => child.region.#reaches(other));
  }
}

/** Holds other regions; where it has none, what lies under it is seen. */
export function containerRegion(name: string, lengthBytes: number): MemoryRegion {
  return new MemoryRegion(name, lengthBytes, { kind: "container" });
}

/** All of a RAM block; a read-only block is a ROM. */
export function ramRegion(block: RamBlock): MemoryRegion {
  return new MemoryRegion(block.name, block.lengthBytes, { kind: "ram", block, readOnly: block.readOnly });
}

/** A device's registers. */
export function mmioRegion(name: string, lengthBytes: number, handler: MmioHandler): MemoryRegion {
  return portRegion(new MmioPort(name, lengthBytes, handler));
}

/** Registers behind a port that has other users too. */
export function portRegion(port: MmioPort): MemoryRegion {
  return new MemoryRegion(port.name, port.lengthBytes, { kind: "mmio", port });
}

export interface AliasOptions {
  /** Where in the target it begins; 0 when absent. */
  readonly offsetBytes?: number;
  /** The rest of the target when absent. */
  readonly lengthBytes?: number;
  /** RAM is a ROM through this alias. */
  readonly readOnly?: boolean;
}

/** A window on another region, wherever that is placed, or nowhere. */
export function aliasRegion(name: string, target: MemoryRegion, options: AliasOptions = {}): MemoryRegion {
  const offsetBytes = options.offsetBytes ?? 0;
  const lengthBytes = options.lengthBytes ?? target.lengthBytes - offsetBytes;
  return new MemoryRegion(name, lengthBytes, {
    kind: "alias",
    target,
    offsetBytes,
    readOnly: options.readOnly ?? false,
  });
}
