export { Monitor, type MonitorOptions } from "./monitor.ts";
export { QmpError, type QmpErrorClass } from "./errors.ts";
export { allCommands, events } from "./commands/index.ts";
export type { Command } from "./schema/command.ts";
export type { EventType } from "./schema/event.ts";
export { humanCommandNames } from "./hmp/commands/index.ts";
