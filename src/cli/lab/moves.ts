// One machine moved from process to process, with what each move was like.
import { createServer } from "node:net";
import { join } from "node:path";
import { CliError } from "../errors.ts";
import type { MachineProcess } from "./machine-process.ts";
import type { QmpObject } from "./qmp-client.ts";

export type ChannelKind = "unix" | "tcp";

export interface LabRound {
  readonly number: number;
  readonly sentBytes: number;
  readonly deviceBytes: number;
  readonly durationMs: number;
  readonly dirtyPages: number;
  readonly sources: readonly { readonly name: string; readonly pages: number }[];
}

export interface LabMove {
  readonly channel: ChannelKind;
  readonly rounds: readonly LabRound[];
  readonly totalMs: number;
  readonly downtimeMs: number;
  readonly sentBytes: number;
  readonly deviceBytes: number;
  /** Pages that changed and that nobody reported. */
  readonly missedPages: number;
  readonly missed: readonly string[];
}

const POLL_MS = 100;
const CONNECT_TRIES = 1000;

/** Where a target waits. */
export async function channelUri(kind: ChannelKind, folder: string, name: string): Promise<string> {
  return kind === "unix" ? `unix:${join(folder, `${name}.move`)}` : `tcp:127.0.0.1:${await freePort()}`;
}

/** Moves it; resolves when it runs at the target. `onProgress` hears how much is left. */
export async function moveMachine(
  source: MachineProcess,
  uri: string,
  options: { readonly kind: ChannelKind; readonly downtimeMs: number; readonly onProgress: (info: QmpObject) => void },
): Promise<LabMove> {
  const { qmp } = source;
  const capabilities = [{ capability: "switchover-ack", state: true }];
  await qmp.execute("migrate-set-capabilities", { capabilities });
  await qmp.execute("migrate-set-parameters", {
    ...{ "max-bandwidth": 0, "downtime-limit": options.downtimeMs, "x-dirty-oracle": true },
  });
  await begin(source, uri);
  let info: QmpObject;
  for (;;) {
    info = (await qmp.execute("query-migrate")) as QmpObject;
    if (info["status"] === "completed") break;
    if (info["status"] === "failed" || info["status"] === "cancelled") {
      throw new CliError("machineFailed", `The migration ${info["status"]}: ${String(info["error-desc"])}`, {
        subject: source.name,
      });
    }
    options.onProgress(info);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const { rounds, oracle } = (await qmp.execute("x-query-migration")) as {
    readonly rounds: readonly QmpObject[];
    readonly oracle: { readonly "missed-pages": number; readonly missed: readonly string[] };
  };
  return {
    channel: options.kind,
    rounds: rounds.map(roundOf),
    totalMs: Number(info["total-time"]),
    downtimeMs: Number(info["downtime"]),
    sentBytes: Number((info["ram"] as QmpObject)["transferred"]),
    deviceBytes: Number((info["vfio"] as QmpObject | undefined)?.["transferred"] ?? 0),
    missedPages: oracle["missed-pages"],
    missed: oracle.missed,
  };
}

/** The target may not listen yet. */
async function begin({ qmp }: MachineProcess, uri: string): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      await qmp.execute("migrate", { uri });
      return;
    } catch (error) {
      if (i === CONNECT_TRIES || !(error instanceof CliError) || !error.message.startsWith("Failed to connect"))
        throw error;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

function roundOf(round: QmpObject): LabRound {
  return {
    number: Number(round["number"]),
    sentBytes: Number(round["sent-bytes"]),
    deviceBytes: Number(round["device-bytes"]),
    durationMs: Number(round["duration-ms"]),
    dirtyPages: Number(round["dirty-pages"]),
    sources: round["sources"] as LabRound["sources"],
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
