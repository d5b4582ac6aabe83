export * from "./byte-queue.ts";
export * from "./char-backend.contract.ts";
export * from "./expect.ts";
export { CharMux, type MuxOptions } from "./mux.ts";
export * from "./null.ts";
export * from "./output-queue.ts";
export * from "./pipe.ts";
export type * from "./port.ts";
export * from "./ring-buffer.ts";
