// What the tests of this room share: a host with mock devices, a caller, a client.
import { IommufdClient } from "../client/index.ts";
import { makeLocalCaller, type LocalCaller, type LocalCallerOptions } from "../local-caller.ts";
import type { HostSession } from "../port.ts";
import { ioctlCommand, iommuTestIoctl, IommuTestCmd, TestMockDomain, TestOp, type AnyLayout } from "../uapi/index.ts";
import { SoftwareHost, type SoftwareHostOptions } from "./host.ts";

export interface MockIds {
  readonly mockId: number;
  readonly deviceId: number;
  readonly hwptId: number;
}

export interface TestBench {
  readonly host: SoftwareHost;
  readonly caller: LocalCaller;
  readonly session: HostSession;
  readonly client: IommufdClient;
  /** The caller's memory: requests lie in the last 64 KiB. */
  readonly bytes: Uint8Array;
  /** An operation of the test interface; its result, and the union as it came back. */
  test(
    op: number,
    id: number,
    layout?: AnyLayout,
    values?: object,
  ): { readonly result: number; readonly union: Uint8Array };
  /** A mock device, attached to an IOAS or page table; throws when refused. */
  mockDevice(ptId: number, flags?: number): MockIds;
}

export const MEMORY_BYTES = 0x40_0000;
const ARENA_AT: number = MEMORY_BYTES - 0x1_0000;
const TEST_AT: number = ARENA_AT - 0x100;

export function testBench(
  options: SoftwareHostOptions = {},
  caller: Omit<LocalCallerOptions, "bytes"> = {},
): TestBench {
  const host = new SoftwareHost({ kernelMock: true, ...options });
  const bytes = new Uint8Array(MEMORY_BYTES);
  const local = makeLocalCaller({ bytes, ...caller });
  const session = host.attach(local);
  const client = IommufdClient.open(session, { va: BigInt(ARENA_AT), bytes: bytes.subarray(ARENA_AT) });
  const bench: TestBench = {
    host,
    caller: local,
    session,
    client,
    bytes,
    test(op, id, layout, values = {}) {
      IommuTestCmd.encode({ size: 72, op, id, u: new Uint8Array(48) }, bytes, TEST_AT);
      layout?.encode(values, bytes, TEST_AT + IommuTestCmd.offsets.u);
      const result = session.ioctl(client.fd, ioctlCommand(iommuTestIoctl.nr), BigInt(TEST_AT));
      return { result, union: IommuTestCmd.decode(bytes, TEST_AT).u };
    },
    mockDevice(ptId, flags = 0) {
      const { result, union } = bench.test(TestOp.MOCK_DOMAIN_FLAGS, ptId, TestMockDomain, { dev_flags: flags });
      if (result < 0) throw new Error(`no mock device: ${result}`);
      const ids = TestMockDomain.decode(union);
      return { mockId: ids.out_stdev_id, deviceId: ids.out_idev_id, hwptId: ids.out_hwpt_id };
    },
  };
  return bench;
}
