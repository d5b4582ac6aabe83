// What callers hold of the host through its device files; all zero when every descriptor is closed.
import type { Caller, EventFd } from "../iommufd/index.ts";

export class HostCounters {
  boundDevices = 0;
  eventFds = 0;
  mappings = 0;
  dataFiles = 0;

  /** The caller's eventfd, counted until it is released; or a negative errno. */
  holdEventFd(caller: Caller, fd: number): EventFd | number {
    const event = caller.files.eventFd(fd);
    if (typeof event === "number") return event;
    this.eventFds++;
    let held = true;
    return {
      signal: () => event.signal(),
      listen: (onSignalled) => event.listen(onSignalled),
      release: () => {
        if (held) this.eventFds--;
        held = false;
        event.release();
      },
    };
  }
}
