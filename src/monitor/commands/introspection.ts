// The schema, as the schema tells it (qapi/introspect.json).
import { introspect } from "../schema/introspect.ts";
import { command, type Command } from "../schema/command.ts";
import type { EventType } from "../schema/event.ts";
import { noMembers } from "../schema/types.ts";
import { any, arrayOf } from "../schema/types.ts";
import type { JsonValue } from "../json/value.ts";

export function introspectionCommands(
  all: () => readonly Command[],
  events: readonly EventType<unknown>[],
): readonly Command[] {
  let answer: readonly JsonValue[] | undefined;
  return [
    command("query-qmp-schema", {
      returns: arrayOf(any),
      run: () => (answer ??= introspect(all(), events, noMembers)),
    }),
  ];
}
