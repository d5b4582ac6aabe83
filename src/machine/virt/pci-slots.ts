// Where a PCI device goes: buses by name, the place that `bus=` and `addr=` ask for or the first free one.
import { devfn, placeName, type RootPort, type PciBus, type PciPlacement } from "../../device/pci/index.ts";
import { MachineError } from "../errors.ts";

/** A bus that devices can be plugged into. */
interface KnownBus {
  readonly bus: PciBus;
  /** The root port whose slot it is; absent for the root bus. */
  readonly port?: RootPort;
}

export interface PciPlace extends KnownBus {
  readonly at: number;
  readonly isMultifunction: boolean;
}

const FUNCTIONS = [0, 1, 2, 3, 4, 5, 6, 7];

export class PciSlots {
  readonly #buses = new Map<string, KnownBus>();
  readonly #root: KnownBus;
  /** Places, by bus name and place, of functions whose slot may hold others. */
  readonly #multifunction = new Set<string>();
  readonly #slotNumbers = new Map<string, string>();

  constructor(root: PciBus) {
    this.#root = { bus: root };
    this.#buses.set(root.name, this.#root);
  }

  /** Throws MachineError that says what is there and what would do. */
  take(driver: string, busName: string | undefined, { at, isMultifunction }: PciPlacement): PciPlace {
    const known = busName === undefined ? this.#root : this.#named(driver, busName);
    const wanted = at ?? this.#firstFree(driver, known);
    this.#check(driver, known, wanted, isMultifunction);
    if (isMultifunction) this.#multifunction.add(keyOf(known.bus, wanted));
    return { ...known, at: wanted, isMultifunction };
  }

  release({ bus, at }: PciPlace): void {
    this.#multifunction.delete(keyOf(bus, at));
  }

  addPort(port: RootPort): void {
    this.#buses.set(port.secondary.name, { bus: port.secondary, port });
  }

  /** A root port's slot has a number of its own. */
  claimSlotNumber(driver: string, chassis: number, slot: number): void {
    const key = `${chassis}.${slot}`;
    const other = this.#slotNumbers.get(key);
    if (other !== undefined) {
      throw wrong(
        driver,
        `chassis ${chassis} has slot ${slot} already, of "${other}"; another chassis= or slot= would do`,
      );
    }
    this.#slotNumbers.set(key, driver);
  }

  #named(driver: string, busName: string): KnownBus {
    const known = this.#buses.get(busName);
    if (known !== undefined) return known;
    throw wrong(driver, `There is no bus "${busName}" for it; ${[...this.#buses.keys()].join(", ")} would do`);
  }

  #firstFree(driver: string, { bus, port }: KnownBus): number {
    const { functions } = bus;
    const slots = port === undefined ? 32 : 1;
    for (let slot = 0; slot < slots; slot++) {
      if (!FUNCTIONS.some((fn) => functions.has(devfn(slot, fn)))) return devfn(slot, 0);
    }
    throw new MachineError("tooManyDevices", `No slot is left on bus "${bus.name}" for "${driver}"`, {
      subject: driver,
    });
  }

  #check(driver: string, { bus, port }: KnownBus, at: number, isMultifunction: boolean): void {
    const slot = at >> 3;
    if (port !== undefined && slot !== 0) {
      throw wrong(driver, `PCI: slot ${slot} is not valid; the bus "${bus.name}" has slot 0 only`);
    }
    const { functions } = bus;
    const other = functions.get(at);
    if (other !== undefined) {
      throw wrong(driver, `PCI: slot ${slot} function ${at & 7} of "${bus.name}" is in use by "${other.name}"`);
    }
    const first = devfn(slot, 0);
    if (at !== first && functions.has(first) && !this.#multifunction.has(keyOf(bus, first))) {
      throw wrong(driver, `PCI: ${placeName(first)} is a single function; multifunction=on with it would do`);
    }
    if (at === first && !isMultifunction && FUNCTIONS.some((fn) => functions.has(devfn(slot, fn)))) {
      throw wrong(driver, `PCI: ${placeName(first)} has other functions already; multifunction=on would do`);
    }
  }
}

function keyOf(bus: PciBus, at: number): string {
  return `${bus.name}/${placeName(at)}`;
}

function wrong(driver: string, message: string): MachineError {
  return new MachineError("badConfig", message, { subject: driver });
}
