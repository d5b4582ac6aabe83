// The platform-free door: machines for whoever brings the platform's ports. On Node, `ratite/node` brings them.
export { VmError } from "./base/index.ts";
export type { ClockPort, RngPort, Timer, TimerPort, TracePort, WallClockPort, YieldPort } from "./base/index.ts";
export { BlockError, MemoryNode, RawNode, type BlockNode, type FilePort } from "./block/index.ts";
export { makeCharPipe, type CharBackend, type CharFront, type CharPipe } from "./chardev/index.ts";
export {
  createMachine,
  MachineError,
  type DeviceConfig,
  type Machine,
  type MachineConfig,
  type MachineExit,
  type MachineHost,
  type NamedBytes,
  type RunState,
} from "./machine/index.ts";
export { VfioError, type Blocker, type Reason } from "./vfio/index.ts";
