import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sha256 } from "../../../test/support/packages.ts";
import { type DownloadRequest, downloadFile } from "./guest-download.ts";

const content = new Uint8Array(100_000).map((_, i) => (i * 7) & 0xff);
let folder: string;
let server: Server;
let seen: (string | undefined)[];
let answer: (incoming: IncomingMessage, response: ServerResponse) => void;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "ratite-download-"));
  seen = [];
  answer = serve;
  server = createServer((incoming, response) => {
    seen.push(incoming.headers.range);
    answer(incoming, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

/** A server that knows ranges. */
function serve(incoming: IncomingMessage, response: ServerResponse): void {
  const from = Number(/^bytes=(\d+)-$/.exec(incoming.headers.range ?? "")?.[1] ?? 0);
  if (from === 0) response.end(content);
  else {
    response.writeHead(206, { "content-range": `bytes ${from}-${content.length - 1}/${content.length}` });
    response.end(content.subarray(from));
  }
}
function request(change: Partial<DownloadRequest> = {}): DownloadRequest {
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/file.deb`,
    path: join(folder, "file"),
    lengthBytes: content.length,
    sha256: sha256(content),
    ...change,
  };
}
const part = (): string => join(folder, "file.part");
const equals = (bytes: Uint8Array): boolean => Buffer.compare(bytes, content) === 0;

describe("downloadFile", () => {
  test("gives a file whose hash is right, and tells how far it is", async () => {
    const told: number[] = [];
    expect(equals(await downloadFile(request({ progress: (n) => told.push(n) })))).toBe(true);
    expect(told.at(-1)).toBe(content.length);
    expect(existsSync(part())).toBe(false);
  });
  test("asks for nothing when the file is there", async () => {
    await downloadFile(request());
    expect(equals(await downloadFile(request()))).toBe(true);
    expect(seen).toEqual([undefined]);
  });
  test("goes on where an earlier attempt was killed", async () => {
    writeFileSync(part(), content.subarray(0, 60_000));
    expect(equals(await downloadFile(request()))).toBe(true);
    expect(seen).toEqual(["bytes=60000-"]);
  });
  test("starts over when the server knows no ranges", async () => {
    answer = (_incoming, response) => response.end(content);
    writeFileSync(part(), content.subarray(0, 60_000));
    expect(equals(await downloadFile(request()))).toBe(true);
  });
  test("starts over when what was there is of another file, or too long", async () => {
    writeFileSync(part(), new Uint8Array(60_000));
    expect(equals(await downloadFile(request()))).toBe(true);
    rmSync(join(folder, "file"));
    writeFileSync(part(), new Uint8Array(200_000));
    expect(equals(await downloadFile(request()))).toBe(true);
  });
  test("goes on by itself when the connection breaks", async () => {
    answer = (incoming, response) => {
      if (seen.length > 1) return serve(incoming, response);
      response.writeHead(200, { "content-length": content.length });
      // The client gets the time to put what it has on disk; what is still on its way then is lost.
      response.write(content.subarray(0, 30_000), () => setTimeout(() => response.socket?.end(), 200));
    };
    expect(equals(await downloadFile(request()))).toBe(true);
    expect(seen[1]).toMatch(/^bytes=\d+-$/);
  });
  test("follows redirects, and not without end", async () => {
    answer = (incoming, response) =>
      incoming.url === "/file.deb" ? response.writeHead(302, { location: "/real" }).end() : serve(incoming, response);
    expect(equals(await downloadFile(request()))).toBe(true);
    rmSync(join(folder, "file"));
    answer = (_incoming, response) => response.writeHead(302, { location: "/again" }).end();
    await expect(downloadFile(request())).rejects.toMatchObject({ code: "unreachable" });
  });
  test("says that the archive is out of step when the file is not there or is another", async () => {
    answer = (_incoming, response) => response.writeHead(404).end();
    await expect(downloadFile(request())).rejects.toMatchObject({ code: "outOfStep" });
    answer = (_incoming, response) => response.end(new Uint8Array(content.length));
    await expect(downloadFile(request())).rejects.toThrow("has other bytes than its index says");
    expect(existsSync(part())).toBe(false);
  });
  test("stops reading a file that is longer than its index says", async () => {
    let sent = 0;
    answer = (_incoming, response) => {
      const more = (): void => {
        for (; sent < 1_000_000_000; sent += 65_536) if (!response.write(new Uint8Array(65_536))) return;
      };
      response.on("drain", more);
      more();
    };
    await expect(downloadFile(request())).rejects.toMatchObject({ code: "outOfStep" });
    expect(sent).toBeLessThan(50_000_000);
  });
  test("says that the server does not answer, after some attempts", async () => {
    answer = (_incoming, response) => response.writeHead(503).end();
    await expect(downloadFile(request())).rejects.toThrow("HTTP status 503; a network connection or another mirror");
    expect(seen).toHaveLength(4);
    await expect(downloadFile(request({ url: "http://127.0.0.1:1/x" }))).rejects.toMatchObject({ code: "unreachable" });
  });
  test("stops when it is aborted, and keeps what it has", async () => {
    answer = (_incoming, response) => void response.write(content.subarray(0, 30_000));
    const controller = new AbortController();
    const progress = (): void => controller.abort(new Error("enough"));
    await expect(downloadFile(request({ signal: controller.signal, progress }))).rejects.toThrow("enough");
    answer = serve;
    expect(equals(await downloadFile(request()))).toBe(true);
  });
});
