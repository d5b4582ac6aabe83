// The monitor for people, line by line, compared with QEMU's.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { QmpClient } from "../support/qmp-client.ts";
import { Machines, qemu, ratite, withoutQemu } from "../support/vmm.ts";

const machines = new Machines();
const OPTIONS = ["-S", "-smp", "2", "-m", "128M", "-name", "box", "-device", "virtio-rng-pci,id=r0"];

afterAll(() => machines.close());

const human = async (client: QmpClient, line: string): Promise<string> =>
  (await client.execute("human-monitor-command", { "command-line": line })) as string;

/** What QEMU and Ratite say alike, in this order. */
/** The next line comes while it goes on. */
const LONG_MEASUREMENT = "calc_dirty_rate 60";
const LINES = [
  "info status",
  "info name",
  "info uuid",
  "info kvm",
  "info memory_size_summary",
  "cont",
  "info status",
  "stop",
  "info status",
  "",
  "foo",
  "info foo",
  "info stop",
  "help foo",
  "stop 3",
  "s 3",
  "info status x",
  "migrate",
  "migrate -d",
  "migrate -x foo",
  "migrate_cancel",
  "migrate_continue foo",
  "migrate_incoming tcp:localhost:1",
  "migrate_set_parameter foo 1",
  "migrate_set_parameter max-bandwidth",
  "migrate_set_parameter max-bandwidth xx",
  "migrate_set_parameter max-bandwidth 3",
  "migrate_set_parameter downtime-limit 99999999",
  "migrate_set_capability foo on",
  "migrate_set_capability events maybe",
  "migrate_set_capability events on",
  "migrate_set_parameter cpu-throttle-initial 0",
  "migrate_set_parameter cpu-throttle-increment 12",
  "migrate_set_capability auto-converge on",
  "migrate_set_capability dirty-limit on",
  "info dirty_rate",
  "info vcpu_dirty_limit",
  "calc_dirty_rate 0",
  "calc_dirty_rate abc",
  "calc_dirty_rate -r 1",
  LONG_MEASUREMENT,
  "calc_dirty_rate -b 1",
  "device_del r7",
  "device_add",
  "device_add nonsense",
];

describe.skipIf(withoutQemu !== "")(`compared with QEMU${withoutQemu}`, () => {
  let ours: QmpClient;
  let theirs: QmpClient;

  beforeAll(async () => {
    [ours, theirs] = (await Promise.all([
      machines.start(ratite, "ours", OPTIONS),
      machines.start(qemu!, "theirs", OPTIONS),
    ])) as [QmpClient, QmpClient];
  }, 60_000);

  test("lines are answered in the same words", async () => {
    for (const line of LINES) {
      expect([line, await human(ours, line)]).toEqual([line, await human(theirs, line)]);
      // QEMU measures in a thread, which may come to life after the next line.
      while (line === LONG_MEASUREMENT && !(await human(theirs, "info dirty_rate")).includes("measuring"));
    }
  });

  test("help has the same form, and no command that QEMU does not have", async () => {
    const shape = /^(\S+) (.*?) ?-- .+$/;
    const namesOf = (text: string): string[] => text.split("\r\n").flatMap((line) => shape.exec(line)?.[1] ?? []);
    expect(namesOf(await human(theirs, "help"))).toEqual(expect.arrayContaining(namesOf(await human(ours, "help"))));
    const items = (text: string): string[] => [...text.matchAll(/^info (\S+) /gm)].map(([, item]) => item!);
    expect(items(await human(theirs, "info"))).toEqual(expect.arrayContaining(items(await human(ours, "info"))));
    expect(namesOf(await human(ours, "help"))).toContain("migrate_set_parameter");
  });

  test("parameters and capabilities that both have are shown alike", async () => {
    for (const line of ["info migrate_parameters", "info migrate_capabilities"]) {
      const [own, other] = [await human(ours, line), await human(theirs, line)];
      // Here a socket's return path is always on, and what begins with x- is ours.
      const shown = own.split("\r\n").filter((each) => each !== "return-path: on" && !each.startsWith("x-"));
      expect(other.split("\r\n")).toEqual(expect.arrayContaining(shown));
    }
  });

  test("mtree draws the board's map as QEMU does", async () => {
    const places = (text: string): string[] =>
      [...text.matchAll(/^ *([0-9a-f]{16}-[0-9a-f]{16}) \(prio \d+, (i\/o|ram|rom)\): (?!alias)/gm)].map(
        ([, range, kind]) => `${range} ${kind}`,
      );
    const theirPlaces = new Set(places(await human(theirs, "info mtree")));
    const shared = places(await human(ours, "info mtree")).filter((place) => theirPlaces.has(place));
    expect(shared).toEqual(
      expect.arrayContaining([
        "0000000000000000-ffffffffffffffff i/o",
        "0000000000001000-000000000000ffff rom",
        "000000000c000000-000000000c5fffff i/o",
        "0000000080000000-0000000087ffffff ram",
      ]),
    );
    expect(await human(ours, "info mtree -f")).toMatch(/^FlatView #0\r\n AS "memory", root: system\r\n/);
  });

  test("qtree has the devices at their buses", async () => {
    const text = await human(ours, "info qtree -b");
    const devices = (from: string): string[] => [...from.matchAll(/^ *dev: (.*)$/gm)].map(([, device]) => device!);
    expect(text).toMatch(/^bus: main-system-bus\r\n {2}type System\r\n {2}dev: /);
    expect(devices(text)).toContain('virtio-rng-pci, id "r0"');
    expect(await human(ours, "info qtree")).toContain('\r\n        addr = "01.0"\r\n');
    expect(devices(await human(theirs, "info qtree -b"))).toContain('virtio-rng-pci, id "r0"');
  });

  test("jit and cpus are told in the same form", async () => {
    expect(await human(ours, "info cpus")).toMatch(/^\* CPU #0: thread_id=\d+\r\n {2}CPU #1: thread_id=\d+\r\n$/);
    expect(await human(ours, "info jit")).toMatch(/Translation buffer state:\r\ngen code size {7}\d+\/\d+\r\n/);
  });
});
