export type { ClientArena } from "./arena.ts";
export * from "./error.ts";
export * from "./iommufd-client.ts";
export * from "./migration-data.ts";
export * from "./vfio-device-client.ts";
export type { VfioDeviceFacts, VfioIrq, VfioRegion, VfioRegionArea } from "./vfio-info.ts";
