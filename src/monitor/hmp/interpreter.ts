// One line of the monitor for people: which command, its arguments, what it prints (monitor/hmp.c).
import type { MonitorContext } from "../context.ts";
import { QmpError } from "../errors.ts";
import { errorReply, execute } from "../qmp/dispatch.ts";
import type { Command } from "../schema/command.ts";
import { HmpSyntaxError, readArguments } from "./arguments.ts";
import { isNamed, type HmpCommand, type HmpContext } from "./command.ts";
import { hmpTable } from "./commands/index.ts";

export interface HmpOptions {
  readonly context: MonitorContext;
  readonly qmp: () => ReadonlyMap<string, Command>;
  readonly mayWait: boolean;
}

/**
 * Resolves with what the line prints, an error's message too; lines end as a terminal wants them. Rejects with our own
 * broken invariants alone.
 */
export async function runLine(line: string, { context, qmp, mayWait }: HmpOptions): Promise<string> {
  const ask: HmpContext["ask"] = async (name, args = {}) => {
    const command = qmp().get(name);
    if (command === undefined) throw new QmpError(`The command ${name} has not been found`, "CommandNotFound");
    return (await execute({ command, args }, context)) as never;
  };
  const text = await answer(line, { context, ask, mayWait, commands: hmpTable });
  return text.replaceAll("\n", "\r\n");
}

async function answer(line: string, hmp: HmpContext): Promise<string> {
  const found = find(line, hmp);
  if (found === undefined) return "";
  if ("unknown" in found) return `unknown command: '${found.unknown}'\n`;
  const { command, called, rest } = found;
  try {
    return await command.run(hmp, readArguments(command.name, command.args, rest));
  } catch (error) {
    if (error instanceof HmpSyntaxError) return `${error.message}\nTry "help ${called}" for more information\n`;
    return `Error: ${errorReply(error).desc}\n`;
  }
}

type Found =
  | { readonly command: HmpCommand; readonly called: string; readonly rest: string }
  | { readonly unknown: string };

function find(line: string, { commands: { commands, infos } }: HmpContext): Found | undefined {
  const [word, rest] = firstWord(line);
  if (word === "") return undefined;
  const command = commands.find((each) => isNamed(each, word));
  if (command === undefined) return { unknown: word };
  if (!isNamed(command, "info") || rest === "") return { command, called: word, rest };
  const [item, after] = firstWord(rest);
  const info = infos.find((each) => isNamed(each, item));
  if (info === undefined) return { unknown: `${word} ${item}` };
  return { command: info, called: `${word} ${item}`, rest: after };
}

function firstWord(text: string): [string, string] {
  const [, word = "", rest = ""] = /^\s*(\S*)\s*(.*?)\s*$/s.exec(text) ?? [];
  return [word, rest];
}
