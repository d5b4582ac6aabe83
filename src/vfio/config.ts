// The properties of `vfio-pci`, with QEMU's names and meaning.
import {
  bool,
  onOffAuto,
  oneOf,
  OptionError,
  property,
  readProperties,
  refuseProperties,
  str,
  type PropertySpec,
} from "../object/index.ts";
import type { AssignmentOptions } from "./backend.ts";
import type { MigrationWish } from "./blockers.ts";
import { DMA_MODES, type DmaMode } from "./dma-mode.ts";

type OnOffAuto = "on" | "off" | "auto";

export const vfioPciProperties: {
  readonly host: PropertySpec<string, undefined>;
  readonly sysfsdev: PropertySpec<string, undefined>;
  readonly iommufd: PropertySpec<string, undefined>;
  readonly "enable-migration": PropertySpec<MigrationWish, MigrationWish>;
  readonly "migration-events": PropertySpec<boolean, boolean>;
  readonly "x-device-dirty-page-tracking": PropertySpec<OnOffAuto, OnOffAuto>;
  readonly "x-dma-mode": PropertySpec<DmaMode, DmaMode>;
} = {
  host: property(str, { description: "PCI address of the host's device, example: 0000:01:00.0" }),
  sysfsdev: property(str, { description: "the same as a path, example: /sys/bus/pci/devices/0000:01:00.0" }),
  iommufd: property(str, { description: "id of the iommufd object" }),
  "enable-migration": property(onOffAuto, {
    default: "auto",
    description: "on: refused unless it can migrate; off: blocks migration",
  }),
  "migration-events": property(bool, {
    default: false,
    description: "on: QMP's VFIO_MIGRATION tells of each state that the device gets to",
  }),
  "x-device-dirty-page-tracking": property(onOffAuto, {
    default: "on",
    description: "off: the device's own log of its writes is not used",
  }),
  "x-dma-mode": property(oneOf("VfioDmaMode", DMA_MODES), {
    default: "hwpt",
    description: "hwpt: page tables of the VMM's making, with dirty bits; ioas: the host's kernel makes them",
  }),
};

const NO_KVM = "there is no KVM; leave it out";
const NO_DISPLAY = "Ratite has no display yet; leave it out";
const NO_GRAPHICS = "no device of a software host has graphics; leave it out";
const OWN_IDENTITY = "the guest sees the device as it is; leave it out";
const ONE_CHANNEL = "a migration has one channel; leave it out";
const BY_FILE = "registers are reached by the device's file alone; leave it out";
const NO_ROM = "devices have no option ROM here; leave it out";
const OWN_EXPRESS = "the guest sees the device's own PCI Express capabilities; leave it out";

/** The rest of what QEMU 10's `vfio-pci` takes. */
export const refusedVfioPci: Readonly<Record<string, string>> = {
  fd: "this program opens the device's file itself; host=ADDRESS would do",
  "vf-token": "there are no virtual functions of another driver's device; leave it out",
  "x-enable-migration": "its name is enable-migration now, which takes on, off and auto",
  busnr: "a bus numbers itself; bus=ID and addr=SLOT say where the device goes",
  display: NO_DISPLAY,
  ramfb: NO_DISPLAY,
  xres: NO_DISPLAY,
  yres: NO_DISPLAY,
  "x-vga": NO_GRAPHICS,
  "x-igd-opregion": NO_GRAPHICS,
  "x-igd-legacy-mode": NO_GRAPHICS,
  "x-igd-lpc": NO_GRAPHICS,
  "x-igd-gms": NO_GRAPHICS,
  "x-no-geforce-quirks": NO_GRAPHICS,
  "x-nv-gpudirect-clique": NO_GRAPHICS,
  "x-no-kvm-intx": NO_KVM,
  "x-no-kvm-msi": NO_KVM,
  "x-no-kvm-msix": NO_KVM,
  "x-no-kvm-ioeventfd": NO_KVM,
  "x-no-vfio-ioeventfd": NO_KVM,
  "x-no-mmap": BY_FILE,
  "x-intx-mmap-timeout-ms": BY_FILE,
  "x-msix-relocation": "the MSI-X table stays where the device has it; leave it out",
  "x-pci-vendor-id": OWN_IDENTITY,
  "x-pci-device-id": OWN_IDENTITY,
  "x-pci-sub-vendor-id": OWN_IDENTITY,
  "x-pci-sub-device-id": OWN_IDENTITY,
  "x-pci-class-code": OWN_IDENTITY,
  "x-pcie-lnksta-dllla": OWN_EXPRESS,
  "x-pcie-extcap-init": OWN_EXPRESS,
  "x-pcie-err-unc-mask": OWN_EXPRESS,
  "x-pcie-ari-nextfn-1": OWN_EXPRESS,
  "x-pcie-ext-tag": OWN_EXPRESS,
  "x-pre-copy-dirty-page-tracking": "every round asks for dirty pages; x-dirty-policy of the iommufd object says whom",
  "x-migration-multifd-transfer": ONE_CHANNEL,
  "x-migration-load-config-after-iter": ONE_CHANNEL,
  "x-migration-max-queued-buffers-size": ONE_CHANNEL,
  "x-balloon-allowed": "there is no balloon; leave it out",
  "x-req": "a software host does not ask for a device back unless a program makes it; leave it out",
  "skip-vsc-check": "a device that came from elsewhere must be the same one; leave it out",
  "x-max-bounce-buffer-size": "DMA needs no bounce buffers; leave it out",
  rombar: NO_ROM,
  romfile: NO_ROM,
  romsize: NO_ROM,
  bootindex: "the board starts -bios or -kernel; leave it out",
  "acpi-index": "there are no ACPI tables; leave it out",
  failover_pair_id: "there is no network yet; leave it out",
};

export interface VfioPciConfig {
  readonly iommufdId: string;
  readonly assignment: AssignmentOptions;
  readonly tellsStates: boolean;
}

/** Throws OptionError. */
export function readVfioPciConfig(given: Readonly<Record<string, unknown>>, subject: string): VfioPciConfig {
  refuseProperties("vfio-pci", refusedVfioPci, given, subject);
  const values = readProperties("vfio-pci", vfioPciProperties, given, subject);
  const { host, sysfsdev, iommufd } = values;
  const wrong = (message: string): OptionError => new OptionError("badValue", message, { subject });
  if ((host === undefined) === (sysfsdev === undefined)) {
    throw wrong("vfio-pci takes either host=ADDRESS or sysfsdev=PATH");
  }
  if (iommufd === undefined) {
    throw wrong("vfio-pci needs iommufd=ID, and -object iommufd,id=ID,host=software:FILE; groups are not used");
  }
  return {
    iommufdId: iommufd,
    tellsStates: values["migration-events"],
    assignment: {
      name: host === undefined ? nameOfPath(sysfsdev!) : withDomain(host),
      mode: values["x-dma-mode"],
      mayLog: values["x-device-dirty-page-tracking"] !== "off",
      migration: values["enable-migration"],
    },
  };
}

/** `01:00.0` is in domain 0. */
function withDomain(address: string): string {
  return /^[0-9a-f]{2}:/i.test(address) ? `0000:${address}` : address;
}

/** The last part: an address, or a mediated device's name. */
function nameOfPath(path: string): string {
  return (
    path
      .split("/")
      .filter((part) => part !== "")
      .at(-1) ?? ""
  );
}
