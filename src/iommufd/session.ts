// A session over a caller's own descriptor table.
import type { Caller, HostPort, HostSession } from "./port.ts";
import { Errno } from "./uapi/index.ts";

export function makeSession(host: HostPort, caller: Caller): HostSession {
  const { files } = caller;
  return {
    open(path) {
      const file = host.openFile(caller, path);
      if (typeof file === "number") return file;
      const fd = files.install(file);
      if (fd < 0) file.release();
      return fd;
    },
    ioctl: (fd, command, argument) => files.lookup(fd)?.ioctl(caller, command, argument) ?? -Errno.EBADF,
    read: (fd, va, lengthBytes, offset) => files.lookup(fd)?.read(caller, va, lengthBytes, offset) ?? -Errno.EBADF,
    write: (fd, va, lengthBytes, offset) => files.lookup(fd)?.write(caller, va, lengthBytes, offset) ?? -Errno.EBADF,
    poll: (fd) => files.lookup(fd)?.poll() ?? -Errno.EBADF,
    mmap: (fd, request) => files.lookup(fd)?.mmap(caller, request) ?? -Errno.EBADF,
    close: (fd) => files.close(fd),
  };
}
