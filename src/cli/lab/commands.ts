// `ratite lab`: shows on one computer what otherwise needs two hosts.
import { convert, intRange, sizeInMebibytes } from "../../object/index.ts";
import { DMA_MODES, TRACKER_POLICIES } from "../../vfio/index.ts";
import { parseArguments, type Arguments } from "../arguments.ts";
import { CliError } from "../errors.ts";
import { fetchWithProgress, GUEST_SOURCE } from "../guest-commands.ts";
import { checkText } from "../host/check.ts";
import type { StatusLine } from "../status-line.ts";
import { labHost } from "./lab-host.ts";
import { labMigrate, plannedMove, requireDevices } from "./migrate.ts";
import type { ChannelKind } from "./moves.ts";
import { resultText, verdict } from "./report.ts";

/** What the guest needs for itself, and what devices have. */
const LEAST_MEMORY_BYTES = 160 * 2 ** 20;

export const LAB_HELP: string = `usage: ratite lab migrate [options] [-- QEMU-OPTIONS]

  Moves a Debian guest with an assigned NVMe disk and a DMA engine from process
  to process while both work, looks whether anything was lost, and prints each
  round with who wrote how many pages.
    --moves N          default 4
    --harts N          default 1
    --memory SIZE      default 512M, at least ${LEAST_MEMORY_BYTES / 2 ** 20}M
    --host HOST        a description, or UNITS/LOGS: which of the two devices
                       (all, none, first, second) stand behind a unit with
                       dirty bits, and which log what they write; default
                       all/first. UNITS/LOGS/mdev has two mediated serial
                       devices in their place, UNITS/LOGS/both has all four
    --policy POLICY    ${TRACKER_POLICIES.join(", ")}
    --dma-mode MODE    ${DMA_MODES.join(", ")}: who makes page tables (default hwpt)
    --channel KIND     unix, tcp, or both in turn (default)
    --downtime MS      limit for the time without the guest; default 300, or
                       20000 where a device is tracked by nobody
    --json             data instead of text
  Example: ratite lab migrate
  Example: ratite lab migrate --moves 10 --harts 4 --host none/all --json
`;

const OPTIONS = {
  ...GUEST_SOURCE,
  moves: "text",
  harts: "text",
  memory: "text",
  host: "text",
  policy: "text",
  "dma-mode": "text",
  channel: "text",
  downtime: "text",
  json: "flag",
} as const;
const CHANNELS: Readonly<Record<string, readonly ChannelKind[]>> = {
  unix: ["unix"],
  tcp: ["tcp"],
  both: ["unix", "tcp"],
};
const DOWNTIME_MS = 300;
/** All of memory is sent with the machine stopped, where nobody can say what was written. */
const UNTRACKED_DOWNTIME_MS = 20_000;

/** Resolves with the exit status: 1 when the move is blocked, or something was lost. */
export async function labCommand(
  words: readonly string[],
  status: StatusLine,
  interruptible: (body: (signal: AbortSignal) => Promise<number>) => Promise<number>,
): Promise<number> {
  const [verb, ...rest] = words;
  if (verb !== "migrate") {
    throw new CliError("unknownCommand", "There is 'ratite lab migrate'", { subject: `lab ${verb ?? ""}`.trim() });
  }
  const given = parseArguments(rest, OPTIONS);
  const number = (name: string, otherwise: number, most: number): number => {
    const text = given.text(name);
    return text === undefined ? otherwise : convert(intRange("uint32", 1, most), name, text, `--${name} ${text}`);
  };
  const memory = given.text("memory");
  const memoryBytes = memory === undefined ? 2 ** 29 : convert(sizeInMebibytes, "memory", memory, `--memory ${memory}`);
  if (memoryBytes < LEAST_MEMORY_BYTES) {
    const needed = `The guest and its devices need ${LEAST_MEMORY_BYTES / 2 ** 20}M`;
    throw new CliError("badUsage", needed, { subject: `--memory ${memory}` });
  }
  if (given.words.length > 0) {
    throw new CliError("badUsage", "lab migrate takes options alone", { subject: given.words[0]! });
  }
  const chosen = {
    host: labHost(given.text("host") ?? "all/first"),
    policy: oneOf(given, "policy", TRACKER_POLICIES, "mixed"),
    dmaMode: oneOf(given, "dma-mode", DMA_MODES, "hwpt"),
    harts: number("harts", 1, 512),
    moves: number("moves", 4, 10_000),
    channels: CHANNELS[oneOf(given, "channel", Object.keys(CHANNELS), "both")]!,
    memoryBytes,
    status,
    more: given.rest,
  };
  requireDevices(chosen.host);
  const plan = plannedMove(chosen);
  if (plan.reasons.length > 0) {
    process.stdout.write(checkText(plan));
    return 1;
  }
  const isUntracked = plan.choices.some(({ tracker }) => tracker === "none");
  const downtimeMs = number("downtime", isUntracked ? UNTRACKED_DOWNTIME_MS : DOWNTIME_MS, 2_000_000);
  return interruptible(async (signal) => {
    const files = await fetchWithProgress("debian", given, status, signal);
    const result = await labMigrate({ ...chosen, downtimeMs, files, signal }).finally(() => status.clear());
    const missed = result.moves.some(({ missedPages }) => missedPages > 0);
    const text = given.flag("json")
      ? `${JSON.stringify({ ...result, verdict: verdict(result.moves) }, undefined, 2)}\n`
      : resultText(result, process.stdout.columns ?? Infinity);
    process.stdout.write(text);
    return missed ? 1 : 0;
  });
}

function oneOf<T extends string>(given: Arguments, option: string, names: readonly T[], otherwise: T): T {
  const text = given.text(option);
  if (text === undefined) return otherwise;
  const found = names.find((name) => name === text);
  if (found !== undefined) return found;
  throw new CliError("badUsage", `'${text}' is none of ${names.join(", ")}`, { subject: `--${option}` });
}
