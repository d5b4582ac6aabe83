// What a user may see and change of configuration space, per capability, as vfio-pci of Linux 7.2 has it
// (drivers/vfio/pci/vfio_pci_config.c): bits that are the host's copy instead of the device's, and bits that can be written.
import { pciSpec } from "../../device/pci/index.ts";

const { CapabilityId, Exp, Header, Msi, Pm, PmControl } = pciSpec;

export const HEADER_BYTES = 64;

/** PCI PM 1.2 §3.2.3 and §3.2.4: events of power management, which the host handles. */
export const PmBits = { pmeSupport: 0xf800, pmeEnable: 0x0100, pmeStatus: 0x8000 } as const;
/** PCI Express 5.0 §7.5.3.4: device control. */
export const ExpControl = {
  initiateReset: 0x8000,
  payload: 0x00e0,
  phantom: 0x0200,
  readRequest: 0x7000,
  readRequestShift: 12,
  payloadShift: 5,
} as const;
const EXP_CONTROL2_ARI = 0x0020;

/** One capability's bits, by byte offset in it. */
export class Permissions {
  /** Set: the bit is in the host's copy, not in the device. */
  readonly virtual: Uint8Array;
  readonly writable: Uint8Array;

  constructor(lengthBytes: number) {
    this.virtual = new Uint8Array(lengthBytes);
    this.writable = new Uint8Array(lengthBytes);
  }

  set(at: number, widthBytes: 1 | 2 | 4, virtual: number, writable: number): this {
    for (let i = 0; i < widthBytes; i++) {
      this.virtual[at + i] = (virtual >>> (8 * i)) & 0xff;
      this.writable[at + i] = (writable >>> (8 * i)) & 0xff;
    }
    return this;
  }

  /** The bits of `widthBytes` bytes from `at` on. */
  virtualBits(at: number, widthBytes: number): number {
    return littleEndian(this.virtual, at, widthBytes);
  }

  writableBits(at: number, widthBytes: number): number {
    return littleEndian(this.writable, at, widthBytes);
  }
}

const ALL = 0xffff_ffff;
const NEXT = 1;

function headerPermissions(): Permissions {
  const bits = new Permissions(HEADER_BYTES)
    .set(Header.vendorId, 2, ALL, 0)
    .set(Header.deviceId, 2, ALL, 0)
    .set(Header.command, 2, pciSpec.Command.interruptDisable, ALL)
    .set(Header.status, 2, pciSpec.Status.capabilities, 0)
    .set(Header.cacheLineSize, 1, 0, ALL)
    .set(Header.latencyTimer, 1, 0, ALL)
    .set(Header.bist, 1, 0, ALL)
    .set(Header.romBar, 4, ALL, ALL)
    .set(Header.capabilities, 1, ALL, 0)
    .set(Header.interruptLine, 1, ALL, ALL)
    .set(Header.interruptPin, 1, ALL, 0);
  for (let i = 0; i < pciSpec.BAR_COUNT; i++) bits.set(Header.bar0 + 4 * i, 4, ALL, ALL);
  return bits;
}

function powerPermissions(): Permissions {
  const events = PmBits.pmeEnable | PmBits.pmeStatus;
  return (
    new Permissions(Pm.lengthBytes)
      .set(NEXT, 1, ALL, 0)
      .set(Pm.capabilities, 2, PmBits.pmeSupport, 0)
      // The state is changed by the host on the user's behalf.
      .set(Pm.control, 4, events, ~(events | PmControl.state))
  );
}

function expressPermissions(): Permissions {
  const control = ExpControl.initiateReset | ExpControl.payload | ExpControl.readRequest;
  return new Permissions(Exp.lengthBytes)
    .set(NEXT, 1, ALL, 0)
    .set(Exp.deviceControl, 2, control, ~ExpControl.phantom)
    .set(Exp.deviceControl2, 2, 0, ~EXP_CONTROL2_ARI);
}

/** 64-bit addresses and masks per vector, as every function here has them. */
function msiPermissions(): Permissions {
  return (
    new Permissions(Msi.lengthBytes)
      .set(NEXT, 1, ALL, 0)
      // All of the low byte can be written, the number of vectors that the device has included: 7.2 does not restore it.
      .set(Msi.control, 1, ALL, ALL)
      .set(Msi.addressLow, 4, ALL, ALL)
      .set(Msi.addressHigh, 4, ALL, ALL)
      .set(Msi.data, 2, ALL, ALL)
      .set(Msi.mask, 4, 0, ALL)
      .set(Msi.pending, 4, 0, ALL)
  );
}

/** Capabilities that are shown; others are taken out of the list. `vendor` has its length in its third byte. */
export type ShownCapability = {
  readonly lengthBytes: number | "vendor";
  /** Absent: read from the device, except for the pointer to the next one. */
  readonly permissions?: Permissions;
  /** Writes go to the device as they are. */
  readonly rawWrites?: true;
};

export const headerBits: Permissions = headerPermissions();

export const shownCapabilities: ReadonlyMap<number, ShownCapability> = new Map<number, ShownCapability>([
  [CapabilityId.powerManagement, { lengthBytes: Pm.lengthBytes, permissions: powerPermissions() }],
  [CapabilityId.msi, { lengthBytes: Msi.lengthBytes, permissions: msiPermissions() }],
  [CapabilityId.vendor, { lengthBytes: "vendor", rawWrites: true }],
  [CapabilityId.pciExpress, { lengthBytes: Exp.lengthBytes, permissions: expressPermissions() }],
  [CapabilityId.msix, { lengthBytes: pciSpec.Msix.lengthBytes }],
]);

export function littleEndian(bytes: Uint8Array, at: number, widthBytes: number): number {
  let value = 0;
  for (let i = widthBytes - 1; i >= 0; i--) value = value * 256 + (bytes[at + i] ?? 0);
  return value;
}
