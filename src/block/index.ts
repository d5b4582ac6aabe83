export * from "./block-node.contract.ts";
export * from "./errors.ts";
export * from "./graph.ts";
export * from "./memory.ts";
export type { NodeOptions } from "./node-base.ts";
export type * from "./port.ts";
export * from "./raw.ts";
