export * from "./as-data.ts";
export * from "./decode.ts";
export * from "./describe.ts";
export * from "./encode.ts";
export { StateError, type StateErrorCode } from "./errors.ts";
