// One device of the host: its driver, and who has it open.
import type { HostMemory, IommufdContext } from "../iommufd/index.ts";
import type { HostCounters } from "./counters.ts";
import type { DeviceDriver } from "./driver.ts";
import type { MigrationAbility, VfioDeviceKind, VfioDeviceNode, VfioPlacement } from "./port.ts";
import { Errno } from "../iommufd/index.ts";

export interface VfioDeviceOptions {
  readonly path: string;
  readonly name: string;
  readonly kind: VfioDeviceKind;
  readonly migration: readonly MigrationAbility[];
  readonly dmaLog: boolean;
  readonly placement: VfioPlacement | undefined;
  readonly memory: HostMemory;
  readonly counters: HostCounters;
  readonly driver: DeviceDriver;
}

export class VfioDevice implements VfioDeviceNode {
  readonly path: string;
  readonly name: string;
  readonly kind: VfioDeviceKind;
  readonly migration: readonly MigrationAbility[];
  readonly dmaLog: boolean;
  readonly placement: VfioPlacement | undefined;
  readonly memory: HostMemory;
  readonly counters: HostCounters;
  readonly driver: DeviceDriver;
  isOpen = false;

  constructor(options: VfioDeviceOptions) {
    this.path = options.path;
    this.name = options.name;
    this.kind = options.kind;
    this.migration = options.migration;
    this.dmaLog = options.dmaLog;
    this.placement = options.placement;
    this.memory = options.memory;
    this.counters = options.counters;
    this.driver = options.driver;
  }

  /** Binds it to a context for the one file that may use it; its id there, or a negative errno. */
  open(context: IommufdContext): number {
    if (this.isOpen) return -Errno.EINVAL;
    const id = this.driver.bind(context);
    if (id < 0) return id;
    const rc = this.driver.open();
    if (rc < 0) {
      this.driver.unbind();
      return rc;
    }
    this.isOpen = true;
    this.counters.boundDevices++;
    return id;
  }

  close(): void {
    this.driver.close();
    this.driver.unbind();
    this.isOpen = false;
    this.counters.boundDevices--;
  }

  requestBack(): boolean {
    return this.driver.notify?.("request") ?? false;
  }

  reportError(): boolean {
    return this.driver.notify?.("error") ?? false;
  }
}
