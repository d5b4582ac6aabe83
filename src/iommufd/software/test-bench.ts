// What the tests of this room share: a host with mock devices, a caller, a client.
import { IommufdClient } from "../client/index.ts";
import { makeLocalCaller, type LocalCaller, type LocalCallerOptions } from "../local-caller.ts";
import type { HostSession } from "../port.ts";
import { ioctlCommand, iommuTestIoctl, IommuTestCmd, TestMockDomain, TestOp, type AnyLayout } from "../uapi/index.ts";
import { bindDevice, type BoundDevice } from "./bound-device.ts";
import type { IommufdContext } from "./context.ts";
import { DescribedDevice, DescribedUnit } from "./described-unit.ts";
import { DeviceDma, type DmaFault } from "./device-dma.ts";
import { makeGroup, type DeviceGroup, type ReservedRegion } from "./unit.ts";
import type { UnitDescription } from "./unit-description.ts";
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
  /** The open context, for drivers that bind devices to it. */
  readonly context: IommufdContext;
  /** A device of a unit with this description, bound; `group` puts it with others. */
  bind(
    description: UnitDescription,
    group?: DeviceGroup,
    reserved?: readonly ReservedRegion[],
  ): { readonly bound: BoundDevice; readonly dma: DeviceDma; readonly faults: DmaFault[] };
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
  const context = local.files.lookup(client.fd) as IommufdContext;
  const units = new Map<UnitDescription, DescribedUnit>();
  let devices = 0;
  const bench: TestBench = {
    host,
    caller: local,
    session,
    client,
    bytes,
    context,
    bind(description, group, reserved = []) {
      let unit = units.get(description);
      if (unit === undefined) units.set(description, (unit = new DescribedUnit(`u${units.size}`, description)));
      const number = devices++;
      const device = new DescribedDevice({
        name: `d${number}`,
        unit,
        group: group ?? makeGroup(100 + number),
        reserved,
      });
      const bound = bindDevice(context, device, { holdsContext: false, allowUnsafeInterrupts: false });
      if (typeof bound === "number") throw new Error(`not bound: ${bound}`);
      const faults: DmaFault[] = [];
      return { bound, dma: new DeviceDma(host.memory, device, (fault) => faults.push(fault)), faults };
    },
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
