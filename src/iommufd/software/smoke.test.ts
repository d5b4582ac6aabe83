import { describe, expect, test } from "vitest";
import { makeLocalCaller } from "../local-caller.ts";
import {
  Errno,
  IommuIoasMap,
  IommuTestCmd,
  ioctlCommand,
  TestMockDomain,
  IommuIoasAlloc,
  IommuDestroy,
} from "../uapi/index.ts";
import { SoftwareHost } from "./host.ts";

describe("a context of the software host", () => {
  test("maps memory through a mock device and gives everything back at the last close", () => {
    const host = new SoftwareHost({ kernelMock: true });
    const bytes = new Uint8Array(1 << 20);
    const caller = makeLocalCaller({ bytes });
    const session = host.attach(caller);
    const fd = session.open("/dev/iommu");
    expect(fd).toBe(3);
    const at = 0x100n;
    IommuIoasAlloc.encode({ size: 12 }, bytes, 0x100);
    expect(session.ioctl(fd, ioctlCommand(0x81), at)).toBe(0);
    const ioas = IommuIoasAlloc.decode(bytes, 0x100).out_ioas_id;
    expect(ioas).toBe(1);
    IommuTestCmd.encode({ size: 72, op: 2, id: ioas }, bytes, 0x100);
    expect(session.ioctl(fd, ioctlCommand(0xa0), at)).toBe(0);
    const mock = TestMockDomain.decode(IommuTestCmd.decode(bytes, 0x100).u);
    expect(mock).toEqual({ out_stdev_id: 2, out_idev_id: 3, out_hwpt_id: 4, dev_flags: 0 });
    IommuIoasMap.encode({ size: 40, flags: 6, ioas_id: ioas, user_va: 0x2000n, length: 0x3000n }, bytes, 0x100);
    expect(session.ioctl(fd, ioctlCommand(0x85), at)).toBe(0);
    expect(IommuIoasMap.decode(bytes, 0x100).iova).toBe(0x100_0000n);
    expect(host.audit().pinnedPages).toBe(3);
    IommuDestroy.encode({ size: 8, id: ioas }, bytes, 0x100);
    expect(session.ioctl(fd, ioctlCommand(0x80), at)).toBe(-Errno.EBUSY);
    session.close(fd);
    expect(host.audit()).toEqual({ pinnedPages: 0, accountsClear: true, openContexts: 0 });
  });
});
