// Registers of virtio over MMIO, version 2 (VIRTIO 1.2 §4.2.2). All are 32 bits wide and little-endian.

/** "virt" */
export const MAGIC = 0x74726976;
export const VERSION = 2;
/** QEMU's vendor ID. */
export const VENDOR = 0x554d4551;

/** QEMU's length: the registers and as much again for the configuration space. */
export const LENGTH_BYTES = 0x200;
export const CONFIG_OFFSET = 0x100;

export const Register = {
  magicValue: 0x000,
  version: 0x004,
  deviceId: 0x008,
  vendorId: 0x00c,
  deviceFeatures: 0x010,
  deviceFeaturesSel: 0x014,
  driverFeatures: 0x020,
  driverFeaturesSel: 0x024,
  queueSel: 0x030,
  queueNumMax: 0x034,
  queueNum: 0x038,
  queueReady: 0x044,
  queueNotify: 0x050,
  interruptStatus: 0x060,
  interruptAck: 0x064,
  status: 0x070,
  queueDescLow: 0x080,
  queueDescHigh: 0x084,
  queueDriverLow: 0x090,
  queueDriverHigh: 0x094,
  queueDeviceLow: 0x0a0,
  queueDeviceHigh: 0x0a4,
  shmSel: 0x0ac,
  shmLenLow: 0x0b0,
  shmLenHigh: 0x0b4,
  shmBaseLow: 0x0b8,
  shmBaseHigh: 0x0bc,
  configGeneration: 0x0fc,
} as const;

/** InterruptStatus. */
export const Interrupt = { usedBuffer: 1, configChange: 2 } as const;
