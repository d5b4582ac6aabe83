// From a configuration to a machine.
import { SeededRng, TimerQueue } from "../base/index.ts";
import { PatientChar } from "../chardev/index.ts";
import type { GuestRequest } from "./guest-request.ts";
import { HartThrottle } from "./hart-throttle.ts";
import { HostWork } from "./host-work.ts";
import { InstructionClock } from "./instruction-clock.ts";
import { AUTO_SHIFT, InstructionPace } from "./instruction-pace.ts";
import { VirtualMachine } from "./machine.ts";
import { HostPace, type GuestClock, type Pace } from "./pace.ts";
import type { HartPlanner, IcountConfig, MachineConfig, MachineHost } from "./port.ts";
import { Scheduler } from "./scheduler.ts";
import { makeVirtBoard } from "./virt/board.ts";
import { VirtualClock } from "./virtual-clock.ts";

/**
 * Makes a machine that stands in `prelaunch`, its images loaded; `start` lets it go, also with `startPaused`, which is
 * for front ends. Throws a VmError that names what in `config` cannot be had, with nothing left open.
 */
export function buildMachine(config: MachineConfig, host: MachineHost, planHarts: HartPlanner): VirtualMachine {
  const { clock, timers, pace, work } = guestTime(config.icount, host);
  // The board's devices speak to a machine that is made after them.
  const machineOf: { request: (request: GuestRequest) => void; scheduler?: Scheduler } = { request: () => undefined };
  const board = makeVirtBoard({
    config,
    host: guestHost(config, host, work),
    planHarts,
    timers,
    ...(work === undefined ? {} : { work }),
    request: (request) => machineOf.request(request),
    wake: () => machineOf.scheduler?.wake(),
    giveWayTo: (hart) => machineOf.scheduler?.giveWayTo(hart),
  });
  const throttle = new HartThrottle(config.smp);
  const machine = new VirtualMachine({
    board,
    throttle,
    clock,
    timers,
    ...(work === undefined ? {} : { work }),
    yield: host.yield,
    noReboot: config.noReboot,
    noShutdown: config.noShutdown,
    incoming: config.incoming ?? false,
    notice: (message) => host.notice?.(message),
    untouchedPages: host.untouchedPages,
    blockNodes: [...host.blockNodes.values()],
    scheduler: (hooks) => {
      const scheduler = new Scheduler({
        vcpus: board.harts,
        timers,
        clock: host.clock,
        yield: host.yield,
        pace,
        throttle,
        ...(work === undefined ? {} : { work }),
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

interface GuestTime {
  readonly clock: GuestClock;
  readonly timers: TimerQueue;
  readonly pace: Pace;
  /** Where guest time follows from instructions, the host's answers have their set time too. */
  readonly work?: HostWork;
}

function guestTime(icount: IcountConfig | undefined, host: MachineHost): GuestTime {
  const hostElapsed = new VirtualClock(host.clock);
  if (icount === undefined) {
    const timers = new TimerQueue(hostElapsed);
    return { clock: hostElapsed, timers, pace: new HostPace(timers) };
  }
  const clock = new InstructionClock(icount.shift === "auto" ? AUTO_SHIFT : icount.shift, hostElapsed);
  const timers = new TimerQueue(clock);
  return { clock, timers, pace: new InstructionPace({ config: icount, clock, timers }), work: new HostWork(timers) };
}

/** What the host lends, as far as a guest may tell the difference between two runs by it. */
function guestHost(config: MachineConfig, host: MachineHost, work: HostWork | undefined): MachineHost {
  const rng = config.seed === undefined ? host.rng : new SeededRng(config.seed);
  if (work === undefined) return { ...host, rng };
  const patient = [...host.chardevs].map(
    ([id, back]) => [id, new PatientChar(back, (taken) => work.waitFor(taken))] as const,
  );
  return { ...host, rng, chardevs: new Map(patient) };
}
