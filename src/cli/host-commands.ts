// `ratite host`: a software /dev/iommu for programs that are not ours.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { execOnHost, preloadLibrary, removeStaleSocket, serveHost } from "../host/linux/index.ts";
import { FAIL_POINTS, SoftwareHost, type FailPoint } from "../iommufd/index.ts";
import { CliError } from "./errors.ts";

export const HOST_HELP: string = `usage: ratite host exec [options] -- PROGRAM [ARGUMENTS]
       ratite host serve --socket PATH [options]

  ratite host exec    Run a Linux program so that its /dev/iommu is a software IOMMU.
                      Its exit status is the command's.
  ratite host serve   Offer the same to programs that are started with
                      LD_PRELOAD and RATITE_HOST_SOCKET set (the command prints both).

          --kernel-mock     answer the kernel's private test calls too
          --no-quirks       leave out what Linux 7.2 gets wrong
          --fail NAME[:N]   make the Nth step of a kind fail (${FAIL_POINTS.slice(0, 6).join(", ")},
                            ${FAIL_POINTS.slice(6).join(", ")}); may be repeated
        Example: ratite host exec --kernel-mock -- ./iommufd
`;

interface HostOptions {
  kernelMock: boolean;
  kernelQuirks: boolean;
  socket: string | undefined;
  readonly failures: { readonly point: FailPoint; readonly nth: number }[];
  readonly program: readonly string[];
}

/** Takes what follows `ratite host`; resolves with the exit status. `stop` ends `serve`. */
export async function hostCommand(args: readonly string[], stop?: AbortSignal): Promise<number> {
  const [verb = "", ...rest] = args;
  if (verb === "" || verb === "help" || verb === "--help" || verb === "-h" || rest[0] === "--help") {
    process.stdout.write(HOST_HELP);
    return verb === "" ? 1 : 0;
  }
  if (verb !== "exec" && verb !== "serve") {
    throw new CliError("unknownCommand", "Unknown host command; exec and serve exist", { subject: `host ${verb}` });
  }
  const options = parse(rest);
  const host = new SoftwareHost({ kernelMock: options.kernelMock, kernelQuirks: options.kernelQuirks });
  for (const { point, nth } of options.failures) host.failNext(point, nth);
  const common = {
    host,
    // The kernel's tests expect a root that may set the accounting mode.
    granted: options.kernelMock ? (["SYS_RESOURCE"] as const) : [],
    onWarning: (message: string): void => void process.stderr.write(`ratite: host: ${message}\n`),
  };
  if (verb === "serve") return serve(common, options.socket, stop);
  const [program, ...programArguments] = options.program;
  if (program === undefined) {
    throw new CliError("badUsage", "A program is missing: ratite host exec [options] -- PROGRAM [ARGUMENTS]", {
      subject: "host exec",
    });
  }
  return execOnHost({ ...common, program, arguments: programArguments });
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
  removeStaleSocket(socket);
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

function parse(args: readonly string[]): HostOptions {
  const separator = args.indexOf("--");
  const own = separator < 0 ? args : args.slice(0, separator);
  const options: HostOptions = {
    kernelMock: false,
    kernelQuirks: true,
    socket: undefined,
    failures: [],
    program: separator < 0 ? [] : args.slice(separator + 1),
  };
  for (let i = 0; i < own.length; i++) {
    const word = own[i]!;
    const value = (): string => {
      const next = own[++i];
      if (next === undefined) throw new CliError("badUsage", "A value is missing after it", { subject: word });
      return next;
    };
    if (word === "--kernel-mock") options.kernelMock = true;
    else if (word === "--no-quirks") options.kernelQuirks = false;
    else if (word === "--socket") options.socket = value();
    else if (word === "--fail") options.failures.push(failure(value()));
    else {
      throw new CliError("badUsage", "Unknown option; 'ratite host --help' lists them (a program comes after --)", {
        subject: word,
      });
    }
  }
  return options;
}

function failure(text: string): { readonly point: FailPoint; readonly nth: number } {
  const [name = "", nth = "1"] = text.split(":");
  const point = FAIL_POINTS.find((p) => p === name);
  if (point === undefined || !/^[1-9]\d{0,8}$/.test(nth)) {
    throw new CliError("badUsage", `'${text}' names no step; NAME[:N] with one of ${FAIL_POINTS.join(", ")} would do`, {
      subject: "--fail",
    });
  }
  return { point, nth: Number(nth) };
}
