// Faults put into trackers on purpose, for the oracle to notice: each makes one kind of source lose what it should tell.
import { ioctlCommand, iommufdIoctls, vfioDeviceIoctls, type HostSession } from "../../../src/iommufd/index.ts";
import type { Collector, DirtyNotes } from "../../../src/memory/index.ts";

export const SABOTAGES = ["dirty bits", "device log", "untracked reach"] as const;
export type Sabotage = (typeof SABOTAGES)[number];

/** A session whose host forgets bits of its answers. Bitmaps lie behind the request in the arena. */
export function sabotaged(session: HostSession, arena: Uint8Array, how: Sabotage | undefined): HostSession {
  const lost =
    how === "dirty bits"
      ? ioctlCommand(iommufdIoctls.hwptGetDirtyBitmap.nr)
      : how === "device log"
        ? ioctlCommand(vfioDeviceIoctls.feature.nr)
        : undefined;
  return {
    ...session,
    ioctl(fd, command, argument) {
      const isReport = how !== "device log" || isLogReport(arena);
      const result = session.ioctl(fd, command, argument);
      if (command === lost && isReport && result >= 0) arena.fill(0, 256);
      return result;
    },
  };
}

const GET_DMA_LOGGING_REPORT = 8 | (1 << 16);

function isLogReport(arena: Uint8Array): boolean {
  const flags = new DataView(arena.buffer, arena.byteOffset).getUint32(4, true);
  return flags === GET_DMA_LOGGING_REPORT;
}

/** Sources that report everything report nothing. */
export function sabotageNotes(notes: DirtyNotes, how: Sabotage | undefined): void {
  if (how !== "untracked reach") return;
  const add = notes.addCollector.bind(notes);
  notes.addCollector = (name: string, collector: Collector) =>
    add(name, name.endsWith("untracked") ? { ...collector, read: () => undefined } : collector);
}
