// What must be said when a move fails: which section of the machine or the stream, and what was wrong with it.
import { VmError } from "../../../src/base/index.ts";
import { Errno } from "../../../src/iommufd/index.ts";
import { MigrationError } from "../../../src/migration/index.ts";
import type { Fault, WrongTarget } from "./fault-plan.ts";
import type { Struck } from "./faulty-stream.ts";

const WRONG: Readonly<Record<WrongTarget, RegExp>> = {
  memory: /Memory "[^"]+" has \d+ bytes in the stream and \d+ here/,
  "machine version": /The stream is of a machine virt-1\.0; this one is virt-9\.9/,
  harts:
    /The stream has a part "[^"]+", which this machine lacks|This machine has "[^"]+", of which the stream has nothing/,
  "device missing": /The stream has a part "pcie\.0\/0\d\.0", which this machine lacks/,
  "device more": /This machine has an assigned device at "[^"]+", of which the stream has nothing/,
  kind: /Device "[^"]+" \([^)]+\): /,
  "no migration": /The stream has an assigned device at "[^"]+", where this machine has none that migrates/,
};

/** The part of the machine or of the stream that an error is about. */
const SECTION =
  /Device "|part "|Memory "|[Tt]racking of dirty pages|Reading dirty pages|The machine|[Tt]he stream|[Bb]yte \d+|after \d+ bytes|Sending .* to |Answering .* to |Pages before byte|frame|images|disk|took nothing for|migration stream/;

export interface MoveErrors {
  readonly source: Error | undefined;
  readonly target: Error | undefined;
}

/** What is wrong with what was said, as sentences. */
export function complaintsAbout(fault: Fault, struck: Struck | undefined, errors: MoveErrors): string[] {
  const said = Object.entries(errors).flatMap(([side, error]: [string, Error | undefined]) =>
    error === undefined ? [] : [{ side, error }],
  );
  const vague = said.flatMap(({ side, error }) => vagueness(error).map((what) => `the ${side}'s error ${what}`));
  return [...vague, ...unsaid(fault, struck, errors)];
}

function vagueness(error: Error): string[] {
  if (!(error instanceof VmError)) return [`is one of our own: ${error.stack ?? error.message}`];
  if (!(error instanceof MigrationError)) return [`is of room ${error.room}: ${error.message}`];
  if (error.code === "cancelled") return error.message === "The migration was cancelled" ? [] : [`is ${error.message}`];
  return SECTION.test(error.message) ? [] : [`names no section: ${error.message}`];
}

/** What this fault's errors must have besides. */
function unsaid(fault: Fault, struck: Struck | undefined, { source, target }: MoveErrors): string[] {
  const wants = (who: string, error: Error | undefined, pattern: RegExp): string[] =>
    error !== undefined && pattern.test(error.message)
      ? []
      : [`the ${who} says ${error?.message ?? "nothing"}, and ${String(pattern)} is due`];
  switch (fault.kind) {
    case "wrong target": {
      const pattern = WRONG[fault.what];
      return [...wants("target", target, pattern), ...wants("source", source, pattern)];
    }
    case "refuse switchover":
      return wants("source", source, /^The other side refused: .*Another machine has the disk/);
    case "none":
    case "other tracking":
      return [source, target].flatMap((error) => (error === undefined ? [] : [`nothing was wrong: ${error.message}`]));
    case "call": {
      const error = fault.side === "source" ? source : target;
      if (error === undefined || struck === undefined) return [];
      return wants(fault.side, error, new RegExp(`${Errno.name(fault.errno)}|The other side|cancelled`));
    }
    case "bytes": {
      const { kind } = fault.fault;
      const frame = struck?.frame?.name;
      // After the handover nobody reads.
      const isOrder = fault.way === "out" && (kind === "swap" || kind === "repeat") && frame !== "handover";
      if (isOrder && struck !== undefined && source === undefined && target === undefined) {
        return [`the ${kind} of a frame "${frame}" was not noticed`];
      }
      const at = target === undefined ? undefined : /[Bb]yte (\d+) begins/.exec(target.message)?.[1];
      if (fault.way !== "out" || fault.fault.kind !== "damage" || at === undefined) return [];
      const start = struck?.frame?.start;
      return Number(at) === start
        ? []
        : [`byte ${struck?.position} was damaged, in the frame at ${start}: ${at} is told`];
    }
    default:
      return [];
  }
}
