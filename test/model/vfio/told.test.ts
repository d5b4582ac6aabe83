// What blocks a migration is told alike beforehand (`ratite host check`), by a machine, and by its monitor.
import { expect, test } from "vitest";
import { checkHost } from "../../../src/cli/host/check.ts";
import { openMigration } from "../../../src/cli/open-migration.ts";
import { readHostDescription } from "../../../src/iommufd/index.ts";
import { PciBench } from "../../../src/machine/testing/pci-bench.ts";
import { DEFAULT_USE, explain, reasonText } from "../../../src/vfio/index.ts";
import { builtInKinds } from "../../../src/vfiohost/index.ts";

const [A, B] = ["0000:01:00.0", "0000:02:00.0"];
const RAM = { start: 0x8000_0000n, last: 0x81ff_ffffn };

test.each([
  ["a device that does not migrate", "vtd-ssads", [], []],
  ["a device that nobody tracks", "vtd", ["stop-copy", "p2p"], ["stop-copy", "p2p"]],
  ["one of two that cannot fall silent", "vtd-ssads", ["stop-copy", "p2p"], ["stop-copy"]],
  ["nothing", "vtd-ssads", ["stop-copy", "p2p"], ["stop-copy", "p2p", "pre-copy"]],
])("%s", async (_what, profile, ...abilities) => {
  const plan = readHostDescription(
    JSON.stringify({
      units: [{ id: "u0", profile }],
      devices: [A, B].map((bdf, i) => ({ bdf, kind: "dma-engine", unit: "u0", migration: abilities[i] })),
    }),
    builtInKinds,
  );
  const bench = new PciBench(
    [A, B].map((host) => ({ driver: "vfio-pci", properties: { host, iommufd: "f0" } })),
    { iommufds: [{ id: "f0", host: plan, policy: "mixed" }] },
  );
  const beforehand = checkHost(plan, { ...DEFAULT_USE, memory: [RAM] });
  expect(beforehand.reasons).toEqual(explain(beforehand));
  const { timers } = bench;
  const host = {
    timers,
    yield: { turn: () => Promise.resolve(), sleep: () => Promise.resolve(), wake: () => undefined },
  };
  const control = openMigration(bench.machine, {
    host,
    startsOnArrival: true,
    withOracle: false,
    line: () => undefined,
  });
  const texts = beforehand.reasons.map(reasonText);
  expect(bench.machine.migrationBlockers).toEqual(beforehand.reasons);
  expect(control.blockedReasons).toEqual([...new Set(texts)]);
  if (texts.length > 0) await expect(control.migrate("tcp:127.0.0.1:1")).rejects.toThrow(texts[0]);
  await bench.machine.close();
});
