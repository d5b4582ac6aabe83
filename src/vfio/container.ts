// One IOAS with a guest's memory in it, the page tables of its devices, and the sources that tell what devices write.
import { IommufdError, type HwptOptions, type IommufdClient } from "../iommufd/index.ts";
import type { AddressSpace, RamBlock } from "../memory/index.ts";
import { AutoDomains, type AttachableDevice, type AutoDomain } from "./autodomains.ts";
import { Condemned } from "./condemned.ts";
import type { DmaMode } from "./dma-mode.ts";
import { MappedRam, MappingError, type BlockFile, type MappedRange } from "./mapped-ram.ts";
import { refused } from "./refused.ts";
import { MappedPeers, PeerMemory } from "./peer-memory.ts";
import { allSource } from "./trackers/all-source.ts";
import { hwptSource } from "./trackers/hwpt-source.ts";
import { logSource } from "./trackers/log-source.ts";
import { chooseTrackers, type TrackedDevice, type TrackerChoice, type TrackerPolicy } from "./trackers/policy.ts";
import type { DmaLog, TrackingSource } from "./trackers/source.ts";
import { Tracking } from "./trackers/tracking.ts";

/** A device as far as a container is concerned. */
export interface ContainedDevice extends AttachableDevice {
  /** Undefined when it cannot log what it writes. */
  readonly log: DmaLog | undefined;
  /** The operator lets it. */
  readonly mayLog: boolean;
  /** It has migration, and the operator lets it. */
  readonly canMigrate: boolean;
}

export interface ContainerOptions {
  readonly iommufd: IommufdClient;
  /** The guest's memory, whose bytes the host reaches at their offsets in the machine's memory. */
  readonly space: AddressSpace;
  readonly policy: TrackerPolicy;
  readonly fileOf?: (block: RamBlock) => BlockFile | undefined;
  /** Memory of the machine's devices, for the others. */
  readonly peers?: PeerMemory;
  /** What an operator should know though everything goes on. */
  readonly warn: (message: string) => void;
}

export class Container {
  readonly ioasId: number;
  readonly #options: ContainerOptions;
  readonly #condemned: Condemned;
  readonly #domains: AutoDomains;
  readonly #devices: ContainedDevice[] = [];
  readonly #ram: MappedRam;
  readonly #peers: MappedPeers;
  readonly #tracking: Tracking;
  #unlisten: (() => void) | undefined;

  /** Throws IommufdError when there is no IOAS to be had. */
  constructor(options: ContainerOptions) {
    const { iommufd, space, warn } = options;
    this.#options = options;
    this.ioasId = iommufd.ioasAlloc();
    this.#condemned = new Condemned(iommufd);
    const calls = {
      getHwInfo: (id: number) => iommufd.getHwInfo(id),
      hwptAlloc: (wanted: HwptOptions) => iommufd.hwptAlloc(wanted),
      destroy: (id: number) => this.#condemned.destroy(id),
    };
    this.#domains = new AutoDomains(calls, this.ioasId);
    this.#tracking = new Tracking(space.world.notes, () => this.#ram.ranges);
    this.#peers = new MappedPeers({
      calls: iommufd,
      ioasId: this.ioasId,
      peers: options.peers ?? new PeerMemory(),
      warn,
    });
    this.#ram = new MappedRam({
      calls: iommufd,
      ioasId: this.ioasId,
      ...(options.fileOf !== undefined && { fileOf: options.fileOf }),
      onStuck: (message) => warn(message),
      beforeUnmap: (range) => this.#tracking.flush(range),
      onFailure: (error) => warn(`${error.message}; devices do not reach it`),
    });
  }

  get devices(): readonly ContainedDevice[] {
    return this.#devices;
  }

  /** Newest first. */
  get domains(): readonly AutoDomain[] {
    return this.#domains.domains;
  }

  domainOf(device: ContainedDevice): AutoDomain | undefined {
    return this.#domains.domainOf(device);
  }

  /** How one of `devices` is tracked. */
  trackerOf(device: ContainedDevice): TrackerChoice {
    return this.trackers[this.#devices.indexOf(device)]!;
  }

  get ranges(): readonly MappedRange[] {
    return this.#ram.ranges;
  }

  /** How each device is tracked while an epoch is open, in the order of attaching. */
  get trackers(): readonly TrackerChoice[] {
    return chooseTrackers(
      this.#devices.map((device) => this.#facts(device)),
      this.#options.policy,
    );
  }

  /**
   * Takes a device in: page table, guest memory, tracking. Throws VfioError; the device is where it was before, and so is
   * everything else.
   */
  attach(device: ContainedDevice, mode: DmaMode = "hwpt"): void {
    const undo: (() => void)[] = [];
    const tracked = this.trackers;
    try {
      // The kernel's own choice of page table is asked for by the IOAS's number.
      if (mode === "ioas") device.attach(this.ioasId);
      else this.#domains.attach(device);
      undo.push(() => this.#domains.detach(device));
      undo.push(() => this.#devices.length === 0 && this.#stopListening());
      this.#devices.push(device);
      undo.push(() => this.#devices.splice(this.#devices.indexOf(device), 1));
      // Only now: with the device's reserved regions in the IOAS, a mapping over one of them fails here.
      this.#unlisten ??= this.#listen(this.#options.space);
      this.#tracking.use(this.#sources());
    } catch (cause) {
      for (const step of undo.reverse()) step();
      throw this.#refused(device, cause);
    }
    this.#warnOfTable(device);
    this.#warnUntracked(tracked);
  }

  /** Lets a device go; what it wrote is known to open epochs. A host that refuses calls does not hold it back. */
  detach(device: ContainedDevice): void {
    this.#devices.splice(this.#devices.indexOf(device), 1);
    // While the page table and the log are still there to be asked.
    this.#trackRest();
    this.#domains.detach(device);
    if (this.#devices.length === 0) this.#stopListening();
  }

  /** Tries again what the host refused: after a device's file was closed there is less in the way. */
  sweep(): void {
    this.#condemned.sweep();
  }

  /** Gives the IOAS back; no device is attached any more. */
  close(): void {
    this.#stopListening();
    this.#condemned.destroy(this.ioasId);
  }

  /** A device that left may change the trackers of others. One that does not start leaves all of them without. */
  #trackRest(): void {
    try {
      this.#tracking.use(this.#sources());
    } catch (error) {
      if (!(error instanceof IommufdError)) throw error;
      this.#tracking.use(this.#devices.map(({ name }) => allSource(name)));
      this.#options.warn(`${error.message}; all that the others can reach counts as written`);
    }
  }

  /** A device was reset under the guest: what others map of its BARs is mapped anew. */
  renewPeers(): void {
    this.#peers.renew();
  }

  #listen(space: AddressSpace): () => void {
    const ends = [this.#ram.follow(space), space.addListener(this.#peers)];
    return () => ends.forEach((end) => end());
  }

  #stopListening(): void {
    this.#unlisten?.();
    this.#unlisten = undefined;
  }

  #facts(device: ContainedDevice): TrackedDevice {
    const { name, log, mayLog, canMigrate } = device;
    const hasDirtyBits = this.#domains.domainOf(device)?.hasDirtyBits ?? false;
    return { name, hasLog: log !== undefined, mayLog, hasDirtyBits, canMigrate };
  }

  /** One source per page table and per device that is tracked another way, without repetition. */
  #sources(): TrackingSource[] {
    const sources = new Map<string, TrackingSource>();
    this.trackers.forEach(({ tracker }, i) => {
      const source = this.#sourceOf(this.#devices[i]!, tracker);
      sources.set(source.name, source);
    });
    return [...sources.values()];
  }

  #sourceOf(device: ContainedDevice, tracker: TrackerChoice["tracker"]): TrackingSource {
    switch (tracker) {
      case "device":
        return logSource(device.name, device.log!, () => this.ranges);
      case "iommu":
        return hwptSource(this.#options.iommufd, this.#domains.domainOf(device)!.hwptId);
      case "none":
        return allSource(device.name);
    }
  }

  /** QEMU's warning, where it gives it: a page table was made without dirty bits beside one that has them. */
  #warnOfTable(device: ContainedDevice): void {
    const { policy, warn } = this.#options;
    const domain = this.domainOf(device);
    if (policy !== "all-or-nothing" || domain === undefined || domain.hasDirtyBits || domain.devices.size > 1) return;
    if (!this.domains.some((other) => other.hasDirtyBits)) return;
    warn(`IOMMU instance for device ${device.name} doesn't support dirty tracking`);
  }

  /** One that comes without a log can take the tracker of others away, so all are looked at. */
  #warnUntracked(before: readonly TrackerChoice[]): void {
    this.trackers.forEach(({ device, tracker, because }, i) => {
      if (tracker === "none" && before[i]?.tracker !== "none") this.#options.warn(`${device}: ${because}`);
    });
  }

  #refused(device: ContainedDevice, cause: unknown): unknown {
    if (cause instanceof MappingError) return refused("cannotMap", "memory", device.name, cause.cause, cause.where);
    if (!(cause instanceof IommufdError)) return cause;
    const isTracking =
      cause.ioctl === "IOMMU_HWPT_SET_DIRTY_TRACKING" || cause.ioctl === "VFIO_DEVICE_FEATURE (DMA_LOGGING_START)";
    return isTracking
      ? refused("cannotTrack", "tracking", device.name, cause)
      : refused("cannotAttach", "attachment", device.name, cause);
  }
}
