// Commands of the monitor for people: each says how it is called and what it prints. What it does is a QMP command's.
import type { MonitorContext } from "../context.ts";
import type { JsonObject, JsonValue } from "../json/value.ts";
import type { HmpArguments } from "./arguments.ts";

export interface HmpContext {
  readonly context: MonitorContext;
  /** What a QMP command returns. Rejects with its QmpError. */
  readonly ask: <T = JsonValue>(name: string, args?: JsonObject) => Promise<T>;
  /** Whether a command may keep the monitor until what it began is over; not so over QMP. */
  readonly mayWait: boolean;
  /** Every command, for help. */
  readonly commands: HmpTable;
}

export interface HmpTable {
  readonly commands: readonly HmpCommand[];
  readonly infos: readonly HmpCommand[];
}

export interface HmpCommand {
  /** With its short form behind a bar: `stop|s`. */
  readonly name: string;
  /** As `readArguments` takes it. */
  readonly args: string;
  /** As people read it: `[-d] uri`. */
  readonly params: string;
  readonly help: string;
  /** Resolves with what is printed, lines ending in a newline. Rejects with any VmError, or HmpSyntaxError. */
  readonly run: (hmp: HmpContext, args: HmpArguments) => Promise<string> | string;
}

export function hmpCommand(
  name: string,
  help: string,
  run: HmpCommand["run"],
  { args = "", params = "" }: { readonly args?: string; readonly params?: string } = {},
): HmpCommand {
  return { name, args, params, help, run };
}

/** A command that prints nothing and is one QMP command. */
export function silent(name: string, help: string, qmp: string): HmpCommand {
  return hmpCommand(name, help, async ({ ask }) => {
    await ask(qmp);
    return "";
  });
}

export function isNamed({ name }: HmpCommand, word: string): boolean {
  return name.split("|").includes(word);
}
