export { builtInKinds } from "./kinds.ts";
export { makeDescribedHost, type DescribedHost } from "./described-host.ts";
export * from "./errors.ts";
export type { DeviceKind, DiskSource, MakeDeviceOptions } from "./kinds.ts";
export { makeVfioHost, type VfioHostOptions } from "./make-host.ts";
export type * from "./port.ts";
