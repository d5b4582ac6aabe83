// A host whose devices have little memory for logs: the first START of two is refused, which is the one that leaves room.
import {
  Errno,
  ioctlCommand,
  VfioDeviceFeature,
  VfioDeviceFeatureFlag,
  vfioDeviceIoctls,
  VfioFeature,
  type HostSession,
} from "../../../src/iommufd/index.ts";

const FEATURE = ioctlCommand(vfioDeviceIoctls.feature.nr);
const START = VfioFeature.DMA_LOGGING_START | VfioDeviceFeatureFlag.SET;

/** `arena` is where requests lie. */
export function withSmallLogs(session: HostSession, arena: Uint8Array): HostSession {
  let refuses = true;
  return {
    ...session,
    ioctl(fd, command, argument) {
      const isStart = command === FEATURE && VfioDeviceFeature.decode(arena, 0).flags === START;
      if (isStart) refuses = !refuses;
      return isStart && !refuses ? -Errno.ENOMEM : session.ioctl(fd, command, argument);
    },
  };
}
