// A device that its host has handed out: opened, bound, asked what it is. Board functions and containers stand
// on it.
import {
  HwCapability,
  VfioDeviceClient,
  VfioDeviceFeatureFlag,
  VfioDeviceFeatureMigration,
  VfioDeviceFlag,
  VfioFeature,
  VfioMigrationFlag,
  IommufdError,
  type Errno,
  type IommufdClient,
  type VfioDeviceFacts,
} from "../iommufd/index.ts";
import { canStopCopy, type MigrationAnswer, type MigrationWish } from "./blockers.ts";
import type { ContainedDevice } from "./container.ts";
import { refused } from "./refused.ts";
import { MovingDevice } from "./migration/moving-device.ts";
import type { AssigningHost, HostDevice } from "./port.ts";
import type { DmaLog } from "./trackers/source.ts";

/** What the operator says of it. */
export interface DeviceOptions {
  /** The device's own log may be used. */
  readonly mayLog: boolean;
  readonly migration: MigrationWish;
}

export class AssignedDevice implements ContainedDevice {
  readonly name: string;
  readonly isMediated: boolean;
  readonly mayLog: boolean;
  readonly canMigrate: boolean;
  readonly client: VfioDeviceClient;
  readonly deviceId: number;
  readonly facts: VfioDeviceFacts;
  readonly log: DmaLog | undefined;
  readonly migration: MigrationAnswer;
  /** Undefined for one that cannot migrate. */
  readonly moving: MovingDevice | undefined;
  /** Its unit reports dirty tracking. */
  readonly unitHasDirtyBits: boolean;
  #isClosed = false;

  /**
   * Opens a device's file and takes it for a context. Throws VfioError with the host's refusal; the device is the host's
   * again then.
   */
  static open(host: AssigningHost, iommufd: IommufdClient, which: HostDevice, options: DeviceOptions): AssignedDevice {
    let client: VfioDeviceClient | undefined;
    try {
      client = VfioDeviceClient.open(host.session, host.arena, which.path);
      const deviceId = client.bind(iommufd.fd);
      const { capabilities } = which.isMediated ? { capabilities: 0n } : iommufd.getHwInfo(deviceId);
      return new AssignedDevice(client, deviceId, { ...which, ...options, capabilities, host });
    } catch (cause) {
      client?.close();
      if (!(cause instanceof IommufdError)) throw cause;
      throw refused("cannotOpen", "attachment", which.name, cause);
    }
  }

  private constructor(
    client: VfioDeviceClient,
    deviceId: number,
    known: HostDevice & DeviceOptions & { readonly capabilities: bigint; readonly host: AssigningHost },
  ) {
    this.name = known.name;
    this.isMediated = known.isMediated;
    this.mayLog = known.mayLog;
    this.unitHasDirtyBits = (known.capabilities & BigInt(HwCapability.DIRTY_TRACKING)) !== 0n;
    this.client = client;
    this.deviceId = deviceId;
    this.facts = client.info();
    this.log = client.hasFeature(VfioFeature.DMA_LOGGING_START, "set") ? logOf(client) : undefined;
    this.migration = askMigration(client);
    this.canMigrate = known.migration !== "off" && canStopCopy(this.migration);
    if (!this.canMigrate || "errno" in this.migration) return;
    const { p2p, preCopy } = this.migration;
    const { session, arena } = known.host;
    this.moving = new MovingDevice({ name: known.name, client, session, arena, p2p, preCopy, flags: this.facts.flags });
  }

  attach(tableId: number): void {
    this.client.attach(tableId);
  }

  detach(): void {
    this.client.detach();
  }

  /** As after power-on, where the device can be reset. Throws IommufdError. */
  reset(): void {
    if ((this.facts.flags & VfioDeviceFlag.RESET) === 0) return;
    this.client.reset();
    this.moving?.noteReset();
  }

  /** Gives the device back; idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.moving?.close();
    this.client.close();
  }
}

function logOf(client: VfioDeviceClient): DmaLog {
  return {
    start(ranges, pageBytes) {
      const spans = ranges.map(({ iova, lengthBytes }) => ({ start: iova, last: iova + lengthBytes - 1n }));
      client.startDmaLog(spans, pageBytes);
    },
    stop: () => client.stopDmaLog(),
    report: (iova, lengthBytes, pageBytes) => client.reportDmaLog(iova, lengthBytes, pageBytes),
  };
}

function askMigration(client: VfioDeviceClient): MigrationAnswer {
  const { errno, flags } = migrationFlags(client);
  if (errno !== 0) return { errno };
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const { STOP_COPY, P2P, PRE_COPY } = VfioMigrationFlag;
  return { stopCopy: has(STOP_COPY), p2p: has(P2P), preCopy: has(PRE_COPY) };
}

function migrationFlags(client: VfioDeviceClient): { readonly errno: Errno; readonly flags: number } {
  const { errno, payload } = client.attemptFeature(
    VfioFeature.MIGRATION,
    VfioDeviceFeatureFlag.GET,
    VfioDeviceFeatureMigration,
  );
  return { errno, flags: errno === 0 ? Number(VfioDeviceFeatureMigration.decode(payload).flags) : 0 };
}
