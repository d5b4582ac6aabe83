// Eventfds that write to a BAR when they are signalled (vfio_pci_ioeventfd in drivers/vfio/pci/vfio_pci_rdwr.c of
// Linux 7.2).
import { pciSpec } from "../../device/pci/index.ts";
import {
  Errno,
  VFIO_PCI_OFFSET_SHIFT,
  VfioDeviceIoeventfd,
  VfioIoeventfdFlag,
  VfioPciRegion,
  type EventFd,
} from "../../iommufd/index.ts";
import type { DeviceCall } from "../device-call.ts";
import type { PciDriver } from "./pci-driver.ts";

const { Msix } = pciSpec;
const MOST = 1000;
const OFFSET_MASK = (1n << VFIO_PCI_OFFSET_SHIFT) - 1n;

interface Write {
  readonly index: number;
  readonly at: number;
  readonly data: bigint;
  readonly widthBytes: number;
}

interface Listening extends Write {
  readonly event: EventFd;
  readonly end: () => void;
}

export class Ioeventfds {
  readonly #driver: PciDriver;
  readonly #listening: Listening[] = [];

  constructor(driver: PciDriver) {
    this.#driver = driver;
  }

  ioctl(call: DeviceCall): number {
    const layout = VfioDeviceIoeventfd;
    const request = call.request(layout, layout.offsets.reserved);
    if (typeof request === "number") return request;
    const { flags, offset, data, fd } = request;
    if (!(Object.values(VfioIoeventfdFlag) as number[]).includes(flags) || fd < -1) return -Errno.EINVAL;
    const write: Write = {
      index: Number(offset >> VFIO_PCI_OFFSET_SHIFT),
      at: Number(offset & OFFSET_MASK),
      data,
      widthBytes: flags,
    };
    if (!this.#isAllowed(write)) return -Errno.EINVAL;
    const same = this.#listening.findIndex(
      (l) => l.index === write.index && l.at === write.at && l.data === data && l.widthBytes === flags,
    );
    if (same >= 0) {
      if (fd >= 0) return -Errno.EEXIST;
      this.#remove(same);
      return 0;
    }
    if (fd < 0) return -Errno.ENODEV;
    if (this.#listening.length >= MOST) return -Errno.ENOSPC;
    const event = this.#driver.counters.holdEventFd(call.caller, fd);
    if (typeof event === "number") return event;
    this.#listening.push({ ...write, event, end: event.listen(() => this.#write(write)) });
    return 0;
  }

  close(): void {
    while (this.#listening.length > 0) this.#remove(0);
  }

  #remove(i: number): void {
    const [gone] = this.#listening.splice(i, 1);
    gone!.end();
    gone!.event.release();
  }

  /** Inside a BAR, not on the MSI-X table, and not eight bytes wide. */
  #isAllowed({ index, at, widthBytes }: Write): boolean {
    const { pci } = this.#driver;
    const bar = index <= VfioPciRegion.BAR5 ? pci.bar(index) : undefined;
    if (bar === undefined || at + widthBytes > bar.lengthBytes || widthBytes === 8) return false;
    const { msix } = pci;
    if (msix === undefined || msix.bar !== index) return true;
    return at + widthBytes <= msix.tableOffset || at >= msix.tableOffset + msix.vectorCount * Msix.entryBytes;
  }

  #write({ index, at, data, widthBytes }: Write): void {
    const bar = this.#driver.pci.bar(index)!;
    if (bar.kind === "memory" && !this.#driver.memoryEnabled) return;
    const value = Number(BigInt.asUintN(8 * widthBytes, data));
    bar.write(at, widthBytes, value, 0);
  }
}
