// The time and randomness side of a MachineHost; character devices and disks are opened by who configures the machine.
import type { ClockPort, RngPort, TracePort, WallClockPort } from "../../base/index.ts";
import type { LookForUntouched } from "../../migration/port.ts";
import { localTimeOffsetNs, nodeClock, nodeWallClock } from "./clock.ts";
import { makeEngineThreadsYield } from "./engine-threads.ts";
import { tuneEngine } from "./engine.ts";
import { NodeEventLoop } from "./event-loop.ts";
import { nodeRng } from "./rng.ts";
import { silentTrace } from "./trace.ts";
import { untouchedPages } from "./untouched-pages.ts";

export interface NodeHost {
  readonly clock: ClockPort;
  readonly wallClock: WallClockPort;
  readonly localTimeOffsetNs: bigint;
  readonly timers: NodeEventLoop;
  readonly yield: NodeEventLoop;
  readonly rng: RngPort;
  readonly trace: TracePort;
  readonly untouchedPages: (memory: Uint8Array) => LookForUntouched | undefined;
  close(): void;
}

/**
 * One per machine: `timers` and `yield` share an event loop that belongs to it. Sets V8 flags for the whole process
 * (`tuneEngine`), so it comes before the first compilation of generated code.
 */
export function createNodeHost(options: { trace?: TracePort } = {}): NodeHost {
  tuneEngine();
  makeEngineThreadsYield();
  const loop = new NodeEventLoop(nodeClock);
  return {
    clock: nodeClock,
    wallClock: nodeWallClock,
    localTimeOffsetNs: localTimeOffsetNs(),
    timers: loop,
    yield: loop,
    rng: nodeRng,
    trace: options.trace ?? silentTrace,
    untouchedPages,
    close: () => loop.close(),
  };
}
