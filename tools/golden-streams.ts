// Writes the streams of test/support/golden-streams.ts that are not there yet; those that are there stay as they are.
//   npx tsx tools/golden-streams.ts
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { OutgoingMigration } from "../src/migration/index.ts";
import { FrameWriter, preamble } from "../src/migration/stream/frame-writer.ts";
import { framesOf, written } from "../test/fuzz/migration-stream.ts";
import { goldenFile, goldenStreams, packedStreams } from "../test/support/golden-streams.ts";
import { makeDisk, makeMovingGuest, until } from "../test/support/moving-guest.ts";

for (const [name, options] of Object.entries(goldenStreams)) {
  const file = goldenFile(name);
  if (existsSync(file)) continue;
  const disk = makeDisk();
  const { machine, host, text, close } = makeMovingGuest({ ...options, disk });
  machine.start();
  await until(() => text.value.length >= 2);
  const chunks: Uint8Array[] = [];
  const channel = {
    name: "file",
    isDuplex: false,
    unwrittenBytes: 0,
    write: async (bytes: Uint8Array) => void chunks.push(bytes.slice()),
    read: async () => false,
    flush: async () => undefined,
    close: () => undefined,
  };
  await new OutgoingMigration({ machine: machine.movable, channel, timers: host.timers, yield: host.yield }).run();
  const content = new Uint8Array(disk.lengthBytes);
  await disk.read(0, content);
  await close();
  mkdirSync(new URL(".", file), { recursive: true });
  const packed = packedStreams.get(name);
  const plain = Buffer.concat(chunks);
  const stream =
    packed === undefined ? plain : Buffer.concat([preamble(), ...written(new FrameWriter(), framesOf(plain), packed)]);
  writeFileSync(file, gzipSync(stream, { level: 9 }));
  writeFileSync(goldenFile(`${name}.disk`), gzipSync(content, { level: 9 }));
  console.log(`${name}: written`);
}
