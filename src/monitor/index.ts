export { Monitor, type MonitorOptions } from "./monitor.ts";
export { QmpError, type QmpErrorClass } from "./errors.ts";
export { allCommands, events } from "./commands/index.ts";
export type { Command, EventType } from "./schema/command.ts";
export { humanCommandNames } from "./hmp/commands/index.ts";
