// An iommufd object: one context of a host, opened by its first user and closed by its last, and the containers in it.
import { IommufdClient, IommufdError } from "../iommufd/index.ts";
import type { AddressSpace, RamBlock } from "../memory/index.ts";
import { refusedWish, untrackedMessage, type Blocker, type MigratingDevice, type MigrationWish } from "./blockers.ts";
import { Container } from "./container.ts";
import type { DmaMode } from "./dma-mode.ts";
import { AssignedDevice, type DeviceOptions } from "./device.ts";
import { VfioError } from "./errors.ts";
import { explain, reasonText, type Reason } from "./explain.ts";
import type { BlockFile } from "./mapped-ram.ts";
import { PeerMemory } from "./peer-memory.ts";
import type { AssigningHost, HostDevice } from "./port.ts";
import { assignedAlready, refused } from "./refused.ts";
import type { TrackerPolicy } from "./trackers/policy.ts";

export interface BackendOptions {
  readonly id: string;
  readonly host: AssigningHost;
  readonly space: AddressSpace;
  readonly policy: TrackerPolicy;
  readonly fileOf?: (block: RamBlock) => BlockFile | undefined;
  readonly warn: (message: string) => void;
  /** Assigned devices of the machine's other objects, which migrate together with these. */
  readonly others?: () => readonly MigratingDevice[];
}

export interface AssignmentOptions extends DeviceOptions {
  /** As the host calls it. */
  readonly name: string;
  readonly mode: DmaMode;
}

/** A device that this machine has, until `release`. */
export interface Assignment {
  readonly device: AssignedDevice;
  readonly container: Container;
  /** Where its memory is shared with the other devices. */
  readonly peers: PeerMemory;
  readonly migration: MigrationWish;
  release(): void;
}

export class IommufdBackend {
  readonly id: string;
  readonly #options: BackendOptions;
  #iommufd: IommufdClient | undefined;
  readonly #containers: Container[] = [];
  readonly #assignments: Assignment[] = [];
  readonly #peers: PeerMemory = new PeerMemory();

  constructor(options: BackendOptions) {
    this.id = options.id;
    this.#options = options;
  }

  get containers(): readonly Container[] {
    return this.#containers;
  }

  get assignments(): readonly Assignment[] {
    return this.#assignments;
  }

  get host(): AssigningHost {
    return this.#options.host;
  }

  /** This object's devices as far as migration goes, in the order of assigning. */
  get migrating(): readonly MigratingDevice[] {
    return this.#assignments.map((assignment) => this.#migrating(assignment));
  }

  /** Everything that keeps the machine's assigned devices from migrating; those of this object last. */
  get blockers(): readonly Blocker[] {
    return explain({ refused: [], migrating: this.#together });
  }

  get #together(): readonly MigratingDevice[] {
    return [...(this.#options.others?.() ?? []), ...this.migrating];
  }

  /** Takes a device. Throws VfioError; the device is the host's again then, and everything as it was. */
  assign(options: AssignmentOptions): Assignment {
    const which = this.#find(options.name);
    if (this.#assignments.some(({ device }) => device.name === which.name)) throw assignedAlready(which.name);
    const iommufd = (this.#iommufd ??= this.#open());
    let device: AssignedDevice | undefined;
    try {
      device = AssignedDevice.open(this.#options.host, iommufd, which, options);
      const assignment = this.#attach(device, iommufd, options);
      this.#checkWish(assignment);
      return assignment;
    } catch (error) {
      // What was attached has been released, and the device with it.
      if (this.#assignments.every((assignment) => assignment.device !== device)) device?.close();
      this.#closeUnused();
      throw error instanceof IommufdError ? refused("cannotAttach", "attachment", options.name, error) : error;
    }
  }

  #attach(device: AssignedDevice, iommufd: IommufdClient, options: AssignmentOptions): Assignment {
    const container = this.#containerFor(device, iommufd, options.mode);
    let isHeld = true;
    const assignment: Assignment = {
      device,
      container,
      peers: this.#peers,
      migration: options.migration,
      release: () => {
        if (!isHeld) return;
        isHeld = false;
        this.#assignments.splice(this.#assignments.indexOf(assignment), 1);
        container.detach(device);
        device.close();
        container.sweep();
        this.#closeUnused();
      },
    };
    this.#assignments.push(assignment);
    if (device.moving !== undefined)
      device.moving.onReset = () => this.#containers.forEach((each) => each.renewPeers());
    return assignment;
  }

  /** One that there is, or a new one for a device that fits none. */
  #containerFor(device: AssignedDevice, iommufd: IommufdClient, mode: DmaMode): Container {
    const reasons: Reason[] = [];
    for (const container of this.#containers) {
      try {
        container.attach(device, mode);
        return container;
      } catch (error) {
        if (!(error instanceof VfioError)) throw error;
        reasons.push(...error.reasons);
      }
    }
    const container = this.#makeContainer(iommufd);
    try {
      container.attach(device, mode);
    } catch (error) {
      container.close();
      if (!(error instanceof VfioError)) throw error;
      const { code, message, cause } = error;
      throw new VfioError(code, message, { subject: device.name, cause, reasons: [...error.reasons, ...reasons] });
    }
    this.#containers.push(container);
    return container;
  }

  #makeContainer(iommufd: IommufdClient): Container {
    const { space, policy, fileOf, warn } = this.#options;
    return new Container({ iommufd, space, peers: this.#peers, policy, warn, ...(fileOf !== undefined && { fileOf }) });
  }

  /** A device that is to migrate and cannot is not taken. One that nobody tracks is, with QEMU's warning. */
  #checkWish({ device, container, migration, release }: Assignment): void {
    if (migration !== "on") return;
    const together = this.#together;
    const blocker = refusedWish(together);
    if (blocker === undefined) {
      if (container.trackerOf(device).isUntrackable) this.#options.warn(untrackedMessage(device.name));
      return;
    }
    release();
    throw new VfioError("cannotMigrate", reasonText(blocker), {
      subject: device.name,
      reasons: explain({
        refused: [{ what: "migration", device: device.name, refusal: blocker.refusal }],
        migrating: together,
      }),
    });
  }

  #migrating(assignment: Assignment): MigratingDevice {
    const { device, container, migration } = assignment;
    return {
      name: device.name,
      wish: migration,
      answer: device.migration,
      isMediated: device.isMediated,
      unitHasDirtyBits: device.unitHasDirtyBits,
      choice: container.trackerOf(device),
    };
  }

  #open(): IommufdClient {
    const { session, arena } = this.#options.host;
    try {
      return IommufdClient.open(session, arena);
    } catch (cause) {
      if (!(cause instanceof IommufdError)) throw cause;
      throw new VfioError("cannotOpen", `iommufd "${this.id}": ${cause.message}`, { subject: this.id, cause });
    }
  }

  #find(name: string): HostDevice {
    const { devices } = this.#options.host;
    const found = devices.find((device) => device.name === name);
    if (found !== undefined) return found;
    const known = devices.length === 0 ? "it has none" : `${devices.map((device) => device.name).join(", ")} would do`;
    throw new VfioError("unknownDevice", `The host of iommufd "${this.id}" has no device ${name}; ${known}`, {
      subject: name,
    });
  }

  #closeUnused(): void {
    for (const container of [...this.#containers]) {
      if (container.devices.length > 0) continue;
      this.#containers.splice(this.#containers.indexOf(container), 1);
      container.close();
    }
    if (this.#assignments.length > 0) return;
    this.#iommufd?.close();
    this.#iommufd = undefined;
  }
}
