// Runs a program whose /dev/iommu is a served host.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import type { Capability, HostPort } from "../../iommufd/port.ts";
import { HostServerError } from "./errors.ts";
import { serveHost } from "./host-server.ts";
import { preloadLibrary } from "./preload.ts";

export interface ExecOptions {
  readonly host: HostPort;
  readonly program: string;
  readonly arguments: readonly string[];
  readonly onWarning?: (message: string) => void;
  /** As `HostServerOptions.granted`. */
  readonly granted?: readonly Capability[];
}

/** Resolves with the program's exit status (128 + signal when it was killed). */
export async function execOnHost(options: ExecOptions): Promise<number> {
  const library = preloadLibrary();
  const folder = mkdtempSync(join(tmpdir(), "ratite-host-"));
  const server = await serveHost({
    host: options.host,
    socketPath: join(folder, "socket"),
    granted: options.granted ?? [],
    ...(options.onWarning === undefined ? {} : { onWarning: options.onWarning }),
  });
  try {
    return await run(options, server.socketPath, library);
  } finally {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(options: ExecOptions, socketPath: string, library: string): Promise<number> {
  const already = process.env["LD_PRELOAD"];
  return new Promise((resolve, reject) => {
    const child = spawn(options.program, options.arguments, {
      stdio: "inherit",
      env: {
        ...process.env,
        LD_PRELOAD: already === undefined || already === "" ? library : `${library}:${already}`,
        RATITE_HOST_SOCKET: socketPath,
        RATITE_HOST_PID: String(process.pid),
      },
    });
    child.once("error", (cause) =>
      reject(
        new HostServerError("cannotStart", `"${options.program}" cannot be started: ${cause.message}`, {
          subject: options.program,
          cause,
        }),
      ),
    );
    child.once("exit", (code, signal) => resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}
