import { describe, expect, test } from "vitest";
import { labHost } from "./lab-host.ts";

const facts = (name: string) =>
  labHost(name).plan.devices.map(({ name: device, placement, dmaLog }) => [
    device,
    placement === undefined ? "no unit" : placement.unit.description.dirtyTracking,
    dmaLog,
  ]);

describe("a host by its name", () => {
  test("has a disk and an engine, of which units and logs are said", () => {
    expect(facts("second/first")).toEqual([
      ["0000:01:00.0", false, true],
      ["0000:02:00.0", true, false],
    ]);
    expect(labHost("second/first").drives).toEqual(["disk0"]);
  });

  test("has mediated devices in their place, or too", () => {
    expect(facts("none/first/mdev")).toEqual([
      ["serial0", "no unit", true],
      ["serial1", "no unit", false],
    ]);
    expect(facts("all/all/both").map(([device]) => device)).toEqual([
      "0000:01:00.0",
      "0000:02:00.0",
      "serial0",
      "serial1",
    ]);
  });

  test("is a file otherwise, which has to be there", () => {
    expect(() => labHost("all/some")).toThrow(/Cannot be read: .*UNITS\/LOGS with all, none, first or second/);
  });
});
