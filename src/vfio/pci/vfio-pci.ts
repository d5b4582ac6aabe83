// `vfio-pci`: an assigned device in a slot of a board.
import type { PciPorts } from "../../device/pci/index.ts";
import type { Device } from "../../device/port.ts";
import { IommufdError } from "../../iommufd/index.ts";
import { describeState, type DescriptionOf } from "../../state/index.ts";
import type { Assignment } from "../backend.ts";
import type { MovingDevice } from "../migration/moving-device.ts";
import type { EventPort } from "../port.ts";
import { refused } from "../refused.ts";
import { AssignedFunction } from "./function.ts";

export interface VfioPciOptions {
  readonly name: string;
  readonly assignment: Assignment;
  readonly ports: PciPorts;
  readonly events: EventPort;
  /** `migration-events` */
  readonly tellsStates: boolean;
}

/** The device's own state is the host's; migration carries it, not this. */
export type VfioPciState = Readonly<Record<string, never>>;

export class VfioPci implements Device {
  readonly typeName = "vfio-pci";
  readonly stateDescription: DescriptionOf<VfioPciState> = describeState("vfio-pci", 1, []);
  readonly assignment: Assignment;
  readonly tellsStates: boolean;
  readonly pci: AssignedFunction;

  /** Throws VfioError; the device is the host's again then. */
  constructor({ name, assignment, ports, events, tellsStates }: VfioPciOptions) {
    this.assignment = assignment;
    this.tellsStates = tellsStates;
    try {
      this.pci = new AssignedFunction({ name, device: assignment.device, peers: assignment.peers, ports, events });
    } catch (error) {
      assignment.release();
      if (!(error instanceof IommufdError)) throw error;
      throw refused("cannotOpen", "attachment", assignment.device.name, error);
    }
  }

  get moving(): MovingDevice | undefined {
    return this.assignment.device.moving;
  }

  reset(): void {
    this.pci.reset();
  }

  saveState(): VfioPciState {
    return {};
  }

  loadState(): void {}

  close(): void {
    this.pci.close();
    this.assignment.release();
  }
}
