// A refused call, as a person needs it: what stands in the way, and what would change it.
import type { IommufdError } from "../client/error.ts";
import { Errno, explainErrno } from "../uapi/index.ts";
import type { Refusal } from "./refusal.ts";

const gone = "a device that is there: it vanished, or its driver let it go";
const lockedMemory = "a higher limit of locked memory (ulimit -l), or less guest memory";

const byErrno: Readonly<Record<string, string>> = {
  ENODEV: gone,
  ENXIO: gone,
  EIO: "a reset of the device, or another device",
  ENOMEM: lockedMemory,
  EMFILE: "more descriptors for this process (ulimit -n)",
  EAGAIN: "trying again",
  EACCES: "the right to open the device's file",
};

/** For calls that a VMM makes on its way to an assigned device. */
const byCall: Readonly<Record<string, string>> = {
  "open ENOENT": "a host with IOMMUFD, and a device that its vfio driver has",
  "VFIO_DEVICE_BIND_IOMMUFD EINVAL": "a device that nobody else has bound, behind a unit that snoops the caches",
  "VFIO_DEVICE_BIND_IOMMUFD EPERM":
    "one context for the whole group, and isolated interrupts or allow_unsafe_interrupts of the kernel's vfio_iommu_type1",
  "VFIO_DEVICE_BIND_IOMMUFD EBUSY": "the vfio driver for every device of its group",
  "VFIO_DEVICE_ATTACH_IOMMUFD_PT EINVAL":
    "the same x-dma-mode and iommufd object for all devices of its group, and one way for its interrupts",
  "VFIO_DEVICE_ATTACH_IOMMUFD_PT EBUSY": "a device that is attached nowhere else, and not in reset",
  "VFIO_DEVICE_ATTACH_IOMMUFD_PT EADDRINUSE": "guest memory that leaves out what the device and its unit reserve",
  "IOMMU_HWPT_ALLOC EOPNOTSUPP": "x-dma-mode=ioas, which asks for no dirty bits",
  "IOMMU_HWPT_ALLOC EADDRINUSE": "guest memory that its unit can translate, and that leaves out what it reserves",
  "IOMMU_HWPT_ALLOC EINVAL": "a unit whose smallest page is no larger than the host's",
  "IOMMU_HWPT_ALLOC EFAULT": "guest memory that can be pinned",
  "IOMMU_IOAS_MAP EINVAL": "guest memory that its unit can translate, and that leaves out what it reserves",
  "IOMMU_IOAS_MAP EFAULT": "guest memory that can be pinned",
  "IOMMU_IOAS_MAP_FILE EINVAL": "guest memory that its unit can translate, and that leaves out what it reserves",
  "IOMMU_HWPT_SET_DIRTY_TRACKING EOPNOTSUPP": "x-dirty-policy=device-only, or a unit with dirty bits",
  "VFIO_DEVICE_FEATURE (DMA_LOGGING_START) ENOMEM": "x-device-dirty-page-tracking=off, or a smaller guest",
  "VFIO_DEVICE_FEATURE (DMA_LOGGING_START) EINVAL": "x-device-dirty-page-tracking=off",
};

/** What a host's refusal means. */
export function refusalOf({ ioctl, errno }: Pick<IommufdError, "ioctl" | "errno">): Refusal {
  const name = Errno.name(errno);
  return {
    call: ioctl,
    errno,
    because: explainErrno(ioctl, errno),
    remedy: byCall[`${ioctl} ${name}`] ?? byErrno[name] ?? "another host or device: this one does not do it",
  };
}
