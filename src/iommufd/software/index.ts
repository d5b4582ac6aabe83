export { Access, type AccessOptions } from "./access.ts";
export { attachDevice, replaceDevice } from "./attach-device.ts";
export { bindDevice, detachDevice, unbindDevice, type BoundDevice } from "./bound-device.ts";
export { IommufdContext } from "./context.ts";
export { DescribedDevice, DescribedUnit, type DescribedDeviceOptions } from "./described-unit.ts";
export { DeviceDma, DmaResult, type DmaFault } from "./device-dma.ts";
export { DirtyBitmap } from "./dirty-bitmap.ts";
export { DmaBuf } from "./dma-buf.ts";
export { reportPageRequest, type PageRequest } from "./fault-queue.ts";
export { SoftwareHost, type FileOpener, type HostAudit, type SoftwareHostOptions } from "./host.ts";
export { FAIL_POINTS, failSteps, type FailPoint, type HostMemory } from "./host-memory.ts";
export { reportStreamEvent } from "./models/index.ts";
export { swMsiAddress } from "./sw-msi.ts";
export {
  makeGroup,
  NO_PASID,
  type DeviceGroup,
  type PhysicalDevice,
  type ReservedRegion,
  type UnitDriver,
} from "./unit.ts";
export { unitProfiles, type UnitDescription, type UnitModel } from "./unit-description.ts";
