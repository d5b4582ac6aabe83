export * from "./errors.ts";
export type { DeviceKind, MakeDeviceOptions } from "./kinds.ts";
export { makeVfioHost, type VfioHostOptions } from "./make-host.ts";
export type * from "./port.ts";
