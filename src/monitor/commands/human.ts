// The monitor for people, one line at a time.
import { runLine } from "../hmp/interpreter.ts";
import { command, type Command } from "../schema/command.ts";
import { int, optional, str, struct } from "../schema/types.ts";

const HumanArguments = struct("q_obj_human-monitor-command-arg", { "command-line": str, "cpu-index": optional(int) });

export function humanCommands(all: () => readonly Command[]): readonly Command[] {
  let byName: ReadonlyMap<string, Command> | undefined;
  const qmp = (): ReadonlyMap<string, Command> => (byName ??= new Map(all().map((each) => [each.name, each])));
  return [
    command("human-monitor-command", {
      args: HumanArguments,
      returns: str,
      run: (context, { "command-line": line }) => runLine(line, { context, qmp, mayWait: false }),
    }),
  ];
}
