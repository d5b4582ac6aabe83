import { VmError } from "../../base/index.ts";
import { Errno, explainErrno } from "../uapi/index.ts";

/** A host refused a call. `code` is the errno's name (`EBUSY`). */
export class IommufdError extends VmError {
  override readonly room = "iommufd";
  /** The ioctl's name, `IOMMU_DESTROY`. */
  readonly ioctl: string;
  readonly errno: Errno;

  constructor(ioctl: string, errno: Errno, subject?: string) {
    const name = Errno.name(errno);
    super(
      name,
      `${ioctl} failed with ${name}: ${explainErrno(ioctl, errno)}`,
      subject === undefined ? {} : { subject },
    );
    this.ioctl = ioctl;
    this.errno = errno;
  }
}
