import { expect, test } from "vitest";
import {
  Errno,
  IommufdError,
  VfioDeviceFlag,
  VfioDeviceState as S,
  type ClientArena,
  type HostSession,
  type VfioDeviceClient,
} from "../../iommufd/index.ts";
import { MovingDevice } from "./moving-device.ts";

/** A host's device that is told which of its calls fail. */
class FailingClient {
  state: number = S.STOP;
  readonly failing = new Set<"set" | "ask" | "reset">();

  #check(call: "set" | "ask" | "reset"): void {
    if (this.failing.has(call)) throw new IommufdError("VFIO_DEVICE_FEATURE", Errno.EIO);
  }

  setDeviceState(state: number): undefined {
    if (this.failing.has("set")) this.state = S.ERROR;
    this.#check("set");
    this.state = state;
  }

  deviceState(): number {
    this.#check("ask");
    return this.state;
  }

  reset(): void {
    this.#check("reset");
    this.state = S.RUNNING;
  }
}

function device(flags: number = VfioDeviceFlag.RESET): { client: FailingClient; moving: MovingDevice; told: string[] } {
  const client = new FailingClient();
  const told: string[] = [];
  const moving = new MovingDevice({
    name: "d",
    client: client as unknown as VfioDeviceClient,
    session: {} as HostSession,
    arena: {} as ClientArena,
    p2p: false,
    preCopy: false,
    flags,
  });
  moving.onFailure = (message) => told.push(message);
  moving.stop(false);
  return { client, moving, told };
}

test("a device that was reset runs, whether or not it can be asked", () => {
  const { client, moving, told } = device();
  client.failing.add("set").add("ask");
  moving.start();
  expect([moving.state, told.length]).toEqual(["running", 1]);
  moving.beginSave();
});

test("a device that has failed is asked again before it is saved, and saves nothing while it says so", () => {
  const { client, moving, told } = device();
  for (const call of ["set", "ask", "reset"] as const) client.failing.add(call);
  moving.start();
  expect(told.at(-1)).toMatch(/cannot be reset either/);
  expect(() => moving.beginSave()).toThrow("Device d: it has failed, and only a reset brings it back");
  client.failing.clear();
  expect(() => moving.beginSave()).toThrow("Device d: it has failed, and only a reset brings it back");
  client.state = S.RUNNING;
  moving.beginSave();
  expect(moving.state).toBe("running");
});

test("a device that cannot be reset is taken for failed while it cannot be asked", () => {
  const { client, moving } = device(0);
  client.failing.add("set").add("ask");
  moving.start();
  expect(moving.state).toBeUndefined();
  expect(() => moving.beginSave()).toThrow("it has failed");
});
