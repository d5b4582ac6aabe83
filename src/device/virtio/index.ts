export { readVirtioBlkConfig, virtioBlkInfo, type VirtioBlkConfig } from "./blk/config.ts";
export { VirtioBlk } from "./blk/device.ts";
export { type VirtioBlkState } from "./blk/state.ts";
export { VirtioDevice, type RingOptions, type VirtioContext, type VirtioTransport } from "./device.ts";
export { VirtioError, type VirtioErrorCode } from "./errors.ts";
export { VirtioMmio } from "./mmio/device.ts";
export { type VirtioMmioState } from "./mmio/state.ts";
export { MAX_VECTORS, readVirtioPciConfig, virtioPciProperties, type VirtioPciConfig } from "./pci/config.ts";
export { VirtioPci, type VirtioPciOptions } from "./pci/device.ts";
export { type VirtioPciState } from "./pci/state.ts";
export { SplitQueue } from "./queue.ts";
export { readVirtioRngConfig, virtioRngInfo, type VirtioRngConfig } from "./rng/config.ts";
export { VirtioRng } from "./rng/device.ts";
export { type VirtioRngState } from "./rng/state.ts";
export {
  readSerialPortConfig,
  readVirtioSerialConfig,
  virtconsoleInfo,
  virtioSerialInfo,
  virtserialportInfo,
  type SerialPortConfig,
  type VirtioSerialConfig,
} from "./serial/config.ts";
export { VirtioSerial } from "./serial/device.ts";
export { type VirtioSerialState } from "./serial/state.ts";
export { DeviceId } from "./spec.ts";
export type { CommonState, QueueState } from "./state.ts";
