import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { CharFront } from "../../chardev/port.ts";
import { openFileChar } from "./char-file.ts";
import { openSocketChar, type SocketCharOptions } from "./char-socket.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "ratite-char-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const bytes = (text: string): Uint8Array => Buffer.from(text);
const ignore = (): void => {};

function recordingFront(): CharFront & { text: string; events: string[] } {
  return {
    text: "",
    events: [],
    room: () => 4096,
    receive(chunk) {
      this.text += Buffer.from(chunk).toString();
    },
    event(name) {
      this.events.push(name);
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  const endMs = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > endMs) throw new Error("the awaited condition did not come true");
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe("file", () => {
  test("it is emptied first", async () => {
    const path = join(folder, "log");
    writeFileSync(path, "old");
    const back = openFileChar({ label: "f", path, append: false, onError: ignore });
    back.write(bytes("new"));
    await back.drained();
    back.close();
    expect(readFileSync(path, "utf8")).toBe("new");
  });

  test("append keeps what was there", async () => {
    const path = join(folder, "log");
    writeFileSync(path, "old ");
    const back = openFileChar({ label: "f", path, append: true, onError: ignore });
    back.write(bytes("new"));
    await back.drained();
    back.close();
    expect(readFileSync(path, "utf8")).toBe("old new");
  });

  test("a folder that does not exist is a typed error with the path", () => {
    const path = join(folder, "missing", "log");
    expect(() => openFileChar({ label: "f", path, append: false, onError: ignore })).toThrow(
      `Could not open '${path}': No such file or directory`,
    );
  });
});

const server = (path: string, more: Partial<SocketCharOptions> = {}): SocketCharOptions => ({
  label: "s",
  address: { kind: "unix", path },
  server: true,
  wait: false,
  noDelay: false,
  onError: ignore,
  ...more,
});

describe("socket", () => {
  test("a server carries bytes both ways and tells when a peer comes and goes", async () => {
    const path = join(folder, "s");
    const back = await openSocketChar(server(path));
    const front = recordingFront();
    back.attach(front);
    const peer = connect({ path });
    let got = "";
    peer.on("data", (chunk) => (got += String(chunk)));
    peer.write("to the guest");
    await until(() => front.text === "to the guest");
    back.write(bytes("to the peer"));
    await until(() => got === "to the peer");
    peer.end();
    await until(() => front.events.includes("closed"));
    expect(front.events).toEqual(["opened", "closed"]);
    back.close();
  });

  test("a second peer waits until the first has gone", async () => {
    const path = join(folder, "s");
    const back = await openSocketChar(server(path));
    const front = recordingFront();
    back.attach(front);
    const first = connect({ path });
    first.write("first.");
    await until(() => front.text === "first.");
    const second = connect({ path });
    second.write("second.");
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(front.text).toBe("first.");
    first.end();
    await until(() => front.text === "first.second.");
    second.destroy();
    back.close();
  });

  test("wait=on resolves with the first peer, and its early bytes are not lost", async () => {
    const path = join(folder, "s");
    const said: string[] = [];
    const opening = openSocketChar(server(path, { wait: true, onWaiting: (text) => said.push(text) }));
    await until(() => said.length === 1);
    const peer = connect({ path });
    peer.write("early");
    const back = await opening;
    const front = recordingFront();
    back.attach(front);
    await until(() => front.text === "early");
    expect(said).toEqual([`unix:${path}`]);
    peer.destroy();
    back.close();
  });

  test("waiting for a peer can be given up", async () => {
    const path = join(folder, "s");
    const stop = new AbortController();
    const opening = openSocketChar(server(path, { wait: true, signal: stop.signal, onWaiting: () => stop.abort() }));
    await expect(opening).rejects.toMatchObject({ code: "aborted" });
  });

  test("a client connects over TCP, and a reader that stops bounds what is taken", async () => {
    let peer: Socket | undefined;
    const listener = createServer((socket) => (peer = socket.pause()));
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as { port: number };
    const back = await openSocketChar({
      label: "c",
      address: { kind: "tcp", host: "127.0.0.1", port },
      server: false,
      wait: false,
      noDelay: true,
      onError: ignore,
    });
    const front = recordingFront();
    let room = 0;
    back.attach({ ...front, writable: () => room++ });
    const block = new Uint8Array(65536).fill(0x61);
    let sent = 0;
    for (let rounds = 0; rounds < 2000; rounds++) {
      const taken = back.write(block);
      sent += taken;
      if (taken === 0) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (back.write(block.subarray(0, 1)) === 0) break;
        sent += 1;
      }
      await new Promise(setImmediate);
    }
    expect(sent).toBeLessThan(65536 * 2000);
    let received = 0;
    peer?.on("data", (chunk) => (received += chunk.length));
    peer?.resume();
    await until(() => received === sent);
    expect(room).toBeGreaterThan(0);
    back.close();
    listener.close();
    peer?.destroy();
  });

  test("nobody listening is a typed error with the address", async () => {
    const path = join(folder, "nobody");
    await expect(openSocketChar(server(path, { server: false }))).rejects.toThrow(
      `Failed to connect to 'unix:${path}': No such file or directory`,
    );
  });

  test("a file in the socket's place is not removed", async () => {
    const path = join(folder, "precious");
    writeFileSync(path, "data");
    await expect(openSocketChar(server(path))).rejects.toMatchObject({ code: "cannotListen" });
    expect(readFileSync(path, "utf8")).toBe("data");
  });
});
