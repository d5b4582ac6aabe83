export * from "./address.ts";
export * from "./assert.ts";
export * from "./bits.ts";
export * from "./errors.ts";
export * from "./layout.ts";
export * from "./open-enum.ts";
export type * from "./ports.ts";
