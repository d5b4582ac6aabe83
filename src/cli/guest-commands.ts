// Guests by name: fetching with progress, listing, removing.
import {
  availableGuests,
  fetchGuest,
  listGuests,
  removeGuest,
  type GuestFiles,
  type GuestProgress,
} from "../guest/index.ts";
import { nodeGuestHost, type NodeGuestOptions } from "../host/node/index.ts";
import { parseArguments, type Arguments } from "./arguments.ts";
import { CliError } from "./errors.ts";
import { nearestName } from "../base/index.ts";
import type { StatusLine } from "./status-line.ts";

export const GUEST_SOURCE = { release: "text", mirror: "text", keyring: "text", refresh: "flag" } as const;

/** Names that stand for a release of a guest. */
const ALIASES: Readonly<Record<string, { readonly name: string; readonly release: string }>> = {
  "debian-backports": { name: "debian", release: "trixie-backports" },
};

export interface NamedGuest {
  readonly name: string;
  readonly release?: string;
}

/** `debian-backports` is `debian` of the release `trixie-backports`. Throws CliError for a name that no guest has. */
export function resolveGuest(word: string, release: string | undefined): NamedGuest {
  const alias = Object.hasOwn(ALIASES, word) ? ALIASES[word] : undefined;
  if (alias !== undefined) return alias;
  const names = [...availableGuests().map(({ name }) => name), ...Object.keys(ALIASES)];
  if (!names.includes(word)) {
    const nearest = nearestName(word, names);
    const would = nearest === undefined ? `there are ${names.join(", ")}` : `did you mean ${nearest}?`;
    throw new CliError("badUsage", `There is no guest of this name; ${would}`, { subject: word });
  }
  return release === undefined ? { name: word } : { name: word, release };
}

export function guestHostOf(args: Arguments): ReturnType<typeof nodeGuestHost> {
  const mirror = args.text("mirror");
  const keyring = args.text("keyring");
  const options: NodeGuestOptions = {
    ...(mirror === undefined ? {} : { mirror }),
    ...(keyring === undefined ? {} : { keyring }),
  };
  return nodeGuestHost(options);
}

/** Gives the guest's files, fetching what is missing; Ctrl-C gives up cleanly. Rejects with GuestError. */
export async function fetchWithProgress(
  word: string,
  args: Arguments,
  status: StatusLine,
  signal: AbortSignal,
): Promise<GuestFiles> {
  const { name, release } = resolveGuest(word, args.text("release"));
  const report = (progress: GuestProgress): void => {
    if (progress.phase === "notice") status.line(progress.subject);
    else status.update({ ...progress, what: `${VERBS[progress.phase]} ${progress.subject}` });
  };
  try {
    return await fetchGuest(guestHostOf(args), name, {
      ...(release === undefined ? {} : { release }),
      refresh: args.flag("refresh"),
      report,
      signal,
    });
  } finally {
    status.clear();
  }
}

const VERBS: Readonly<Record<Exclude<GuestProgress["phase"], "notice">, string>> = {
  index: "Reading the index of",
  download: "Downloading",
  unpack: "Unpacking",
  compose: "Composing",
  store: "Storing",
  wait: "Waiting for",
};

/** One line per guest: what it is made of, where it lies. */
function describe({ name, release, kernelRelease, kernelPath, initrdPath }: GuestFiles): string {
  return `${name} ${release}: Linux ${kernelRelease}\n  kernel ${kernelPath}\n  initrd ${initrdPath}\n`;
}

const GUEST_COMMANDS = ["fetch", "list", "remove"];

/** `ratite guest …`; resolves with the text to print. */
export async function guestCommand(args: readonly string[], status: StatusLine, signal: AbortSignal): Promise<string> {
  const parsed = parseArguments(args, GUEST_SOURCE);
  const [command = "list", word, ...more] = parsed.words;
  const extra = more[0] ?? parsed.rest[0];
  if (extra !== undefined) throw new CliError("badUsage", "One guest at a time", { subject: extra });
  switch (command) {
    case "fetch":
      return describe(await fetchWithProgress(word ?? "debian", parsed, status, signal));
    case "list":
      return listText(await listGuests(guestHostOf(parsed)));
    case "remove": {
      if (word === undefined)
        throw new CliError("badUsage", "Name a guest: ratite guest remove debian", { subject: "guest remove" });
      const { name, release } = resolveGuest(word, parsed.text("release"));
      const removed = await removeGuest(guestHostOf(parsed), name, release);
      if (removed.length === 0) return `${word} is not in the cache\n`;
      return removed.map((id) => `removed ${id.name} ${id.release}\n`).join("");
    }
    default: {
      const nearest = nearestName(command, GUEST_COMMANDS);
      const would =
        nearest === undefined ? `there are ${GUEST_COMMANDS.join(", ")}` : `did you mean 'ratite guest ${nearest}'?`;
      throw new CliError("unknownCommand", `Unknown command; ${would}`, { subject: `guest ${command}` });
    }
  }
}

function listText(stored: readonly GuestFiles[]): string {
  const fetched = stored.map(describe).join("");
  const rows = availableGuests().map(
    ({ name, summary, releases }) => `${name} (${releases.join(", ")})\n  ${summary}\n`,
  );
  return `In the cache:\n${fetched === "" ? "nothing; ratite guest fetch debian\n" : fetched}\nTo be had:\n${rows.join("")}`;
}
