// From a configuration to a machine.
import { TimerQueue } from "../base/index.ts";
import type { GuestRequest } from "./guest-request.ts";
import { VirtualMachine } from "./machine.ts";
import type { HartPlanner, MachineConfig, MachineHost } from "./port.ts";
import { Scheduler } from "./scheduler.ts";
import { makeVirtBoard } from "./virt/board.ts";
import { VirtualClock } from "./virtual-clock.ts";

/**
 * Makes a machine that stands in `prelaunch`, its images loaded; `start` lets it go, also with `startPaused`, which is
 * for front ends. Throws a VmError that names what in `config` cannot be had, with nothing left open.
 */
export function buildMachine(config: MachineConfig, host: MachineHost, planHarts: HartPlanner): VirtualMachine {
  const clock = new VirtualClock(host.clock);
  const timers = new TimerQueue(clock);
  // The board's devices speak to a machine that is made after them.
  const machineOf: { request: (request: GuestRequest) => void; scheduler?: Scheduler } = { request: () => undefined };
  const board = makeVirtBoard({
    config,
    host,
    planHarts,
    timers,
    request: (request) => machineOf.request(request),
    wake: () => machineOf.scheduler?.wake(),
    giveWayTo: (hart) => machineOf.scheduler?.giveWayTo(hart),
  });
  const machine = new VirtualMachine({
    board,
    clock,
    timers,
    yield: host.yield,
    noReboot: config.noReboot,
    noShutdown: config.noShutdown,
    scheduler: (hooks) => {
      const scheduler = new Scheduler({
        vcpus: board.harts,
        timers,
        clock: host.clock,
        yield: host.yield,
        switchedTo: (index) => board.harts[index]!.dropReservation(),
        ...hooks,
      });
      machineOf.scheduler = scheduler;
      return scheduler;
    },
  });
  machineOf.request = (request) => machine.request(request);
  return machine;
}
