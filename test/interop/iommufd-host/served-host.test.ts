import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { execOnHost, serveHost } from "../../../src/host/linux/index.ts";
import { SoftwareHost } from "../../../src/iommufd/index.ts";

function hasCompiler(): boolean {
  try {
    execFileSync("cc", ["--version"], { stdio: "ignore" });
    return process.platform === "linux" && existsSync("/proc/self/mem");
  } catch {
    return false;
  }
}

const folder = mkdtempSync(join(tmpdir(), "served-host-"));
const driver = join(folder, "driver");

describe.skipIf(!hasCompiler())("a program on a served host (skipped without Linux and a C compiler)", () => {
  beforeAll(() => {
    execFileSync("cc", ["-O1", "-o", driver, join(import.meta.dirname, "driver.c")]);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("uses the simple API, forks, duplicates, polls and dies without leaving anything", async () => {
    const host = new SoftwareHost();
    const status = await execOnHost({ host, program: driver, arguments: [] });
    expect(status).toBe(0);
    expect(host.audit()).toEqual({ pinnedPages: 0, accountsClear: true, openContexts: 0 });
  });

  test("the program's exit status is passed on", async () => {
    const host = new SoftwareHost();
    expect(await execOnHost({ host, program: "/bin/sh", arguments: ["-c", "exit 7"] })).toBe(7);
  });

  test("a program that does not exist is named", async () => {
    const run = execOnHost({ host: new SoftwareHost(), program: join(folder, "nothing"), arguments: [] });
    await expect(run).rejects.toThrow("cannot be started");
  });
});

/** The first bytes that the server answers, or none when it hangs up. */
function hello(socketPath: string, words: (socket: Socket) => Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath, () => socket.write(words(socket)));
    const chunks: Buffer[] = [];
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("close", () => resolve(Buffer.concat(chunks)));
    socket.on("error", reject);
  });
}

describe.skipIf(process.platform !== "linux" || !existsSync("/proc/self/mem"))("who may call", () => {
  test("a client that lies about its pid is refused", async () => {
    const warnings: string[] = [];
    const socketPath = join(mkdtempSync(join(tmpdir(), "liar-")), "socket");
    const server = await serveHost({ host: new SoftwareHost(), socketPath, onWarning: (m) => warnings.push(m) });
    const words = Buffer.alloc(48);
    words.writeUInt32LE(0x31544152, 0);
    words.writeUInt32LE(1, 4);
    words.writeUInt32LE(process.pid, 8);
    words.writeBigUInt64LE(0x1000n, 24);
    const answer = await hello(socketPath, () => words);
    expect(answer.readBigInt64LE(0)).toBe(-13n);
    expect(warnings[0]).toContain("could not prove it");
    await server.close();
  });

  test("words that are none of ours end the connection", async () => {
    const socketPath = join(mkdtempSync(join(tmpdir(), "noise-")), "socket");
    const server = await serveHost({ host: new SoftwareHost(), socketPath });
    expect(await hello(socketPath, () => Buffer.alloc(48, 0x55))).toHaveLength(0);
    expect(server.openFiles).toBe(0);
    await server.close();
  });
});
