export { mdevSerialInfo } from "./config.ts";
export { MdevSerial, type MdevSerialOptions, type MdevSerialState } from "./device.ts";
export * as mdevSerialSpec from "./spec.ts";
