// What a stream says of its machine, held against the machine that is to take it.
import { MigrationError } from "../errors.ts";
import type { MigratableMachine } from "../port.ts";

export interface MachineFacts {
  readonly machine: string;
  readonly blocks: readonly { readonly name: string; readonly lengthBytes: number }[];
  /** In the order of their frames. */
  readonly parts: readonly string[];
  /** Streamed parts. */
  readonly streams: readonly { readonly name: string; readonly precopy: boolean }[];
}

export function factsOf(machine: MigratableMachine): MachineFacts {
  return {
    machine: machine.machineType,
    blocks: machine.blocks.map(({ name, lengthBytes }) => ({ name, lengthBytes })),
    parts: [...machine.parts.keys()],
    streams: [...machine.streams].map(([name, { hasPrecopy }]) => ({ name, precopy: hasPrecopy })),
  };
}

/** Throws MigrationError that says what differs. */
export function checkFacts(text: Uint8Array, machine: MigratableMachine): MachineFacts {
  const facts = readFacts(text);
  const here = factsOf(machine);
  const differs = (message: string): MigrationError => new MigrationError("otherMachine", message);
  if (facts.machine !== here.machine) {
    throw differs(`The stream is of a machine ${facts.machine}; this one is ${here.machine}`);
  }
  for (const { name, lengthBytes } of facts.blocks) {
    const block = here.blocks.find((other) => other.name === name);
    if (block === undefined) throw differs(`The stream has memory "${name}", which this machine lacks`);
    if (block.lengthBytes === lengthBytes) continue;
    throw differs(`Memory "${name}" has ${lengthBytes} bytes in the stream and ${block.lengthBytes} here`);
  }
  const unknown = facts.parts.find((name) => !here.parts.includes(name));
  if (unknown !== undefined) throw differs(`The stream has a part "${unknown}", which this machine lacks`);
  const strange = facts.streams.find(({ name }) => !machine.streams.has(name))?.name;
  if (strange !== undefined) {
    throw differs(`The stream has an assigned device at "${strange}", where this machine has none that migrates`);
  }
  const empty = here.streams.find(({ name }) => facts.streams.every((other) => other.name !== name))?.name;
  if (empty !== undefined) {
    throw differs(`This machine has an assigned device at "${empty}", of which the stream has nothing`);
  }
  const missing =
    here.parts.find((name) => !facts.parts.includes(name)) ??
    here.blocks.find(({ name }) => facts.blocks.every((other) => other.name !== name))?.name;
  if (missing !== undefined) throw differs(`This machine has "${missing}", of which the stream has nothing`);
  return facts;
}

function readFacts(text: Uint8Array): MachineFacts {
  try {
    const facts = JSON.parse(new TextDecoder().decode(text)) as Partial<MachineFacts>;
    const { machine, blocks, parts, streams = [] } = facts;
    const isText = (value: unknown): value is string => typeof value === "string";
    const isBlock = (value: Partial<MachineFacts["blocks"][number]>): boolean =>
      isText(value.name) && Number.isSafeInteger(value.lengthBytes);
    const isStream = (value: Partial<MachineFacts["streams"][number]>): boolean =>
      isText(value.name) && typeof value.precopy === "boolean";
    if (
      isText(machine) &&
      Array.isArray(blocks) &&
      Array.isArray(parts) &&
      blocks.every(isBlock) &&
      parts.every(isText) &&
      Array.isArray(streams) &&
      streams.every(isStream)
    ) {
      return { machine, blocks, parts, streams };
    }
  } catch {
    // Told below.
  }
  throw new MigrationError("badStream", "The stream does not say what machine it is of");
}
