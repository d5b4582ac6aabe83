// Every command and event there is. A command that QEMU has and this does not is refused by name, as any unknown one.
import type { Command } from "../schema/command.ts";
import type { EventType } from "../schema/event.ts";
import { deviceCommands, deviceDeletedEvent } from "./devices.ts";
import { dirtyRateCommands } from "./dirty-rate.ts";
import { humanCommands } from "./human.ts";
import { introspectionCommands } from "./introspection.ts";
import { migrationCommands, migrationEvent, migrationPassEvent } from "./migration.ts";
import { machineFactCommands } from "./machine-facts.ts";
import {
  powerdownEvent,
  resetEvent,
  resumeEvent,
  runControlCommands,
  shutdownEvent,
  stopEvent,
} from "./run-control.ts";
import { sessionCommands } from "./session.ts";
import { statisticsCommands } from "./statistics.ts";

export const events: readonly EventType<unknown>[] = [
  ...[stopEvent, resumeEvent, powerdownEvent],
  ...[deviceDeletedEvent as EventType<unknown>],
  ...[migrationEvent as EventType<unknown>, migrationPassEvent as EventType<unknown>],
  ...[resetEvent as EventType<unknown>, shutdownEvent as EventType<unknown>],
];

/** With those that a front end adds. */
export function allCommands(added: readonly Command[] = []): readonly Command[] {
  const commands: Command[] = [];
  commands.push(
    ...sessionCommands(() => commands),
    ...introspectionCommands(() => commands, events),
    ...runControlCommands,
    ...machineFactCommands,
    ...statisticsCommands,
    ...deviceCommands,
    ...migrationCommands(),
    ...dirtyRateCommands(),
    ...humanCommands(() => commands),
    ...added,
  );
  return commands;
}
