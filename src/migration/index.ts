export * from "./control.ts";
export * from "./errors.ts";
export * from "./incoming.ts";
export * from "./outgoing.ts";
export type * from "./port.ts";
export * from "./progress.ts";
