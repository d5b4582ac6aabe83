export * from "./errno.ts";
export * from "./iommufd.ts";
export * from "./ioctls.ts";
export * from "./iommu-test.ts";
export * from "./vfio.ts";
export * from "./vfio-device-ioctls.ts";
