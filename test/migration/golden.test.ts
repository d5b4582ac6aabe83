// Streams that were written by earlier builds: they load, and the guest goes on and finds nothing lost.
import { expect, test } from "vitest";
import { packing } from "../../src/host/node/index.ts";
import { IncomingMigration } from "../../src/migration/index.ts";
import { rehearseLoading } from "../../src/migration/rehearsal.ts";
import { goldenStreams, readGolden, streamChannel } from "../support/golden-streams.ts";
import { makeDisk, makeMovingGuest, until } from "../support/moving-guest.ts";

test.each(Object.keys(goldenStreams))("%s loads and goes on", async (name) => {
  const disk = makeDisk();
  await disk.write(0, readGolden(`${name}.disk`));
  const guest = makeMovingGuest({ ...goldenStreams[name]!, incoming: true, disk });
  // As on every machine that waits for another one.
  rehearseLoading(guest.machine.movable.parts);
  const channel = streamChannel(readGolden(name));
  await new IncomingMigration({ machine: guest.machine.movable, channel, starts: () => true, packing }).run();
  await until(() => guest.text.value.length >= 2);
  expect(guest.text.value).toMatch(/^\.+$/);
  await guest.close();
});
