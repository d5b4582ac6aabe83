export * from "./client/index.ts";
export * from "./description/index.ts";
export * from "./facts/index.ts";
export * from "./local-caller.ts";
export { LocalEventFd } from "./local-event-fd.ts";
export * from "./port.ts";
export * from "./session.ts";
export * from "./software/index.ts";
export * from "./uapi/index.ts";
