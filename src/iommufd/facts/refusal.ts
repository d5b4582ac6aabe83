// Why a call on a device would be refused, in a form that a host can act on and a person can read.
import type { Errno } from "../uapi/index.ts";

export interface Refusal {
  /** The call as the kernel names it, `VFIO_DEVICE_BIND_IOMMUFD`. */
  readonly call: string;
  readonly errno: Errno;
  /** A clause: what stands in the way. */
  readonly because: string;
  /** A clause: what would change it. */
  readonly remedy: string;
}
