// One client's conversation: greeting, negotiation, then commands one after the other in the order they came.
import { QmpError } from "../errors.ts";
import type { MonitorContext } from "../context.ts";
import type { ParseResult } from "../json/parser.ts";
import { isJsonObject, type JsonValue } from "../json/value.ts";
import { versionOf } from "../commands/session.ts";
import { checkMembers } from "../schema/check.ts";
import { command, type Command } from "../schema/command.ts";
import { arrayOf, enumType, optional, struct } from "../schema/types.ts";
import { errorReply, execute, readRequest, type Request } from "./dispatch.ts";

/** None is offered: commands are quick, or run on in the background. */
const Capability = enumType("QMPCapability", ["oob"]);
const CapabilitiesArguments = struct("q_obj_qmp_capabilities-arg", { enable: optional(arrayOf(Capability)) });

/** For the schema; the session answers it itself. */
export const capabilitiesCommand: Command = command("qmp_capabilities", {
  args: CapabilitiesArguments,
  run: () => undefined,
});

export interface QmpSessionOptions {
  readonly context: MonitorContext;
  readonly commands: ReadonlyMap<string, Command>;
  readonly send: (message: JsonValue) => void;
  /** A command of ours broke an invariant; the session goes on, the machine should not. */
  readonly onFailure: (error: unknown) => void;
}

/** Requests that wait; past that no more is read from the client (monitor/monitor.c: QMP_REQ_QUEUE_LEN_MAX). */
export const MAX_WAITING_REQUESTS = 8;

export class QmpSession {
  readonly #options: QmpSessionOptions;
  #isNegotiated = false;
  #waiting = 0;
  #last: Promise<void> = Promise.resolve();
  readonly #endEvents: () => void;

  constructor(options: QmpSessionOptions) {
    this.#options = options;
    const { context, send } = options;
    this.#endEvents = context.events.listen((message) => {
      if (this.#isNegotiated) send(message);
    });
    send({ QMP: { version: versionOf(context.productVersion), capabilities: [] } });
  }

  /** How many more requests it takes now. */
  get room(): number {
    return Math.max(MAX_WAITING_REQUESTS - this.#waiting, 0);
  }

  /** Resolves when the request is answered. */
  take(parsed: ParseResult): Promise<void> {
    this.#waiting += 1;
    this.#last = this.#last.then(() => this.#answer(parsed)).finally(() => (this.#waiting -= 1));
    return this.#last;
  }

  close(): void {
    this.#endEvents();
  }

  async #answer(parsed: ParseResult): Promise<void> {
    const { send, onFailure } = this.#options;
    const id = "value" in parsed && isJsonObject(parsed.value) ? parsed.value["id"] : undefined;
    const withId = id === undefined ? {} : { id };
    try {
      if ("error" in parsed) throw new QmpError(`JSON parse error, ${parsed.error}`);
      send({ return: await this.#execute(parsed.value), ...withId });
    } catch (error) {
      try {
        send({ ...withId, error: errorReply(error) });
      } catch (broken) {
        onFailure(broken);
      }
    }
  }

  async #execute(input: JsonValue): Promise<JsonValue> {
    const request = this.#isNegotiated ? this.#read(input) : this.#readNegotiation(input);
    if (request.command !== capabilitiesCommand) return execute(request, this.#options.context);
    if (this.#isNegotiated) {
      throw new QmpError("Capabilities negotiation is already complete, command ignored", "CommandNotFound");
    }
    this.#negotiate(request);
    return {};
  }

  #read(input: JsonValue): Request {
    return readRequest(input, this.#options.commands);
  }

  /** Before the negotiation is done there is one command. */
  #readNegotiation(input: JsonValue): Request {
    const name = isJsonObject(input) ? input["execute"] : undefined;
    if (typeof name === "string" && name !== capabilitiesCommand.name) {
      throw new QmpError("Expecting capabilities negotiation with 'qmp_capabilities'", "CommandNotFound");
    }
    return this.#read(input);
  }

  #negotiate({ args }: Request): void {
    checkMembers(CapabilitiesArguments, args);
    const wanted = (args["enable"] ?? []) as readonly string[];
    if (wanted.length > 0) throw new QmpError(`Capability ${wanted.join(", ")} not available`);
    this.#isNegotiated = true;
  }
}
