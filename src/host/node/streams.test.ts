import { PassThrough, Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { CharFront } from "../../chardev/port.ts";
import { StreamInput } from "./stream-input.ts";
import { StreamOutput } from "./stream-output.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A front with a FIFO of `capacity` bytes that a test empties by hand. */
function slowFront(capacity: number): CharFront & { fifo: number[]; overran: boolean } {
  const fifo: number[] = [];
  return {
    fifo,
    overran: false,
    room: () => capacity - fifo.length,
    receive(bytes) {
      if (bytes.length > capacity - fifo.length) this.overran = true;
      fifo.push(...bytes);
    },
  };
}

/** A stream whose reader is stopped until `release`. */
function stuckStream(): { stream: Writable; chunks: Buffer[]; release: () => void } {
  const chunks: Buffer[] = [];
  let waiting: (() => void) | undefined;
  let stuck = true;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(chunk);
      if (stuck) waiting = () => done();
      else done();
    },
  });
  const release = (): void => {
    stuck = false;
    waiting?.();
  };
  return { stream, chunks, release };
}

describe("output", () => {
  test("single bytes of one turn leave in one write", async () => {
    const { stream, chunks, release } = stuckStream();
    release();
    const output = new StreamOutput(stream, { onRoom: () => {}, onError: () => {} });
    for (const byte of Buffer.from("login: ")) output.write(Uint8Array.of(byte));
    await output.drained();
    expect(chunks.map(String)).toEqual(["login: "]);
  });

  test("a stopped reader bounds what is taken, and everything taken arrives in order", async () => {
    const { stream, chunks, release } = stuckStream();
    let roomCalls = 0;
    const output = new StreamOutput(stream, { onRoom: () => roomCalls++, onError: () => {} });
    const sent = Uint8Array.from({ length: 300_000 }, (_, i) => i % 251);
    let taken = output.write(sent);
    expect(taken).toBe(65536);
    await turn();
    expect(output.write(sent.subarray(taken))).toBe(0);
    expect(roomCalls).toBe(0);
    release();
    while (taken < sent.length) {
      taken += output.write(sent.subarray(taken));
      await turn();
    }
    await output.drained();
    expect(roomCalls).toBeGreaterThan(0);
    expect(Buffer.concat(chunks).equals(sent)).toBe(true);
  });

  test("an error is told once and a front that waits for room goes on", async () => {
    const errors: unknown[] = [];
    let roomCalls = 0;
    const stream = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
    const output = new StreamOutput(stream, { onRoom: () => roomCalls++, onError: (error) => errors.push(error) });
    output.write(new Uint8Array(70_000));
    await output.drained();
    await turn();
    expect(errors).toHaveLength(1);
    expect(roomCalls).toBeGreaterThan(0);
    expect(output.write(new Uint8Array(10))).toBe(10);
  });
});

describe("input", () => {
  test("a full front stops the stream and nothing is lost", async () => {
    const stream = new PassThrough();
    const front = slowFront(16);
    const input = new StreamInput(stream, () => {});
    input.attach(front);
    const sent = Uint8Array.from({ length: 100_000 }, (_, i) => i % 253);
    stream.end(sent);
    const received: number[] = [];
    for (let guard = 0; received.length < sent.length && guard < 100_000; guard++) {
      if (front.fifo.length === 0) await turn();
      received.push(...front.fifo.splice(0));
      input.deliver();
    }
    expect(front.overran).toBe(false);
    expect(Uint8Array.from(received)).toEqual(sent);
  });

  test("the end is told only after the last byte was delivered", async () => {
    const stream = new PassThrough();
    const front = slowFront(2);
    let ended = false;
    const input = new StreamInput(stream, () => (ended = true));
    input.attach(front);
    stream.end(Buffer.from("abc"));
    await turn();
    await turn();
    expect(ended).toBe(false);
    front.fifo.splice(0);
    input.deliver();
    await turn();
    await turn();
    expect(String.fromCharCode(...front.fifo)).toBe("c");
    expect(ended).toBe(true);
  });

  test("nothing is read before a front is attached", async () => {
    const stream = new PassThrough();
    const input = new StreamInput(stream, () => {});
    stream.write("early");
    await turn();
    const front = slowFront(64);
    input.attach(front);
    await turn();
    expect(String.fromCharCode(...front.fifo)).toBe("early");
  });
});
