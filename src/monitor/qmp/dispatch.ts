// One request to one answer: the shape of the envelope, the command, its arguments (qapi/qmp-dispatch.c).
import { VmError } from "../../base/index.ts";
import type { MonitorContext } from "../context.ts";
import { QmpError, type QmpErrorClass } from "../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../json/value.ts";
import { checkDeclared, checkMembers } from "../schema/check.ts";
import type { Command } from "../schema/command.ts";

export interface Request {
  readonly command: Command;
  readonly args: JsonObject;
}

/** Takes an envelope apart; throws QmpError. */
export function readRequest(input: JsonValue, commands: ReadonlyMap<string, Command>): Request {
  if (!isJsonObject(input)) throw new QmpError("QMP input must be a JSON object");
  for (const [member, value] of Object.entries(input)) {
    if (member === "execute") {
      if (typeof value !== "string") throw new QmpError("QMP input member 'execute' must be a string");
    } else if (member === "arguments") {
      if (!isJsonObject(value)) throw new QmpError("QMP input member 'arguments' must be an object");
    } else if (member !== "id") throw new QmpError(`QMP input member '${member}' is unexpected`);
  }
  const { execute: name, arguments: args } = input;
  if (name === undefined) throw new QmpError("QMP input lacks member 'execute'");
  const command = commands.get(name as string);
  if (command === undefined) {
    throw new QmpError(`The command ${name as string} has not been found`, "CommandNotFound");
  }
  return { command, args: (args ?? {}) as JsonObject };
}

export async function execute({ command, args }: Request, context: MonitorContext): Promise<JsonValue> {
  if (command.takesMore) checkDeclared(command.args, args);
  else checkMembers(command.args, args);
  const result = await command.run(context, args as never);
  return command.returns === undefined ? {} : (result as JsonValue);
}

/** What stands under `error`. Our own broken invariants are not answers. */
export function errorReply(error: unknown): { readonly class: QmpErrorClass; readonly desc: string } {
  if (error instanceof QmpError) return { class: error.code, desc: error.message };
  if (error instanceof VmError) return { class: "GenericError", desc: error.message };
  throw error;
}
