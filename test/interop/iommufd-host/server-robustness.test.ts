// Clients that die, lie, babble or never listen: refused or cleaned up after, while the server serves the others.
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { removeStaleSocket, serveHost, type HostServer } from "../../../src/host/linux/index.ts";
import { SoftwareHost } from "../../../src/iommufd/index.ts";
import { hasCompiler } from "./compiler.ts";

const NOTHING = { pinnedPages: 0, accountsClear: true, openContexts: 0 };
const folder = mkdtempSync(join(tmpdir(), "robust-"));
const socketPath = join(folder, "socket");
/** Where other users can start it. */
const programs = mkdtempSync(join(tmpdir(), "robust-programs-"));
const client = join(programs, "raw-client");
const NOBODY = 65534;

interface Outcome {
  readonly said: string;
  readonly signal: NodeJS.Signals | null;
}

function run(args: readonly string[], uid?: number): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(client, args, {
      env: { RATITE_HOST_SOCKET: socketPath },
      stdio: ["ignore", "pipe", "inherit"],
      ...(uid === undefined ? {} : { uid }),
    });
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => (said += chunk.toString()));
    child.once("error", reject);
    child.once("close", (_code, signal) => resolve({ said: said.trim(), signal }));
  });
}

/** Ends of connections reach the server within its next turns. */
async function settled(server: HostServer): Promise<void> {
  for (let i = 0; i < 400 && server.connections > 0; i++) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe.skipIf(!hasCompiler())("a server of a host (skipped without Linux and a C compiler)", () => {
  let host: SoftwareHost;
  let server: HostServer;
  const warnings: string[] = [];

  beforeAll(async () => {
    execFileSync("cc", ["-O1", "-w", "-o", client, join(import.meta.dirname, "raw-client.c")]);
    chmodSync(programs, 0o755);
    host = new SoftwareHost({ kernelMock: true });
    server = await serveHost({ host, socketPath, helloMs: 300, onWarning: (m) => warnings.push(m) });
  });
  afterAll(async () => {
    await server.close();
    for (const path of [folder, programs]) rmSync(path, { recursive: true });
  });

  /** What a client said, once the server has forgotten it. */
  async function outcome(...args: readonly string[]): Promise<Outcome> {
    const result = await run(args);
    await settled(server);
    expect(server.connections).toBe(0);
    expect(server.openFiles).toBe(0);
    expect(host.audit()).toEqual(NOTHING);
    return result;
  }

  test("random bytes end the connection, or wait for the rest in vain", async () => {
    expect((await outcome("garbage")).said).toBe("said");
  });

  test("half a greeting is cut after a while", async () => {
    expect((await outcome("half-a-hello")).said).toBe("cut");
  });

  test("death with half a request sent leaves nothing of the client", async () => {
    expect((await outcome("half-a-request")).signal).toBe("SIGKILL");
  });

  test("death while calls are under way leaves nothing of the client", async () => {
    for (let i = 0; i < 3; i++) expect((await outcome("dies-while-called")).signal).toBe("SIGKILL");
  });

  test("a client that never takes its answers is no longer listened to", async () => {
    expect((await outcome("never-listens")).said).toBe("held back");
  });

  test("every operation with absurd lengths and addresses gets an answer", async () => {
    expect((await outcome("wrong-lengths")).said).toBe("answered");
  });

  test("thousands of connections, one after the other and at once, are forgotten", async () => {
    expect((await outcome("connects")).said).toBe("connected");
    expect((await outcome("many")).said).toBe("connected");
  });

  test("descriptors that are others', nobody's or taken are refused, and theirs stay as they are", async () => {
    expect((await outcome("bad-inodes")).said).toBe("cut cut cut -24 -24 -22");
  });

  test("a client that lies about its pid is refused: another process's, none's, a thread of the kernel's", async () => {
    warnings.length = 0;
    expect((await outcome("lies", String(process.pid))).said).toBe("-13");
    expect(warnings.pop()).toContain(`says it is process ${process.pid} and could not prove it`);
    expect((await outcome("lies", "999999999")).said).toBe("-13");
    expect((await outcome("lies", "0")).said).toBe("-13");
    expect(warnings.pop()).toContain("is refused");
  });

  test.skipIf(process.getuid?.() !== 0)("another user is refused (skipped unless run by root)", async () => {
    // The folder alone keeps it out.
    expect(await run(["connects"], NOBODY)).toEqual({ said: "connect: Permission denied", signal: null });
    // And one that got in, and names a process of its own, by the owner of that process.
    const theirs = spawn("sleep", ["60"], { uid: NOBODY, stdio: "ignore" });
    try {
      warnings.length = 0;
      expect((await outcome("lies", String(theirs.pid))).said).toBe("-13");
      expect(warnings.pop()).toContain(`belongs to user ${NOBODY} and is refused`);
    } finally {
      theirs.kill();
    }
  });

  test("nothing but the socket is left in the folder", () => {
    expect(readdirSync(folder)).toEqual(["socket"]);
  });
});

describe.skipIf(process.platform !== "linux")("where a server listens", () => {
  const own = mkdtempSync(join(tmpdir(), "where-"));
  afterAll(() => rmSync(own, { recursive: true }));

  test("a folder that others can enter is refused, with what would do", async () => {
    chmodSync(own, 0o755);
    const listening = serveHost({ host: new SoftwareHost(), socketPath: join(own, "socket") });
    await expect(listening).rejects.toThrow("a folder of your own with mode 0700 would do");
    chmodSync(own, 0o700);
  });

  test("a socket that is listened on is left alone, one of a dead server is removed", async () => {
    const path = join(own, "socket");
    const server = await serveHost({ host: new SoftwareHost(), socketPath: path });
    await removeStaleSocket(path);
    await expect(serveHost({ host: new SoftwareHost(), socketPath: path })).rejects.toThrow("cannot be listened on");
    await server.close();
    const dies = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`;
    spawnSync(process.execPath, ["-e", dies]);
    expect(existsSync(path)).toBe(true);
    await removeStaleSocket(path);
    expect(existsSync(path)).toBe(false);
  });
});
