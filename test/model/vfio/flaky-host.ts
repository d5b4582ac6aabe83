// A host that refuses a call now and then.
import { Errno, type HostSession } from "../../../src/iommufd/index.ts";
import type { Random } from "./random.ts";

const ERRNOS = [Errno.EIO, Errno.ENOMEM, Errno.EINVAL, Errno.ENODEV, Errno.EAGAIN];

/** One call in `among` is refused, while `isFlaky` says so. Files can always be closed. */
export function withRefusals(session: HostSession, random: Random, among: number, isFlaky: () => boolean): HostSession {
  const through = (call: () => number): number =>
    isFlaky() && random.chance(1, among) ? -random.pick(ERRNOS) : call();
  return {
    ...session,
    open: (path) => through(() => session.open(path)),
    ioctl: (fd, command, va) => through(() => session.ioctl(fd, command, va)),
    read: (fd, va, bytes, at) => through(() => session.read(fd, va, bytes, at)),
    write: (fd, va, bytes, at) => through(() => session.write(fd, va, bytes, at)),
  };
}
