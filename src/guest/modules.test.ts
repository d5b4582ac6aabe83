import { describe, expect, test } from "vitest";
import { gzipSync } from "node:zlib";
import { nodeDecompress } from "../host/node/index.ts";
import { makeModule } from "../../test/support/packages.ts";
import { moduleIndexes, selectModules } from "./modules.ts";

const files = new Map([
  [
    "kernel/fs/ext4/ext4.ko.gz",
    new Uint8Array(gzipSync(makeModule("depends=jbd2,crc16", "alias=fs-ext4", "alias=fs-ext3"))),
  ],
  ["kernel/fs/jbd2/jbd2.ko", makeModule("depends=crc16")],
  ["kernel/lib/crc16.ko", makeModule("depends=")],
  [
    "kernel/drivers/char/hw_random/virtio-rng.ko",
    makeModule("alias=virtio:d00000004v*", "softdep=pre: helper-a post: later"),
  ],
  ["kernel/helper-a.ko", makeModule("depends=loop-b")],
  ["kernel/loop-b.ko", makeModule("depends=helper-a")],
  ["kernel/unused.ko", makeModule("depends=")],
]);
const decompress = nodeDecompress();

describe("selectModules", () => {
  test("brings dependencies, each before what needs it, unpacked", async () => {
    const modules = await selectModules(files, ["ext4"], decompress);
    expect(modules.map((m) => m.path)).toEqual([
      "kernel/lib/crc16.ko",
      "kernel/fs/jbd2/jbd2.ko",
      "kernel/fs/ext4/ext4.ko",
    ]);
    expect(modules[2]!.content).toEqual(makeModule("depends=jbd2,crc16", "alias=fs-ext4", "alias=fs-ext3"));
  });
  test("takes dashes for underscores, follows soft dependencies, and ends on a cycle", async () => {
    const modules = await selectModules(files, ["virtio_rng"], decompress);
    expect(modules.map((m) => m.name)).toEqual(["loop_b", "helper_a", "virtio_rng"]);
  });
  test("leaves out what the kernel has built in", async () => {
    expect(await selectModules(files, ["virtio_console"], decompress)).toEqual([]);
  });
});

test("moduleIndexes lists all that a module needs, deepest last, and its aliases", async () => {
  const { dep, alias } = moduleIndexes(await selectModules(files, ["ext4"], decompress));
  expect(dep).toBe(
    "kernel/lib/crc16.ko:\n" +
      "kernel/fs/jbd2/jbd2.ko: kernel/lib/crc16.ko\n" +
      "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\n",
  );
  expect(alias).toBe("alias fs-ext4 ext4\nalias fs-ext3 ext4\n");
});
