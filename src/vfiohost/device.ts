// One device of the host: its model, its driver, who has it open, how it migrates, and the log of what it writes.
import type { Activity, PciDevice } from "../device/pci/index.ts";
import { Errno, VfioDeviceState, type HostMemory, type IommufdContext } from "../iommufd/index.ts";
import type { HostCounters } from "./counters.ts";
import { DmaLog } from "./dma-log.ts";
import type { DeviceDriver } from "./driver.ts";
import { Migration } from "./migration/migration.ts";
import { activityIn } from "./migration/states.ts";
import type { MigrationAbility, VfioDeviceKind, VfioDeviceNode, VfioPlacement } from "./port.ts";
import type { HostDma } from "./wires.ts";

/** What a driver tells its device of. */
export interface DriverEvents {
  /** The device behind the driver was reset, by whichever way. */
  onReset(): void;
  /** A device in low power stands still. */
  onPower(isLow: boolean): void;
}

export interface VfioDeviceOptions {
  readonly path: string;
  readonly name: string;
  readonly kind: VfioDeviceKind;
  readonly migration: readonly MigrationAbility[];
  readonly dmaLog: boolean;
  readonly placement: VfioPlacement | undefined;
  readonly memory: HostMemory;
  readonly counters: HostCounters;
  readonly model: PciDevice;
  readonly makeDriver: (events: DriverEvents) => DeviceDriver;
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
  /** Undefined for a device that cannot migrate. */
  readonly migrating: Migration | undefined;
  /** Undefined for a device that does not log what it writes. */
  readonly log: DmaLog | undefined;
  isOpen = false;
  readonly #model: PciDevice;
  #isLowPower = false;

  constructor(options: VfioDeviceOptions) {
    this.path = options.path;
    this.name = options.name;
    this.kind = options.kind;
    this.migration = options.migration;
    this.dmaLog = options.dmaLog;
    this.placement = options.placement;
    this.memory = options.memory;
    this.counters = options.counters;
    this.#model = options.model;
    this.log = options.dmaLog ? new DmaLog() : undefined;
    if (options.migration.length > 0) {
      this.migrating = new Migration({
        device: options.model,
        kind: options.kind.name,
        abilities: options.migration,
        memory: options.memory,
        counters: options.counters,
        onState: () => this.#applyActivity(),
      });
    }
    this.driver = options.makeDriver({
      onReset: () => {
        this.migrating?.reset();
        this.#applyActivity();
      },
      onPower: (isLow) => {
        this.#isLowPower = isLow;
        this.#applyActivity();
      },
    });
  }

  /** Resolves when the model waits for nothing of the host. */
  async drain(): Promise<void> {
    await this.#model.drain?.();
  }

  /** What the model may do of its own accord. */
  get activity(): Activity {
    return this.#isLowPower ? "stopped" : activityIn(this.migrating?.state ?? VfioDeviceState.RUNNING);
  }

  /** DMA as the device log sees it. */
  logged(dma: HostDma): HostDma {
    return {
      read: (iova, into) => dma.read(iova, into),
      write: (iova, from) => {
        const status = dma.write(iova, from);
        // Also of one that failed: part of it may have been written.
        this.log?.note(iova, from.length);
        return status;
      },
    };
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
    this.log?.stop();
    if (this.migrating !== undefined) this.migrating.tellsReinit = false;
    this.isOpen = false;
    this.counters.boundDevices--;
  }

  requestBack(): boolean {
    return this.driver.notify?.("request") ?? false;
  }

  reportError(): boolean {
    return this.driver.notify?.("error") ?? false;
  }

  #applyActivity(): void {
    this.#model.setActivity(this.activity);
  }
}
