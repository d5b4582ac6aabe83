// Numbers of PCI configuration space. Sources: PCI Local Bus 3.0 (§6), PCI Power Management 1.2, PCI Express Base 5.0 (§7).

export const CONFIG_BYTES = 256;
/** With PCI Express: 4 KiB for each function. */
export const EXTENDED_CONFIG_BYTES = 4096;
export const BAR_COUNT = 6;
/** Capabilities begin behind the header. */
export const FIRST_CAPABILITY = 0x40;

export const SLOT_COUNT = 32;
export const FUNCTIONS_PER_SLOT = 8;
/** INTA to INTD. */
export const PIN_COUNT = 4;
/** What QEMU's own functions have as subsystem. */
export const QEMU_SUBSYSTEM = { subsystemVendorId: 0x1af4, subsystemId: 0x1100 } as const;

/** Byte offsets in a type 0 header, §6.1. */
export const Header = {
  vendorId: 0x00,
  deviceId: 0x02,
  command: 0x04,
  status: 0x06,
  revisionId: 0x08,
  /** Programming interface, subclass and class. */
  classCode: 0x09,
  cacheLineSize: 0x0c,
  latencyTimer: 0x0d,
  headerType: 0x0e,
  bist: 0x0f,
  bar0: 0x10,
  subsystemVendorId: 0x2c,
  subsystemId: 0x2e,
  romBar: 0x30,
  capabilities: 0x34,
  interruptLine: 0x3c,
  interruptPin: 0x3d,
} as const;

/** Byte offsets in a type 1 header, where they differ (PCI-to-PCI Bridge 1.2, §3.2). */
export const BridgeHeader = {
  primaryBus: 0x18,
  secondaryBus: 0x19,
  subordinateBus: 0x1a,
  secondaryLatency: 0x1b,
  ioBase: 0x1c,
  ioLimit: 0x1d,
  secondaryStatus: 0x1e,
  memoryBase: 0x20,
  memoryLimit: 0x22,
  prefetchableBase: 0x24,
  prefetchableLimit: 0x26,
  prefetchableBaseUpper: 0x28,
  prefetchableLimitUpper: 0x2c,
  ioBaseUpper: 0x30,
  ioLimitUpper: 0x32,
  bridgeControl: 0x3e,
} as const;
export const HEADER_BRIDGE = 0x01;
/** Low bits of the prefetchable window's registers. */
export const WINDOW_64 = 1;
/** Bits of the bridge control register that software can write, and the one that resets what is behind. */
export const BridgeControl = { writable: 0x007f, secondaryReset: 0x0040 } as const;

/** In the header type of function 0: there may be others in its slot. */
export const HEADER_MULTIFUNCTION = 0x80;

/** §6.2.2 */
export const Command = {
  io: 0x0001,
  memory: 0x0002,
  busMaster: 0x0004,
  parityError: 0x0040,
  serrEnable: 0x0100,
  interruptDisable: 0x0400,
} as const;

/** §6.2.3; the upper bits are cleared by writing ones. */
export const Status = { interrupt: 0x0008, capabilities: 0x0010, writeOnes: 0xf900 } as const;

/** Low bits of a base address register, §6.2.5. */
export const BarFlag = { io: 1, memory64: 4, prefetchable: 8 } as const;
export const ROM_ENABLE = 1;

export const CapabilityId = { powerManagement: 0x01, msi: 0x05, vendor: 0x09, pciExpress: 0x10, msix: 0x11 } as const;

/** Offsets within each capability. */
export const Pm = { capabilities: 2, control: 4, lengthBytes: 8 } as const;
export const PmControl = { state: 0x0003, noSoftReset: 0x0008, d3hot: 3 } as const;

export const Msi = {
  control: 2,
  addressLow: 4,
  addressHigh: 8,
  data: 12,
  mask: 16,
  pending: 20,
  lengthBytes: 24,
} as const;
/** §6.8.1.3; `capable` and `enabledCount` hold log2 of a number of vectors. */
export const MsiControl = { enable: 0x01, capableShift: 1, enabledShift: 4, is64: 0x80, perVectorMask: 0x100 } as const;
export const MAX_MSI_VECTORS = 32;

export const Msix = { control: 2, table: 4, pending: 8, lengthBytes: 12, entryBytes: 16 } as const;
export const MsixControl = { enable: 0x8000, functionMask: 0x4000, sizeMask: 0x07ff } as const;
export const MSIX_ENTRY_MASKED = 1;
export const MAX_MSIX_VECTORS = 2048;

/** PCI Express capability, version 2, §7.5.3. */
export const Exp = {
  flags: 2,
  deviceCapabilities: 4,
  deviceControl: 8,
  deviceStatus: 10,
  linkCapabilities: 12,
  linkControl: 16,
  linkStatus: 18,
  /** Of ports with a slot. */
  slotCapabilities: 20,
  slotControl: 24,
  slotStatus: 26,
  /** Of root ports. */
  rootControl: 28,
  rootCapabilities: 30,
  rootStatus: 32,
  deviceCapabilities2: 36,
  deviceControl2: 40,
  lengthBytes: 60,
} as const;
export const ExpFlags = {
  version2: 2,
  endpoint: 0x00,
  integratedEndpoint: 0x90,
  rootPort: 0x40,
  slotImplemented: 0x100,
} as const;
export const ExpDeviceCapability = { roleBasedErrors: 0x8000, functionReset: 0x1000_0000 } as const;
export const ExpDeviceControl = { initiateReset: 0x8000 } as const;
/** 2.5 GT/s, one lane, up. */
export const EXP_LINK = { capabilities: 0x0000_0411, status: 0x0011 } as const;
/** Bits of the link capabilities and status: the port says whether the link is up. */
export const ExpLink = { reportsActive: 0x0010_0000, portShift: 24, active: 0x2000 } as const;

/** §7.5.3.9; the slot's number stands from bit 19 on. */
export const SlotCapability = {
  attentionButton: 0x01,
  powerController: 0x02,
  attentionIndicator: 0x08,
  powerIndicator: 0x10,
  surprise: 0x20,
  hotplug: 0x40,
  interlock: 0x0002_0000,
  numberShift: 19,
} as const;
/** §7.5.3.10; the low bits enable the events of the slot status register, whose bits they are. */
export const SlotControl = {
  interruptEnable: 0x0020,
  attentionIndicatorOff: 0x00c0,
  powerIndicator: 0x0300,
  powerIndicatorOn: 0x0100,
  powerOff: 0x0400,
  writable: 0x17ff,
} as const;
/** §7.5.3.11; events are cleared by writing ones. */
export const SlotStatus = {
  attentionPressed: 0x0001,
  presenceChanged: 0x0008,
  commandCompleted: 0x0010,
  present: 0x0040,
  linkChanged: 0x0100,
  events: 0x011f,
} as const;
/** Enables of events that have the same bit in the status register; the link's has another. */
export const SLOT_EVENT_ENABLES = 0x001f;
export const SLOT_LINK_EVENT_ENABLE = 0x1000;
