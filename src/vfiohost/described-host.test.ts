// A description becomes a host whose devices are as it says, and refuse what `ratite host check` foretells.
import { expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ManualTimers } from "../base/index.ts";
import {
  IommufdClient,
  makeLocalCaller,
  migrationRefusals,
  readHostDescription,
  VfioDeviceClient,
  VfioDeviceFeatureFlag,
  VfioFeature,
  VfioMigrationFlag,
} from "../iommufd/index.ts";
import { makeDescribedHost } from "./described-host.ts";
import { builtInKinds } from "./kinds.ts";

const text = readFileSync(join(import.meta.dirname, "../../examples/hosts/mixed.json"), "utf8");

function described() {
  const timers = new ManualTimers();
  const plan = readHostDescription(text, builtInKinds);
  const { host, vfio } = makeDescribedHost(plan, { timers, trace: { guestError: () => {} } });
  const bytes = new Uint8Array(0x1_0000);
  const session = host.attach(makeLocalCaller({ bytes }));
  const arena = { va: 0n, bytes };
  const iommufd = IommufdClient.open(session, arena);
  const bound = (i: number): VfioDeviceClient => {
    const device = VfioDeviceClient.open(session, arena, vfio.devices[i]!.path);
    device.bind(iommufd.fd);
    return device;
  };
  return { vfio, iommufd, bound };
}

test("the example's devices can what their description says", () => {
  const { vfio, iommufd, bound } = described();
  expect(vfio.devices.map((d) => d.path)).toEqual([0, 1, 2, 3, 4].map((n) => `/dev/vfio/devices/vfio${n}`));
  // Its group's interrupts are not isolated.
  expect(() => bound(3)).toThrow("VFIO_DEVICE_BIND_IOMMUFD failed with EPERM");
  const devices = [0, 1, 2, 4].map(bound);
  const { STOP_COPY, P2P, PRE_COPY } = VfioMigrationFlag;
  expect(devices.map((d) => d.migrationFlags())).toEqual([
    STOP_COPY | P2P | PRE_COPY,
    STOP_COPY | P2P,
    STOP_COPY,
    STOP_COPY | P2P,
  ]);
  expect(devices.map((d) => d.hasFeature(VfioFeature.DMA_LOGGING_START, "set"))).toEqual([true, false, false, false]);
  const ioasId = iommufd.ioasAlloc();
  expect(devices.map((d) => d.attach(ioasId) > 0)).toEqual([true, true, true, true]);
});

test("what is foretold of migration is what the device answers", () => {
  const { vfio, bound } = described();
  const { migration, dmaLog } = vfio.devices[4]!;
  const [refusal] = migrationRefusals([{ name: "m0", migration, dmaLog, dirtyBits: false, mediated: true }]);
  const { errno } = bound(4).attemptFeature(VfioFeature.DMA_LOGGING_START, VfioDeviceFeatureFlag.SET);
  expect(errno).toBe(refusal!.refusal.errno);
});
