// The seam between a machine and its software host, where calls can be made to fail: any one of them, or all of a device's
// or of a kind from some moment on. Every machine that is made while it is open goes through it.
import {
  ioctlCommand,
  iommufdIoctls,
  SoftwareHost,
  vfioDeviceIoctls,
  type Caller,
  type Errno,
  type HostAudit,
  type HostSession,
} from "../../../src/iommufd/index.ts";

export interface SeamCall {
  /** Counted from one. */
  readonly n: number;
  /** An ioctl's name, or open, read, write, mmap. */
  readonly name: string;
  readonly host: SoftwareHost;
  /** The path of the file that it is on. */
  readonly path: string;
  /** Reads the caller's memory, from the request on; undefined for a call without one. */
  readonly request?: (lengthBytes: number) => Uint8Array;
  /** Where the request lies in the caller's memory. */
  readonly at?: bigint;
}

const NAMES = new Map(
  [...Object.values(iommufdIoctls), ...Object.values(vfioDeviceIoctls)].map(({ nr, name }) => [ioctlCommand(nr), name]),
);
const MAX_DESCRIPTORS = 1024;

interface Attached {
  readonly host: SoftwareHost;
  readonly caller: Caller;
}

export class FaultSeam {
  /** What a call is answered with instead, or undefined. */
  decide: (call: SeamCall) => Errno | undefined = () => undefined;
  /** Calls so far. */
  count = 0;
  #hosts: Attached[] = [];
  readonly #attach = SoftwareHost.prototype.attach;

  open(): this {
    const { wrap, attach } = { wrap: this.#wrap.bind(this), attach: this.#attach };
    const add = (attached: Attached): void => void this.#hosts.push(attached);
    SoftwareHost.prototype.attach = function (caller) {
      add({ host: this, caller });
      return wrap(attach.call(this, caller), { host: this, caller });
    };
    return this;
  }

  close(): void {
    SoftwareHost.prototype.attach = this.#attach;
  }

  /** What the machines hold, or those of one host: zero of everything when they are closed. */
  audit(of?: SoftwareHost): HostAudit & { readonly descriptors: number } {
    const sum = { pinnedPages: 0, accountsClear: true, openContexts: 0, descriptors: 0 };
    for (const { host, caller } of this.#hosts) {
      if (of !== undefined && host !== of) continue;
      const audit = host.audit();
      sum.pinnedPages += audit.pinnedPages;
      sum.accountsClear &&= audit.accountsClear;
      sum.openContexts += audit.openContexts;
      for (let fd = 0; fd < MAX_DESCRIPTORS; fd++) if (caller.files.backing(fd) !== undefined) sum.descriptors += 1;
    }
    return sum;
  }

  /** Machines of this host are closed. */
  forget(closed: SoftwareHost): void {
    this.#hosts = this.#hosts.filter(({ host }) => host !== closed);
  }

  #wrap(session: HostSession, { host, caller }: Attached): HostSession {
    const paths = new Map<number, string>();
    const asked = (name: string, path: string, at?: bigint): Errno | undefined => {
      const request = (lengthBytes: number): Uint8Array => {
        const bytes = new Uint8Array(lengthBytes);
        caller.memory.read(at!, bytes);
        return bytes;
      };
      const call = { n: this.count + 1, name, host, path, ...(at !== undefined && { at, request }) };
      this.count += 1;
      return this.decide(call);
    };
    const through = (name: string, fd: number, call: () => number, at?: bigint): number => {
      const errno = asked(name, paths.get(fd) ?? "", at);
      return errno === undefined ? call() : -errno;
    };
    return {
      open: (path) => {
        const errno = asked("open", path);
        if (errno !== undefined) return -errno;
        const fd = session.open(path);
        paths.set(fd, path);
        return fd;
      },
      ioctl: (fd, command, va) => through(NAMES.get(command) ?? "?", fd, () => session.ioctl(fd, command, va), va),
      read: (fd, va, bytes, at) => through("read", fd, () => session.read(fd, va, bytes, at)),
      write: (fd, va, bytes, at) => through("write", fd, () => session.write(fd, va, bytes, at)),
      poll: (fd) => session.poll(fd),
      mmap: (fd, request) => {
        const errno = asked("mmap", paths.get(fd) ?? "");
        return errno === undefined ? session.mmap(fd, request) : -errno;
      },
      // Linux closes a file whatever its driver thinks.
      close: (fd) => session.close(fd),
    };
  }
}
