// Virtio over PCI without the legacy interface (VIRTIO 1.2 §4.1); the layout of the BARs is QEMU's.

export const VENDOR_ID = 0x1af4;
/** §4.1.2.1: the device ID is this and the virtio device ID. */
export const DEVICE_ID_BASE = 0x1040;
export const REVISION_ID = 1;

export const MSIX_BAR = 1;
export const MSIX_BAR_BYTES = 0x1000;
export const MODERN_BAR = 4;
/** Each structure has a page. */
export const Structure = { common: 0x0000, interrupt: 0x1000, device: 0x2000, notify: 0x3000 } as const;
export const STRUCTURE_BYTES = 0x1000;
export const MODERN_BAR_BYTES = 0x4000;
/** Bytes between the notification addresses of queues. */
export const NOTIFY_MULTIPLIER = 4;

/** `cfg_type`, §4.1.4. */
export const StructureType = { common: 1, notify: 2, interrupt: 3, device: 4, pciAccess: 5 } as const;
/** Byte offsets in a capability, §4.1.4; what is past `length` depends on the type. */
export const Capability = { length: 2, type: 3, bar: 4, id: 5, offset: 8, size: 12, extra: 16 } as const;
export const CAPABILITY_BYTES = 16;
export const LONG_CAPABILITY_BYTES = 20;

/** Common configuration, §4.1.4.3: byte offsets. */
export const Common = {
  deviceFeatureSelect: 0x00,
  deviceFeature: 0x04,
  driverFeatureSelect: 0x08,
  driverFeature: 0x0c,
  configVector: 0x10,
  queueCount: 0x12,
  status: 0x14,
  configGeneration: 0x15,
  queueSelect: 0x16,
  queueSize: 0x18,
  queueVector: 0x1a,
  queueEnable: 0x1c,
  queueNotifyOffset: 0x1e,
  queueDescriptorLow: 0x20,
  queueDescriptorHigh: 0x24,
  queueDriverLow: 0x28,
  queueDriverHigh: 0x2c,
  queueDeviceLow: 0x30,
  queueDeviceHigh: 0x34,
} as const;
export const COMMON_BYTES = 0x38;

/** No message for this. */
export const NO_VECTOR = 0xffff;
/** §4.1.4.5 */
export const InterruptStatus = { queue: 1, config: 2 } as const;
