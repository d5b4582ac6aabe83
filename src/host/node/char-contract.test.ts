import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, describe, expect, test } from "vitest";
import { charBackendContract, type CharBackendUnderTest } from "../../chardev/index.ts";
import { openFileChar } from "./char-file.ts";
import { openSocketChar } from "./char-socket.ts";
import { openStdio } from "./char-stdio.ts";

const folder = mkdtempSync(join(tmpdir(), "ratite-contract-"));
afterAll(() => rmSync(folder, { recursive: true }));

let made = 0;
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));
const ignore = (): void => {};

function file(): Promise<CharBackendUnderTest> {
  const path = join(folder, `file${made++}`);
  const back = openFileChar({ label: "file", path, append: false, onError: ignore });
  return Promise.resolve({ back, arrived: () => readFileSync(path), settle });
}

async function socketServer(): Promise<CharBackendUnderTest> {
  const path = join(folder, `socket${made++}`);
  let peer: Socket | undefined;
  const back = await openSocketChar({
    label: "socket",
    address: { kind: "unix", path },
    server: true,
    wait: true,
    noDelay: false,
    onError: ignore,
    onWaiting: () => (peer = connect({ path })),
  });
  if (peer === undefined) throw new Error("the server says that it waits");
  const chunks: Buffer[] = [];
  peer.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
  const { pause, resume, write } = {
    pause: () => peer?.pause(),
    resume: () => peer?.resume(),
    write: peer.write.bind(peer),
  };
  return {
    back,
    arrived: () => Buffer.concat(chunks),
    send: (bytes) => void write(bytes),
    stall: (stalled) => void (stalled ? pause() : resume()),
    settle,
  };
}

function stdio(): Promise<CharBackendUnderTest> {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const chunks: Buffer[] = [];
  stdout.on("data", (chunk) => chunks.push(Buffer.from(chunk)));
  const back = openStdio({ label: "stdio", signal: false, onError: ignore, stdin, stdout });
  return Promise.resolve({
    back,
    arrived: () => Buffer.concat(chunks),
    send: (bytes) => void stdin.write(bytes),
    stall: (stalled) => void (stalled ? stdout.pause() : stdout.resume()),
    settle,
  });
}

describe.each([
  ["file", file],
  ["socket server", socketServer],
  ["stdio", stdio],
] as const)("%s", (_name, make) => {
  test.each(charBackendContract)("$claim", async ({ applies, check }) => {
    const member = await make();
    expect(applies(member) ? await check(member) : undefined).toBeUndefined();
    member.back.close();
  });
});
