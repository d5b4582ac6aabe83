// Linux errno values that this interface answers with, and what each one means to its caller.
import { openEnum, type OpenEnum } from "../../base/index.ts";

const numbers = {
  EPERM: 1,
  ENOENT: 2,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  ENODEV: 19,
  EINVAL: 22,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  ESPIPE: 29,
  ERANGE: 34,
  EDEADLOCK: 35,
  ENOMSG: 42,
  EBADE: 52,
  EOVERFLOW: 75,
  EBADFD: 77,
  EMSGSIZE: 90,
  EOPNOTSUPP: 95,
  EADDRINUSE: 98,
} as const;

/** By name; `Errno.name(22)` is `"EINVAL"` (asm-generic/errno.h). */
export const Errno: OpenEnum<typeof numbers> = openEnum("errno", numbers);
/** A positive errno; 0 stands for success where a call returns one. */
export type Errno = number;

/** As the C library says it, where QEMU's sentences have it (`strerror`, glibc). */
const texts: Readonly<Record<string, string>> = {
  EPERM: "Operation not permitted",
  ENOENT: "No such file or directory",
  EIO: "Input/output error",
  ENXIO: "No such device or address",
  EBADF: "Bad file descriptor",
  EAGAIN: "Resource temporarily unavailable",
  ENOMEM: "Cannot allocate memory",
  EACCES: "Permission denied",
  EFAULT: "Bad address",
  EBUSY: "Device or resource busy",
  ENODEV: "No such device",
  EINVAL: "Invalid argument",
  ENOTTY: "Inappropriate ioctl for device",
  EOPNOTSUPP: "Operation not supported",
};

/** `strerror(errno)`; its name where QEMU never says it. */
export function errnoText(errno: Errno): string {
  const name = Errno.name(errno);
  return texts[name] ?? name;
}

const general: Readonly<Record<string, string>> = {
  EPERM: "the caller lacks the right to do this",
  ENOENT: "no such object, or nothing is mapped there",
  EIO: "the hardware refused",
  ENXIO: "no such device or address",
  E2BIG: "the structure carries a non-zero field that this host does not know",
  EBADF: "the descriptor is not open",
  EAGAIN: "nothing to be had without waiting",
  ENOMEM: "out of memory, or over the locked-memory limit",
  EACCES: "the permission bits of the file forbid it",
  EFAULT: "an address of the caller is not mapped with the rights needed",
  EBUSY: "the object is still in use",
  EEXIST: "something is there already",
  ENODEV: "there is no device behind this",
  EINVAL: "a value is wrong or does not fit the object",
  EMFILE: "too many open descriptors",
  ENOTTY: "the host does not know this ioctl",
  ENOSPC: "no room left that meets the constraints",
  ESPIPE: "the length is not a multiple of the record",
  ERANGE: "the result is out of range",
  EDEADLOCK: "a user of the pages did not release them",
  ENOMSG: "nothing to read for the moment",
  EBADE: "the pages differ from those expected",
  EOVERFLOW: "the range wraps past the end of the address space",
  EBADFD: "the descriptor is of another kind",
  EMSGSIZE: "the buffer is too small for the answer",
  EOPNOTSUPP: "a reserved field, a flag or a type is not supported here",
  EADDRINUSE: "the range is in use by mappings or allowances",
};

// Where one errno has a particular meaning in one call, the sentence says it.
const particular: Readonly<Record<string, string>> = {
  "IOMMU_DESTROY EBUSY": "other objects or an attached device still use the object",
  "IOMMU_IOAS_MAP EEXIST": "the range overlaps an area that is already mapped",
  "IOMMU_IOAS_MAP EINVAL": "length, IOVA or source address misses the alignment, or the range is reserved",
  "IOMMU_IOAS_MAP ENOSPC": "no free IOVA range is large enough",
  "IOMMU_IOAS_UNMAP ENOENT": "nothing is mapped there, or an area lies only partly inside the range",
  "IOMMU_IOAS_UNMAP EBUSY": "a hardware queue holds the area",
  "IOMMU_IOAS_COPY ENOENT": "the source range is not wholly mapped",
  "IOMMU_IOAS_COPY EPERM": "the source is mapped read-only",
  "IOMMU_IOAS_IOVA_RANGES EMSGSIZE": "there are more ranges than the buffer holds",
  "IOMMU_IOAS_ALLOW_IOVAS EADDRINUSE": "an allowed range touches a reserved one",
  "IOMMU_VFIO_IOAS ENODEV": "no compatibility IOAS is set",
  "IOMMU_OPTION EBUSY": "the accounting mode can be set only before the first object exists",
  "IOMMU_HWPT_ALLOC EADDRINUSE": "a mapped area lies outside the unit's aperture or misses its page size",
  "IOMMU_HWPT_ALLOC EOPNOTSUPP": "the unit lacks the requested ability (dirty tracking, nesting or data type)",
  "IOMMU_HWPT_SET_DIRTY_TRACKING EOPNOTSUPP": "the page table was not created with dirty tracking",
  "IOMMU_HWPT_GET_DIRTY_BITMAP EOPNOTSUPP": "the page table was not created with dirty tracking",
  "IOMMU_VEVENTQ_ALLOC EEXIST": "the vIOMMU has an event queue of this type",
  "IOMMU_VDEVICE_ALLOC EEXIST": "the device has a virtual device, or the virtual id is taken",
  "IOMMU_HW_QUEUE_ALLOC EFAULT": "the queue's memory is not physically contiguous",
  "VFIO_DEVICE_BIND_IOMMUFD EINVAL": "it is bound already, or its unit does not snoop the caches",
  "VFIO_DEVICE_BIND_IOMMUFD EPERM": "its group belongs to another context, or its interrupts are not isolated",
  "VFIO_DEVICE_BIND_IOMMUFD EBUSY": "its group is used by another driver",
  "VFIO_DEVICE_BIND_IOMMUFD EBADFD": "the descriptor is not one of /dev/iommu",
  "VFIO_DEVICE_ATTACH_IOMMUFD_PT EINVAL": "the page table does not fit the device's unit, its group or its PASIDs",
  "VFIO_DEVICE_ATTACH_IOMMUFD_PT ENOENT": "there is no IOAS or page table of this id",
  "VFIO_DEVICE_ATTACH_IOMMUFD_PT EADDRINUSE": "mappings lie where the device or its unit reserves addresses",
  "VFIO_DEVICE_SET_IRQS EINVAL": "the device has no such interrupt, or another kind of interrupt is on",
  "VFIO_DEVICE_SET_IRQS ENOTTY": "this kind of interrupt does not take the action",
  "VFIO_DEVICE_SET_IRQS EBUSY": "another eventfd unmasks the line already",
  "VFIO_DEVICE_SET_IRQS ENOSPC": "the host has no vectors left",
  "VFIO_DEVICE_RESET EAGAIN": "the host is busy with the device; try again",
  "VFIO_DEVICE_PCI_HOT_RESET EINVAL": "a device on the bus is not bound to this context",
  "VFIO_DEVICE_PCI_HOT_RESET ENODEV": "the device's bus cannot be reset",
  "VFIO_DEVICE_FEATURE (MIG_DEVICE_STATE) EINVAL": "there is no way from the device's state to this one",
  "VFIO_DEVICE_FEATURE (DMA_LOGGING_START) EINVAL":
    "ranges overlap or miss the page size, there are none, or the log runs already",
  "VFIO_DEVICE_FEATURE (DMA_LOGGING_START) E2BIG": "more ranges than fit a page",
  "VFIO_DEVICE_FEATURE (DMA_LOGGING_REPORT) EINVAL": "the log does not run, or the page size is not a power of two",
  "VFIO_MIG_GET_PRECOPY_INFO EINVAL": "the device is not in a state of pre-copy",
};

const noFeature = "the device does not have this feature";

/** The sentence that explains `errno` as an answer of `call` (an ioctl's name); no final period. */
export function explainErrno(call: string, errno: Errno): string {
  const name = Errno.name(errno);
  if (name === "ENOTTY" && call.startsWith("VFIO_DEVICE_FEATURE (")) return noFeature;
  return particular[`${call} ${name}`] ?? general[name] ?? `the host answered with errno ${errno}`;
}
