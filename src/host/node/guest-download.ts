// One file over HTTP: resumed where an earlier attempt ended, and only as good as its hash.
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { readFile, rename, rm, stat } from "node:fs/promises";
import * as http from "node:http";
import * as https from "node:https";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { Transform } from "node:stream";
import { GuestError } from "../../guest/port.ts";
import { makeFolder } from "./guest-folders.ts";

const IDLE_TIMEOUT_MS = 30_000;
const MAX_REDIRECTS = 5;
/** Attempts after a connection broke; each goes on where the last one ended. */
const MAX_ATTEMPTS = 4;

export interface DownloadRequest {
  readonly url: string;
  /** Where the whole, verified file goes; what is on its way lies beside it as `.part`. */
  readonly path: string;
  readonly lengthBytes: number;
  readonly sha256: string;
  readonly progress?: (doneBytes: number) => void;
  readonly signal?: AbortSignal;
}

/** How `url` is brought to `path`, going on after `haveBytes` when it can. */
export type Transport = (request: DownloadRequest, partPath: string) => Promise<void>;

/** The connection broke; trying again may do. */
class Interrupted extends Error {}

/**
 * Gives the file's bytes, from an earlier download when it is whole. Rejects with `GuestError`: `outOfStep` when the
 * server has no such file or other bytes, `unreachable` when it does not answer.
 */
export async function downloadFile(request: DownloadRequest, transport: Transport = overHttp): Promise<Uint8Array> {
  await makeFolder(dirname(request.path));
  if ((await hashOf(request.path)) === request.sha256) return readFile(request.path);
  const part = `${request.path}.part`;
  const resumed = (await lengthOf(part)) > 0;
  await attempts(request, transport, part);
  if ((await hashOf(part)) !== request.sha256) {
    await rm(part, { force: true });
    // What an earlier attempt left may have been of another file of that name.
    if (resumed) await attempts(request, transport, part);
    if (!resumed || (await hashOf(part)) !== request.sha256) {
      await rm(part, { force: true });
      throw new GuestError("outOfStep", `${request.url} has other bytes than its index says`, { subject: request.url });
    }
  }
  await rename(part, request.path);
  return readFile(request.path);
}

async function attempts(request: DownloadRequest, transport: Transport, part: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await transport(request, part);
    } catch (error) {
      request.signal?.throwIfAborted();
      if (!(error instanceof Interrupted)) throw error;
      if (attempt < MAX_ATTEMPTS) continue;
      const message = `${request.url} cannot be read: ${error.message}; a network connection or another mirror would do`;
      throw new GuestError("unreachable", message, { subject: request.url, cause: error });
    }
  }
}

const overHttp: Transport = async (request, part) => {
  const have = await lengthOf(part);
  if (have === request.lengthBytes) return;
  if (have > request.lengthBytes) await rm(part, { force: true });
  const from = have > request.lengthBytes ? 0 : have;
  const response = await get(request, request.url, from, 0);
  const continues = response.statusCode === 206 && response.headers["content-range"]?.startsWith(`bytes ${from}-`);
  let done = continues === true ? from : 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, callback): void {
      done += chunk.length;
      request.progress?.(done);
      callback(done > request.lengthBytes ? new TooLong() : null, chunk);
    },
  });
  try {
    const options = request.signal === undefined ? {} : { signal: request.signal };
    await pipeline(response, meter, createWriteStream(part, { flags: continues === true ? "a" : "w" }), options);
  } catch (error) {
    if (error instanceof TooLong) return;
    const { code, syscall } = error as NodeJS.ErrnoException;
    // A full disk is no matter of the connection.
    if (syscall === "write" || syscall === "open" || code === "ENOSPC") throw error;
    throw new Interrupted((error as Error).message);
  }
  if (done < request.lengthBytes) throw new Interrupted("the connection ended early");
};

/** The server sends more than the index says; the hash will not match. */
class TooLong extends Error {}

function get(request: DownloadRequest, url: string, from: number, redirects: number): Promise<http.IncomingMessage> {
  const module = new URL(url).protocol === "https:" ? https : http;
  const headers = { "user-agent": "ratite", ...(from === 0 ? {} : { range: `bytes=${from}-` }) };
  const signal = request.signal === undefined ? {} : { signal: request.signal };
  return new Promise((resolve, reject) => {
    const call = module.get(url, { headers, timeout: IDLE_TIMEOUT_MS, ...signal }, (response) => {
      const status = response.statusCode ?? 0;
      if (status === 200 || status === 206) {
        resolve(response);
        return;
      }
      response.resume();
      const location = response.headers.location;
      if (status >= 300 && status < 400 && location !== undefined && redirects < MAX_REDIRECTS) {
        resolve(get(request, new URL(location, url).href, from, redirects + 1));
      } else if (status === 404 || status === 410) {
        reject(new GuestError("outOfStep", `${url} is not there (HTTP status ${status})`, { subject: url }));
      } else if (status === 416) {
        rm(`${request.path}.part`, { force: true }).then(() => reject(new Interrupted("HTTP status 416")), reject);
      } else {
        reject(new Interrupted(`HTTP status ${status}`));
      }
    });
    call.on("timeout", () => call.destroy(new Error(`no data for ${IDLE_TIMEOUT_MS / 1000} s`)));
    call.on("error", (error) => reject(new Interrupted(error.message)));
  });
}

async function lengthOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.size ?? 0;
}

async function hashOf(path: string): Promise<string | undefined> {
  if ((await lengthOf(path)) === 0) return undefined;
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest("hex");
}
