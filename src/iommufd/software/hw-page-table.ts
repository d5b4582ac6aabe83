// HWPT objects: a domain of a unit, with a number. A paging one follows its IOAS; a nested one holds its parent or vIOMMU.
import type { NestedDomain, PagingDomain } from "./domain.ts";
import type { FaultQueue } from "./fault-queue.ts";
import type { Ioas } from "./ioas.ts";
import { IommufdObject } from "./objects.ts";
import type { Viommu } from "./viommu.ts";

export class PagingHwpt extends IommufdObject {
  readonly type = "hwpt-paging" as const;
  readonly ioas: Ioas;
  readonly nestParent: boolean;
  readonly pasidCompatible: boolean;
  /** Made by attaching to an IOAS; goes with its last device. */
  automatic = false;
  domain: PagingDomain | undefined;
  faultQueue: FaultQueue | undefined;
  /** MSI pages of the context that this domain has mapped. */
  readonly swMsiPages: Set<number> = new Set<number>();

  constructor(ioas: Ioas, nestParent: boolean, pasidCompatible: boolean) {
    super();
    this.ioas = ioas;
    this.nestParent = nestParent;
    this.pasidCompatible = pasidCompatible;
    ioas.users++;
  }

  get paging(): PagingHwpt {
    return this;
  }

  override snapshot(): object {
    const { nestParent, pasidCompatible, automatic, domain, faultQueue, swMsiPages } = this;
    return {
      ...{ nestParent, pasidCompatible, automatic },
      ioas: this.ioas.id,
      fault: faultQueue?.id,
      swMsiPages: [...swMsiPages],
      domain: domain?.snapshot(),
    };
  }

  override destroy(): void {
    const at = this.ioas.hwpts.indexOf(this);
    if (at >= 0) {
      this.ioas.hwpts.splice(at, 1);
      this.ioas.space.removeDomain(this.domain!);
    }
    if (this.faultQueue !== undefined) this.faultQueue.users--;
    this.ioas.users--;
  }
}

export class NestedHwpt extends IommufdObject {
  readonly type = "hwpt-nested" as const;
  readonly parent: PagingHwpt;
  readonly viommu: Viommu | undefined;
  readonly pasidCompatible: boolean;
  readonly automatic = false;
  domain: NestedDomain | undefined;
  faultQueue: FaultQueue | undefined;

  constructor(parent: PagingHwpt, viommu: Viommu | undefined, pasidCompatible: boolean) {
    super();
    this.parent = parent;
    this.viommu = viommu;
    this.pasidCompatible = pasidCompatible;
    if (viommu === undefined) parent.users++;
    else viommu.users++;
  }

  /** The page table of the host under this one. */
  get paging(): PagingHwpt {
    return this.parent;
  }

  override snapshot(): object {
    const { parent, viommu, pasidCompatible, domain, faultQueue } = this;
    return {
      parent: parent.id,
      viommu: viommu?.id,
      pasidCompatible,
      fault: faultQueue?.id,
      data: domain?.data.slice(),
    };
  }

  override destroy(): void {
    if (this.faultQueue !== undefined) this.faultQueue.users--;
    if (this.viommu === undefined) this.parent.users--;
    else this.viommu.users--;
  }
}

export type HwPageTable = PagingHwpt | NestedHwpt;
