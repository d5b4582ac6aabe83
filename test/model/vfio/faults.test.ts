// A fixed share of `npm run faults:assigned`, and what a guest sees of some faults.
import { afterEach, describe, expect, test } from "vitest";
import { Errno } from "../../../src/iommufd/index.ts";
import { FaultSeam } from "./fault-seam.ts";
import { countCalls, FAULT_ERRNOS, FAULT_REACHES, NOTHING_LEFT, runFault } from "./faults.ts";
import { ENGINE_PATH, liveOnce, MachineLife, makeBench, NVME_PATH } from "./machine-life.ts";

const STEP = 7;

test("a machine goes on, or is refused, whichever call of its host fails, and leaves nothing", async () => {
  const calls = await countCalls();
  let [index, ended] = [0, 0];
  for (let n = 1; n <= calls; n += STEP) {
    for (const reach of ["device", FAULT_REACHES[index % FAULT_REACHES.length]!] as const) {
      const errno = FAULT_ERRNOS[index++ % FAULT_ERRNOS.length]!;
      const { runState, left } = await runFault({ n, reach, errno });
      expect({ n, reach, errno, left }).toEqual({ n, reach, errno, left: NOTHING_LEFT });
      if (runState === "refused") ended += 1;
      else expect(runState).toBe("prelaunch");
    }
  }
  // Early faults refuse the machine; the later ones do not.
  expect(ended).toBeGreaterThan(0);
  expect(ended).toBeLessThan(index);
});

describe("the guest", () => {
  let seam: FaultSeam | undefined;
  afterEach(() => seam?.close());

  test("reads ones from a device that vanished, and its machine runs on", async () => {
    seam = new FaultSeam().open();
    const bench = makeBench();
    const life = new MachineLife(bench, []);
    life.place();
    expect(bench.read(life.nvmeRegisters + 0x08)).toBe(0x0001_0400);
    seam.decide = ({ path }) => (path === NVME_PATH ? Errno.ENODEV : undefined);
    expect(bench.read(life.nvmeRegisters + 0x08)).toBe(0xffff_ffff);
    expect(bench.read(bench.ecam(1, 0))).toBe(0xffff_ffff);
    expect(bench.guestErrors.some((line) => line.includes("ENODEV"))).toBe(true);
    // The other device works.
    expect(bench.read(life.engineRegisters)).toBe(0x5241_0001);
    await bench.machine.close();
    expect(JSON.stringify(seam.audit())).toBe(NOTHING_LEFT);
  });

  test("keeps its machine when a device cannot be reset, then or ever", async () => {
    seam = new FaultSeam().open();
    const bench = makeBench();
    const life = new MachineLife(bench, []);
    life.place();
    seam.decide = ({ name }) => (name === "VFIO_DEVICE_RESET" ? Errno.EAGAIN : undefined);
    for (let i = 0; i < 3; i++) bench.machine.reset();
    expect(bench.guestErrors.some((line) => line.includes("VFIO_DEVICE_RESET failed with EAGAIN"))).toBe(true);
    // Nothing of it goes on: it may no longer move memory.
    expect(bench.read(bench.ecam(0, 2) + 4, 2) & 4).toBe(0);
    life.place();
    expect(bench.read(life.engineRegisters)).toBe(0x5241_0001);
    await bench.machine.close();
    expect(JSON.stringify(seam.audit())).toBe(NOTHING_LEFT);
  });

  test("is told nothing when the host runs out of memory for dirty bits: the meter is", async () => {
    seam = new FaultSeam().open();
    seam.decide = ({ name, path }) => {
      return name === "IOMMU_HWPT_GET_DIRTY_BITMAP" || (name === "VFIO_DEVICE_FEATURE" && path === ENGINE_PATH)
        ? Errno.ENOMEM
        : undefined;
    };
    const { troubles, runState } = await liveOnce();
    expect(runState).toBe("prelaunch");
    expect(troubles).toEqual(expect.arrayContaining([expect.stringContaining("IOMMU_HWPT_GET_DIRTY_BITMAP failed")]));
  });
});
