import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { MigrationChannel } from "../../migration/port.ts";
import { acceptMigration, connectMigration } from "./migration-channel.ts";

const folder = mkdtempSync(join(tmpdir(), "ratite-channel-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The next bytes, or fewer at the end; read into places of `most` bytes. */
async function next(channel: MigrationChannel, count: number, most = count): Promise<number[]> {
  const bytes = new Uint8Array(count);
  let at = 0;
  await channel.read({
    place: () => bytes.subarray(at, at + most),
    took: (more) => (at += more) < count,
  });
  return [...bytes.subarray(0, at)];
}

describe("a migration's channel", () => {
  test.each([`unix:${folder}/socket`, "tcp:127.0.0.1:47311", "tcp:[::1]:47312"])("goes both ways: %s", async (uri) => {
    let listens = (): void => undefined;
    const listening = new Promise<void>((resolve) => (listens = resolve));
    const accepting = acceptMigration(uri, () => listens());
    await listening;
    const [source, target] = [await connectMigration(uri), await accepting];
    expect([source.isDuplex, target.isDuplex]).toEqual([true, true]);
    await source.write(Uint8Array.of(1, 2, 3));
    expect(await next(target, 2)).toEqual([1, 2]);
    await source.write(Uint8Array.of(4, 5));
    expect(await next(target, 3, 2)).toEqual([3, 4, 5]);
    await target.write(Uint8Array.of(6));
    expect(await next(source, 1)).toEqual([6]);
    source.close();
    expect(await next(target, 1)).toEqual([]);
    target.close();
  });

  test("brings many bytes whole, wherever they are to go, shared memory too", async () => {
    const uri = `unix:${folder}/many`;
    let listens = (): void => undefined;
    const listening = new Promise<void>((resolve) => (listens = resolve));
    const accepting = acceptMigration(uri, () => listens());
    await listening;
    const [source, target] = [await connectMigration(uri), await accepting];
    const sent = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7) ^ (i >> 8));
    const writing = source.write(sent);
    const came = new Uint8Array(new SharedArrayBuffer(sent.length));
    let at = 0;
    let steps = 0;
    const wants = await target.read({
      // Small places and large ones in turn.
      place: () => came.subarray(at, at + (steps % 2 === 0 ? 32 : 262_144)),
      took: (count) => {
        at += count;
        steps += 1;
        return at < sent.length;
      },
    });
    await writing;
    expect(wants).toBe(true);
    expect(Buffer.compare(came, sent)).toBe(0);
    for (const channel of [source, target]) channel.close();
  });

  test("to a file ends with it", async () => {
    const uri = `file:${folder}/file`;
    const out = await connectMigration(uri);
    await out.write(Uint8Array.of(1, 2, 3));
    await out.flush();
    out.close();
    const back = await acceptMigration(uri);
    expect(back.isDuplex).toBe(false);
    expect(await next(back, 2)).toEqual([1, 2]);
    expect(await next(back, 5)).toEqual([3]);
    back.close();
  });

  test.each([
    ["tcp:127.0.0.1:1", /Failed to connect to 'tcp:127.0.0.1:1': Connection refused/],
    ["exec:cat", /exec:cat: commands are not run/],
    ["tcp:nowhere", /is not tcp:HOST:PORT/],
  ])("that cannot be had says why: %s", async (uri, message) => {
    await expect(connectMigration(uri)).rejects.toThrow(message);
  });
});
