export { bytesHandler, PciBar, type BarSpec } from "./bar.ts";
export { ConfigRegister, ConfigSpace, type ConfigRegisterSpec } from "./config-space.ts";
export { PciStateError } from "./errors.ts";
export { PciFunction, type PciFunctionOptions, type PciFunctionState, type PciIdentity } from "./function.ts";
export { MsiCapability } from "./msi.ts";
export { MsixCapability, type MsixOptions } from "./msix.ts";
export type * from "./port.ts";
export * as pciSpec from "./spec.ts";
