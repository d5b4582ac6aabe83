import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { acceptMigration, connectMigration } from "./migration-channel.ts";

const folder = mkdtempSync(join(tmpdir(), "ratite-channel-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a migration's channel", () => {
  test.each([`unix:${folder}/socket`, "tcp:127.0.0.1:47311", "tcp:[::1]:47312"])("goes both ways: %s", async (uri) => {
    let listens = (): void => undefined;
    const listening = new Promise<void>((resolve) => (listens = resolve));
    const accepting = acceptMigration(uri, () => listens());
    await listening;
    const [source, target] = [await connectMigration(uri), await accepting];
    expect([source.isDuplex, target.isDuplex]).toEqual([true, true]);
    await source.write(Uint8Array.of(1, 2, 3));
    expect([...(await target.read())!]).toEqual([1, 2, 3]);
    await target.write(Uint8Array.of(4));
    expect([...(await source.read())!]).toEqual([4]);
    source.close();
    expect(await target.read()).toBeUndefined();
    target.close();
  });

  test("to a file ends with it", async () => {
    const uri = `file:${folder}/file`;
    const out = await connectMigration(uri);
    await out.write(Uint8Array.of(1, 2, 3));
    await out.flush();
    out.close();
    const back = await acceptMigration(uri);
    expect(back.isDuplex).toBe(false);
    expect([...(await back.read())!]).toEqual([1, 2, 3]);
    expect(await back.read()).toBeUndefined();
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
