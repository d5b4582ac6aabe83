export {
  nvmeInfo,
  nvmeNamespaceInfo,
  readNvmeConfig,
  readNvmeNamespaceConfig,
  type NvmeConfig,
  type NvmeNamespaceConfig,
} from "./config.ts";
export { NvmeController, type NvmeOptions } from "./device.ts";
export { NvmeError, type NvmeErrorCode } from "./errors.ts";
export type { NamespaceOptions } from "./namespace.ts";
export type { NvmeState } from "./state.ts";
