// A PCI Express root port after QEMU's: a bridge whose bus has one slot, with native hot plug (PCI Express 5.0 §6.7).
import type { DescriptionOf } from "../../../state/index.ts";
import { bool, describeState, field } from "../../../state/index.ts";
import { PciBus, type BridgeRoute, type PlugOptions } from "../bus.ts";
import type { ConfigRegister } from "../config-space.ts";
import { PciFunction } from "../function.ts";
import type { Activity, PciDevice } from "../pci-device.ts";
import type { BusFunction, PciPorts } from "../port.ts";
import {
  BridgeControl,
  BridgeHeader,
  Exp,
  ExpLink,
  EXP_LINK,
  FUNCTIONS_PER_SLOT,
  PIN_COUNT,
  SLOT_EVENT_ENABLES,
  SLOT_LINK_EVENT_ENABLE,
  SlotCapability,
  SlotControl,
  SlotStatus,
} from "../spec.ts";
import { BridgeWindows } from "./bridge-windows.ts";
import { rootPortInfo, type RootPortConfig } from "./config.ts";

export interface RootPortOptions extends RootPortConfig {
  /** As traces call it; its bus too. */
  readonly name: string;
  readonly busName: string;
  /** The bus it is plugged into, and its place there. */
  readonly primary: PciBus;
  readonly at: number;
  readonly ports: PciPorts;
}

export type RootPortState = {
  /** The operator has asked for the device in the slot, and the guest has not let it go yet. */
  removalAsked: boolean;
};

const MSIX_BAR_BYTES = 0x1000;
const INDICATORS_OFF = SlotControl.attentionIndicatorOff | SlotControl.powerIndicator;

export class RootPort implements PciDevice, BridgeRoute {
  readonly typeName: string = rootPortInfo.typeName;
  readonly pci: PciFunction;
  readonly secondary: PciBus;
  readonly hasHotplug: boolean;
  readonly stateDescription: DescriptionOf<RootPortState> = describeState("pcie-root-port", 1, [
    field("removalAsked", bool),
  ]);
  /** The guest has switched the slot off: what is in it may go. */
  onRelease: (() => void) | undefined;
  readonly #windows: BridgeWindows;
  readonly #subordinateBus: ConfigRegister;
  readonly #slotControl: ConfigRegister;
  readonly #slotStatus: ConfigRegister;
  readonly #linkStatus: ConfigRegister;
  #removalAsked = false;
  #isSignalled = false;

  constructor(options: RootPortOptions) {
    const { name, busName, primary, at, ports } = options;
    this.hasHotplug = options.hotplug;
    const pci = (this.pci = new PciFunction({
      name,
      identity: { vendorId: 0x1b36, deviceId: 0x000c, classCode: 0x06_04_00 },
      bars: [{ index: 0, kind: "memory", lengthBytes: MSIX_BAR_BYTES, parts: [] }],
      interruptPin: 1,
      msix: { vectorCount: 1, bar: 0, barOffset: 0, lengthBytes: MSIX_BAR_BYTES },
      express: "root-port",
      ports,
      onReset: () => this.#resetPort(),
    }));
    const slotNumber = Math.floor(at / FUNCTIONS_PER_SLOT);
    const numbers = defineHeader(pci);
    this.#subordinateBus = numbers.subordinateBus;
    this.secondary = new PciBus({
      name: busName,
      upstream: primary.upstream,
      lines: Array.from({ length: PIN_COUNT }, (_, pin) => primary.line(slotNumber, pin)),
      number: () => numbers.secondaryBus.value,
    });
    numbers.bridgeControl.onWrite = (value, before) => {
      const { secondaryReset } = BridgeControl;
      if ((value & ~before & secondaryReset) !== 0) this.secondary.reset();
    };
    const slot = defineSlot(pci, options);
    this.#slotControl = slot.control;
    this.#slotStatus = slot.status;
    this.#slotControl.onWrite = (value, before) => this.#controlWritten(value, before);
    this.#slotStatus.onWrite = () => this.#signal();
    this.#linkStatus = pci.config.register("express.linkStatus");
    const link = EXP_LINK.capabilities | ExpLink.reportsActive | (options.port << ExpLink.portShift);
    pci.config.register("express.linkCapabilities").setFixed(link >>> 0);
    this.#windows = new BridgeWindows(pci, primary, this.secondary);
    pci.onCommand = () => this.#windows.update();
    this.#resetPort();
  }

  get subordinateNumber(): number {
    return this.#subordinateBus.value;
  }

  /** Something is in the slot. */
  get isOccupied(): boolean {
    return this.secondary.functions.size > 0;
  }

  get isRemovalAsked(): boolean {
    return this.#removalAsked;
  }

  reset(): void {
    this.pci.reset();
  }

  close(): void {
    this.#windows.hide();
  }

  setActivity(_activity: Activity): void {
    // A port does nothing of its own accord.
  }

  saveState(): RootPortState {
    return { removalAsked: this.#removalAsked };
  }

  loadState(state: RootPortState): void {
    this.#removalAsked = state.removalAsked;
    this.#isSignalled = this.#hasEnabledEvent;
    this.pci.setIntx(this.#isSignalled);
    this.#windows.update();
  }

  /** Puts a function into the slot before the machine starts. */
  coldPlug(at: number, fn: BusFunction, options: PlugOptions): void {
    this.secondary.plug(at, fn, options);
    this.#showPresence();
    this.#slotControl.value = this.#restingControl();
  }

  /** Puts a function into the slot while the guest runs, who is told as if somebody had pressed the slot's button. */
  hotPlug(at: number, fn: BusFunction, options: PlugOptions): void {
    this.secondary.plug(at, fn, options);
    this.#showPresence();
    this.#raise(SlotStatus.presenceChanged | SlotStatus.attentionPressed);
  }

  /** Asks the guest to let go of what is in the slot; `onRelease` follows, at once where the slot is switched off. */
  askForRemoval(): void {
    this.#removalAsked = true;
    if (this.#isSwitchedOff(this.#slotControl.value)) this.#release();
    else this.#raise(SlotStatus.attentionPressed);
  }

  #resetPort(): void {
    this.#removalAsked = false;
    this.#isSignalled = false;
    this.#showPresence();
    this.#slotControl.value = this.#restingControl();
    this.#windows.update();
    this.secondary.reset();
  }

  /** Power where something is, and none where nothing is, as after power-on. */
  #restingControl(): number {
    const { attentionIndicatorOff, powerIndicatorOn, powerOff } = SlotControl;
    return this.isOccupied ? attentionIndicatorOff | powerIndicatorOn : INDICATORS_OFF | powerOff;
  }

  #showPresence(): void {
    const present = this.isOccupied ? SlotStatus.present : 0;
    this.#slotStatus.value = (this.#slotStatus.value & ~SlotStatus.present) | present;
    const active = this.isOccupied ? ExpLink.active : 0;
    this.#linkStatus.value = (this.#linkStatus.value & ~ExpLink.active) | active;
  }

  #isSwitchedOff(control: number): boolean {
    const { powerOff, powerIndicator } = SlotControl;
    return (control & powerOff) !== 0 && (control & powerIndicator) === powerIndicator;
  }

  #controlWritten(value: number, before: number): void {
    // Taking power away is how the guest lets go, asked or not.
    if (this.isOccupied && this.#isSwitchedOff(value) && !this.#isSwitchedOff(before)) this.#release();
    this.#raise(SlotStatus.commandCompleted);
  }

  #release(): void {
    this.#removalAsked = false;
    this.onRelease?.();
    this.#showPresence();
    this.#raise(SlotStatus.presenceChanged);
  }

  #raise(events: number): void {
    if (!this.hasHotplug) return;
    this.#slotStatus.value |= events;
    this.#signal();
  }

  get #hasEnabledEvent(): boolean {
    const control = this.#slotControl.value;
    if ((control & SlotControl.interruptEnable) === 0) return false;
    const link = (control & SLOT_LINK_EVENT_ENABLE) !== 0 ? SlotStatus.linkChanged : 0;
    return (this.#slotStatus.value & ((control & SLOT_EVENT_ENABLES) | link)) !== 0;
  }

  /** §6.7.3.4: a message when the condition begins, the line as long as it lasts. */
  #signal(): void {
    const before = this.#isSignalled;
    this.#isSignalled = this.#hasEnabledEvent;
    this.pci.setIntx(this.#isSignalled);
    if (this.#isSignalled && !before) this.pci.notify(0);
  }
}

function defineHeader(pci: PciFunction) {
  const B = BridgeHeader;
  return pci.config.define("bridge", 0, {
    primaryBus: { at: B.primaryBus, widthBytes: 1, writable: 0xff },
    secondaryBus: { at: B.secondaryBus, widthBytes: 1, writable: 0xff },
    subordinateBus: { at: B.subordinateBus, widthBytes: 1, writable: 0xff },
    secondaryLatency: { at: B.secondaryLatency, widthBytes: 1 },
    secondaryStatus: { at: B.secondaryStatus, widthBytes: 2 },
    bridgeControl: { at: B.bridgeControl, widthBytes: 2, writable: BridgeControl.writable },
  } as const);
}

function defineSlot(pci: PciFunction, { slot, hotplug }: RootPortConfig) {
  const { attentionButton, powerController, attentionIndicator, powerIndicator, interlock } = SlotCapability;
  const parts = attentionButton | powerController | attentionIndicator | powerIndicator | interlock;
  const plugging = hotplug ? SlotCapability.hotplug | SlotCapability.surprise : 0;
  return pci.config.define("slot", pci.expressAt, {
    capabilities: {
      at: Exp.slotCapabilities,
      widthBytes: 4,
      reset: (parts | plugging | (slot << SlotCapability.numberShift)) >>> 0,
    },
    control: { at: Exp.slotControl, widthBytes: 2, writable: SlotControl.writable },
    status: { at: Exp.slotStatus, widthBytes: 2, clearable: SlotStatus.events, isLive: true },
    rootControl: { at: Exp.rootControl, widthBytes: 2, writable: 0x000f },
    rootCapabilities: { at: Exp.rootCapabilities, widthBytes: 2 },
    rootStatus: { at: Exp.rootStatus, widthBytes: 4 },
  } as const);
}
