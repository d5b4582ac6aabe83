export * from "./client/index.ts";
export * from "./local-caller.ts";
export type * from "./port.ts";
export * from "./session.ts";
export * from "./software/index.ts";
export * from "./uapi/index.ts";
