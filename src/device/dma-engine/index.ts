export { dmaEngineInfo, dmaEngineProperties, readDmaEngineConfig, type DmaEngineConfig } from "./config.ts";
export { DmaEngine, type DmaEngineOptions } from "./device.ts";
export { DmaEngineError } from "./errors.ts";
export * as dmaEngine from "./spec.ts";
export type { DmaEngineState } from "./state.ts";
