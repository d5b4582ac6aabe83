// Running apt's programs, and saying in one sentence what one of them said in twenty lines.
import { spawn } from "node:child_process";
import { GuestError, type GuestErrorCode } from "../../guest/port.ts";

/** Output past this is cut; apt says what matters in its last lines. */
const MAX_OUTPUT_CHARACTERS = 1024 * 1024;

export interface AptRun {
  readonly status: number;
  readonly output: string;
  readonly errors: string;
}

export interface AptRunOptions {
  /** APT_CONFIG; the machine's own configuration when absent. */
  readonly configuration?: string;
  readonly signal?: AbortSignal;
}

/** Rejects with `noApt` when the program is not there, or with the signal's reason. */
export function runApt(program: string, args: readonly string[], options: AptRunOptions): Promise<AptRun> {
  const env = {
    ...process.env,
    LC_ALL: "C",
    ...(options.configuration === undefined ? {} : { APT_CONFIG: options.configuration }),
  };
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const texts = { output: "", errors: "" };
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      texts.output = (texts.output + chunk).slice(-MAX_OUTPUT_CHARACTERS);
    });
    child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
      texts.errors = (texts.errors + chunk).slice(-MAX_OUTPUT_CHARACTERS);
    });
    const abort = (): void => {
      child.kill("SIGTERM");
    };
    options.signal?.addEventListener("abort", abort, { once: true });
    child.on("error", (cause) => reject(noApt(program, cause)));
    child.on("close", (status) => {
      options.signal?.removeEventListener("abort", abort);
      if (options.signal?.aborted === true) reject(options.signal.reason);
      else resolve({ status: status ?? 1, ...texts });
    });
  });
}

function noApt(program: string, cause: unknown): GuestError {
  return new GuestError(
    "noApt",
    `${program} is not on this machine, and guests are fetched with Debian's apt; the package apt would do, or any other riscv64 kernel and initrd by -kernel and -initrd`,
    { subject: program, cause },
  );
}

/** In this order: the first pattern that apt's messages match names the error. */
const MEANINGS: readonly { pattern: RegExp; code: GuestErrorCode; found: string; remedy: string }[] = [
  {
    pattern: /NO_PUBKEY|is not signed|couldn't be verified|could not be verified|GPG error|Signed-By|Missing key/i,
    code: "unverified",
    found: "is not signed by a key of KEYRING",
    remedy: "a Debian mirror, or --keyring FILE with that archive's keys, would do",
  },
  {
    pattern:
      /Could not resolve|Temporary failure resolving|Could not connect|Unable to connect|Cannot initiate the connection|Network is unreachable|Connection (?:refused|timed out|failed|reset)|No route to host|Could not handshake|certificate verification failed/i,
    code: "unreachable",
    found: "does not answer",
    remedy: "a network connection or another mirror by --mirror URL would do",
  },
  {
    pattern: /Release file .*(?:expired|not valid anymore)|is not valid yet/i,
    code: "outOfStep",
    found: "has a release file that is out of date, or this machine's clock is wrong",
    remedy: "another mirror by --mirror URL would do",
  },
  {
    pattern:
      /unexpected size|Hash Sum mismatch|Hashes of expected file|Mirror sync in progress|Clearsigned file isn't valid/i,
    code: "outOfStep",
    found: "has files that are not the ones its release file names: the mirror is being updated, or is broken",
    remedy: "the same mirror later, or another by --mirror URL, would do",
  },
  {
    pattern: /does not have a Release file|no longer has a Release file|404 +Not Found|File not found/i,
    code: "noRelease",
    found: "is not there",
    remedy: "a mirror that has it, by --mirror URL, would do",
  },
  {
    pattern: /Could not get lock|Unable to lock/i,
    code: "busy",
    found: "is being read by another apt in the same cache folder",
    remedy: "trying again when it is done would do",
  },
  {
    pattern: /No space left on device/i,
    code: "cacheFailed",
    found: "does not fit on the disk of the cache folder",
    remedy: "another folder by XDG_CACHE_HOME would do",
  },
];

/** The error that a failed run means. */
export function explainApt(run: AptRun, { origin, keyring }: { origin: string; keyring: string }): GuestError {
  const text = `${run.output}\n${run.errors}`;
  const cause = new Error(run.errors.trim() === "" ? text.trim() : run.errors.trim());
  for (const { pattern, code, found, remedy } of MEANINGS) {
    if (!pattern.test(text)) continue;
    return new GuestError(code, `${origin} ${found.replace("KEYRING", keyring)}; ${remedy}`, {
      subject: origin,
      cause,
    });
  }
  const line =
    text
      .split("\n")
      .find((candidate) => candidate.startsWith("E: "))
      ?.slice(3) ?? `status ${run.status}`;
  return new GuestError("aptFailed", `apt cannot read ${origin}: ${line.replace(/\.$/, "")}`, {
    subject: origin,
    cause,
  });
}
