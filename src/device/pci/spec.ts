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
  deviceCapabilities2: 36,
  deviceControl2: 40,
  lengthBytes: 60,
} as const;
export const ExpFlags = { version2: 2, endpoint: 0x00, integratedEndpoint: 0x90 } as const;
export const ExpDeviceCapability = { roleBasedErrors: 0x8000, functionReset: 0x1000_0000 } as const;
export const ExpDeviceControl = { initiateReset: 0x8000 } as const;
/** 2.5 GT/s, one lane, up. */
export const EXP_LINK = { capabilities: 0x0000_0411, status: 0x0011 } as const;
