import { describe, expect, test } from "vitest";
import { VirtualClock } from "./virtual-clock.ts";

function clockOver(host: { now: number }): VirtualClock {
  return new VirtualClock({ nowNs: () => host.now });
}

describe("the virtual clock", () => {
  test("begins at zero, whatever the host's clock says", () => {
    expect(clockOver({ now: 5000 }).nowNs()).toBe(0);
  });

  test("stands still until it is started and while it is stopped", () => {
    const host = { now: 1000 };
    const clock = clockOver(host);
    host.now = 2000;
    clock.start();
    host.now = 2300;
    clock.stop();
    host.now = 9000;
    expect(clock.nowNs()).toBe(300);
    clock.start();
    host.now = 9050;
    expect(clock.nowNs()).toBe(350);
  });

  test("starting twice does not move it", () => {
    const host = { now: 0 };
    const clock = clockOver(host);
    clock.start();
    host.now = 100;
    clock.start();
    expect(clock.nowNs()).toBe(100);
  });
});
