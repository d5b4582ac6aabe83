// Whatever a driver does, nothing may throw, hang, or touch anything but the memory that the bus gives.
// `npm run fuzz:nvme` goes on with other seeds.
import { describe, test } from "vitest";
import { HostileDriver } from "./test-hostile-driver.ts";

describe("a hostile driver", () => {
  test.each([1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n])("cannot upset the controller (seed %i)", async (seed) => {
    const hostile = new HostileDriver(seed);
    for (let i = 0; i < 1500; i++) await hostile.step();
    await hostile.check();
  });
});
