// `ratite host`: a software /dev/iommu for programs that are not ours, and what a described host can do.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { execOnHost, preloadLibrary, removeStaleSocket, serveHost } from "../../host/linux/index.ts";
import { FAIL_POINTS, hostJsonSchema, SoftwareHost, type FailPoint } from "../../iommufd/index.ts";
import { convert, sizeInMebibytes } from "../../object/index.ts";
import { DEFAULT_USE, DMA_MODES, MIGRATION_WISHES, TRACKER_POLICIES } from "../../vfio/index.ts";
import { parseArguments, type Arguments } from "../arguments.ts";
import { nearestName } from "../../base/index.ts";
import { CliError } from "../errors.ts";
import { checkHost, checkJson, checkText } from "./check.ts";
import { readHostFile } from "./read-file.ts";
import { hostAsJson, showHost } from "./show.ts";

const HELP_INDENT = 28;
const WRAP_COLUMNS = 50;

export const HOST_HELP: string = `usage: ratite host show FILE [--json]
       ratite host check FILE [options] [--json]
       ratite host exec [FILE] [options] -- PROGRAM [ARGUMENTS]
       ratite host serve [FILE] --socket PATH [options]
       ratite host schema

FILE describes a host in JSON: IOMMU units, groups, devices. Without one, a host
has no devices.

  ratite host show    Draw the units, groups and devices, and what each can do.
  ratite host check   Say which attachment or migration would be blocked, by which
                      call, and what would change it. Status 1 when one would be.
          --memory SIZE     the guest's memory, in MiB or with a suffix (default 512M)
          --policy NAME     as x-dirty-policy of -object iommufd (default mixed)
          --dma-mode NAME   as x-dma-mode of -device vfio-pci (default hwpt)
          --migration WISH  as its enable-migration (default auto)
  ratite host exec    Run a Linux program so that its /dev/iommu is the host's.
                      Its exit status is the command's.
  ratite host serve   Offer the same to programs that are started with
                      LD_PRELOAD and RATITE_HOST_SOCKET set (the command prints both).
          --kernel-mock     answer the kernel's private test calls too
          --no-quirks       leave out what Linux 7.2 gets wrong
          --fail NAME[:N]   make the Nth step of a kind fail, once; may be
                            repeated. Kinds:
${wrap(FAIL_POINTS)}
  ratite host schema  Print the JSON Schema of a host description, for editors.

        Example: ratite host check host.json --memory 4G
        Example: ratite host exec host.json -- ./my-driver
        Example: ratite host exec --kernel-mock -- ./iommufd
`;

/** Names in lines of the help's right column. */
function wrap(names: readonly string[]): string {
  const lines = [""];
  for (const [i, name] of names.entries()) {
    const word = i < names.length - 1 ? `${name}, ` : name;
    if (lines.at(-1)!.length + word.length > WRAP_COLUMNS) lines.push("");
    lines[lines.length - 1] += word;
  }
  return lines.map((line) => `${" ".repeat(HELP_INDENT)}${line.trimEnd()}`).join("\n");
}

const SERVING = { "kernel-mock": "flag", "no-quirks": "flag", fail: "list" } as const;
const SPECS = {
  show: { json: "flag" },
  check: { json: "flag", memory: "text", policy: "text", "dma-mode": "text", migration: "text" },
  exec: SERVING,
  serve: { ...SERVING, socket: "text" },
  schema: {},
} as const;
const VERBS = Object.keys(SPECS) as (keyof typeof SPECS)[];

const DEFAULT_MEMORY_BYTES = 512 * 2 ** 20;
/** Where the board `virt` has its memory. */
const MEMORY_BASE = 0x8000_0000n;

/** Takes what follows `ratite host`; resolves with the exit status. `stop` ends `serve`. */
export async function hostCommand(args: readonly string[], stop?: AbortSignal): Promise<number> {
  const [word = "", ...rest] = args;
  const own = rest.includes("--") ? rest.slice(0, rest.indexOf("--")) : rest;
  if (word === "" || /^(?:--?h(?:elp)?|help)$/.test(word) || own.includes("--help") || own.includes("-h")) {
    process.stdout.write(HOST_HELP);
    return word === "" ? 1 : 0;
  }
  const verb = VERBS.find((v) => v === word);
  if (verb === undefined) {
    const near = nearestName(word, VERBS);
    const would = near === undefined ? `${VERBS.join(", ")} exist` : `did you mean 'ratite host ${near}'?`;
    throw new CliError("unknownCommand", `Unknown host command; ${would}`, { subject: `host ${word}` });
  }
  const given = parseArguments(rest, SPECS[verb]);
  if (given.words.length > 1)
    throw new CliError("badUsage", "One host description at a time", { subject: given.words[1]! });
  if (verb === "exec" || verb === "serve") return provide(verb, given, stop);
  if (given.rest.length > 0) throw new CliError("badUsage", `host ${verb} runs no program`, { subject: "--" });
  return describe(verb, given);
}

function describe(verb: "show" | "check" | "schema", given: Arguments): number {
  if (verb === "schema") {
    process.stdout.write(`${JSON.stringify(hostJsonSchema(), null, 2)}\n`);
    return 0;
  }
  const file = given.words[0];
  if (file === undefined) {
    throw new CliError("badUsage", `A file is missing: ratite host ${verb} FILE`, { subject: `host ${verb}` });
  }
  const plan = readHostFile(file);
  if (verb === "show") {
    process.stdout.write(given.flag("json") ? hostAsJson(plan) : showHost(plan));
    return 0;
  }
  const result = checkHost(plan, {
    ...DEFAULT_USE,
    memory: [guestMemory(given.text("memory"))],
    policy: oneOfNames(given, "policy", TRACKER_POLICIES, DEFAULT_USE.policy),
    mode: oneOfNames(given, "dma-mode", DMA_MODES, DEFAULT_USE.mode),
    wish: oneOfNames(given, "migration", MIGRATION_WISHES, DEFAULT_USE.wish),
  });
  process.stdout.write(given.flag("json") ? checkJson(result) : checkText(result));
  return result.reasons.length > 0 ? 1 : 0;
}

function oneOfNames<T extends string>(given: Arguments, option: string, names: readonly T[], otherwise: T): T {
  const text = given.text(option);
  if (text === undefined) return otherwise;
  const found = names.find((name) => name === text);
  if (found !== undefined) return found;
  throw new CliError("badUsage", `'${text}' is none of ${names.join(", ")}`, { subject: `--${option}` });
}

function guestMemory(size: string | undefined): { readonly start: bigint; readonly last: bigint } {
  const lengthBytes =
    size === undefined ? DEFAULT_MEMORY_BYTES : convert(sizeInMebibytes, "memory", size, `--memory ${size}`);
  if (lengthBytes === 0) throw new CliError("badUsage", "A guest needs memory", { subject: "--memory" });
  return { start: MEMORY_BASE, last: MEMORY_BASE + BigInt(lengthBytes) - 1n };
}

async function provide(verb: "exec" | "serve", given: Arguments, stop: AbortSignal | undefined): Promise<number> {
  const kernelMock = given.flag("kernel-mock");
  const failures = given.list("fail").map(failure);
  const [program, ...programArguments] = given.rest;
  if (verb === "exec" && program === undefined) {
    throw new CliError("badUsage", "A program is missing: ratite host exec [FILE] [options] -- PROGRAM [ARGUMENTS]", {
      subject: "host exec",
    });
  }
  const [file] = given.words;
  const host = new SoftwareHost({ kernelMock, kernelQuirks: !given.flag("no-quirks") });
  for (const { point, nth } of failures) host.failNext(point, nth);
  const common = {
    host,
    // The kernel's tests expect a root that may set the accounting mode.
    granted: kernelMock ? (["SYS_RESOURCE"] as const) : [],
    onWarning: (message: string): void => void process.stderr.write(`ratite: host: ${message}\n`),
  };
  if (file !== undefined) {
    readHostFile(file);
    common.onWarning(`${file}: its device files are not served yet; programs see /dev/iommu alone`);
  }
  if (verb === "serve") return serve(common, given.text("socket"), stop);
  return execOnHost({ ...common, program: program!, arguments: programArguments });
}

async function serve(
  common: Omit<Parameters<typeof serveHost>[0], "socketPath">,
  socket: string | undefined,
  stop: AbortSignal | undefined,
): Promise<number> {
  if (socket === undefined) {
    throw new CliError("badUsage", "--socket PATH is missing; name a socket in a folder of your own", {
      subject: "host serve",
    });
  }
  mkdirSync(dirname(socket), { recursive: true, mode: 0o700 });
  await removeStaleSocket(socket);
  const library = preloadLibrary();
  const server = await serveHost({ ...common, socketPath: socket });
  process.stdout.write(
    `LD_PRELOAD=${library}\nRATITE_HOST_SOCKET=${server.socketPath}\nRATITE_HOST_PID=${process.pid}\n`,
  );
  await new Promise<void>((resolve) => {
    if (stop === undefined) for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => resolve());
    else stop.addEventListener("abort", () => resolve(), { once: true });
  });
  await server.close();
  return 0;
}

function failure(text: string): { readonly point: FailPoint; readonly nth: number } {
  const [name = "", nth = "1", ...more] = text.split(":");
  const point = FAIL_POINTS.find((p) => p === name);
  if (point !== undefined && more.length === 0 && /^[1-9]\d{0,8}$/.test(nth)) return { point, nth: Number(nth) };
  const near = point === undefined ? nearestName(name, FAIL_POINTS) : undefined;
  const would =
    point === undefined
      ? `no step has that name; ${near === undefined ? "" : `did you mean ${near}? `}There are ${FAIL_POINTS.join(", ")}`
      : `${point}, or ${point}:N for the Nth of them, would do`;
  throw new CliError("badUsage", `'${text}': ${would}`, { subject: "--fail" });
}
