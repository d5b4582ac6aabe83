import type { DeviceTypeInfo } from "../type-info.ts";

export const mdevSerialInfo: DeviceTypeInfo = {
  typeName: "mdev-serial",
  description: "serial line whose end is its beginning, with a UART and with DMA",
  bus: "PCI",
  properties: {},
};
