// The driver of a mediated device: no IOMMU domain, no group; it reaches an IOAS through an access object
// (vfio_iommufd_emulated_* in drivers/vfio/iommufd.c of Linux 7.2). Its PCI function exists in software alone.
import type { PciDevice } from "../../device/pci/index.ts";
import { Access, type IommufdContext } from "../../iommufd/index.ts";
import { FunctionDriver, type FunctionDriverOptions } from "../pci/function-driver.ts";
import { DOORBELL } from "../pci/messages.ts";
import type { VfioDmaFault } from "../port.ts";
import { MediatedDma } from "./mediated-dma.ts";

const TOP = 0xffff_ffff_ffff_ffffn;

export interface MediatedDriverOptions extends FunctionDriverOptions {
  readonly pins: boolean;
  readonly onFault: (fault: Omit<VfioDmaFault, "device">) => void;
}

export class MediatedDriver extends FunctionDriver {
  readonly dma: MediatedDma;
  #access: Access | undefined;

  constructor(device: PciDevice, options: MediatedDriverOptions) {
    super(device, options);
    this.dma = new MediatedDma({ pins: options.pins, access: () => this.#access, onFault: options.onFault });
  }

  bind(context: IommufdContext): number {
    const access = Access.create(context, {
      pinsPages: true,
      onUnmap: (iova, lengthBytes) => this.dma.release(iova, lengthBytes),
    });
    if (typeof access === "number") return access;
    this.#access = access;
    return access.id;
  }

  unbind(): void {
    this.#access!.close();
    this.#access = undefined;
  }

  attach(ptId: number): number {
    const access = this.#access!;
    const rc = access.ioas === undefined ? access.attach(ptId) : access.replace(ptId);
    return rc < 0 ? rc : ptId;
  }

  detach(): void {
    this.#access!.changeIoas(undefined);
  }

  /** What the device was told of memory is gone. */
  override resetNow(): void {
    super.resetNow();
    this.dma.release(0n, TOP);
  }

  protected doorbell(): bigint {
    return DOORBELL;
  }
}
