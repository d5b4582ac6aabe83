// `npm run bench:iommufd`: DMA through 4 KiB and 2 MiB mappings as a share of plain copies.
// Bar: at least 0.8 for 2 MiB transfers through large pages.
import {
  attachDevice,
  bindDevice,
  DescribedDevice,
  DescribedUnit,
  DeviceDma,
  type IommufdContext,
  IommufdClient,
  makeGroup,
  makeLocalCaller,
  NO_PASID,
  SoftwareHost,
  unitProfiles,
} from "../src/iommufd/index.ts";
import { median } from "./support/figures.ts";

const MIB = 1 << 20;
const TARGET = 32 * MIB;
const host = new SoftwareHost();
const bytes = new Uint8Array(128 * MIB);
const caller = makeLocalCaller({ bytes });
const arena = { va: BigInt(127 * MIB), bytes: bytes.subarray(127 * MIB) };
const client = IommufdClient.open(host.attach(caller), arena);
const unit = new DescribedUnit("u0", unitProfiles["vtd-ssads"]!);
const from = new Uint8Array(2 * MIB).fill(1);

function through(largePages: boolean): DeviceDma {
  const device = new DescribedDevice({ name: "d", unit, group: makeGroup(largePages ? 1 : 2) });
  const context = caller.files.lookup(client.fd) as IommufdContext;
  const bound = bindDevice(context, device, { holdsContext: false, allowUnsafeInterrupts: false });
  if (typeof bound === "number") throw new Error(`bind: ${bound}`);
  const ioasId = client.ioasAlloc();
  client.setLargePages(ioasId, largePages);
  attachDevice(bound, NO_PASID, ioasId);
  client.map(BigInt(TARGET), { ioasId, lengthBytes: BigInt(64 * MIB), iova: BigInt(TARGET) });
  return new DeviceDma(host.memory, device);
}

/** Bytes per nanosecond of processor time: other programs on the machine do not count. */
function speed(length: number, copy: (offset: number, part: Uint8Array) => void): number {
  const part = from.subarray(0, length);
  const calls = Math.ceil((64 * MIB) / length);
  const before = process.cpuUsage();
  for (let i = 0; i < calls; i++) copy((i * length) % (62 * MIB), part);
  const { user, system } = process.cpuUsage(before);
  return (calls * length) / ((user + system) * 1000);
}

const small = through(false);
const large = through(true);
const ROUNDS = 15;
process.stdout.write(
  "transfer   plain copy    4 KiB pages    2 MiB pages (medians; the shares are of the plain copy beside them)\n",
);
for (const length of [4096, 65_536, 2 * MIB]) {
  const rounds = Array.from({ length: ROUNDS + 3 }, () => {
    const plain = speed(length, (offset, part) => bytes.set(part, TARGET + offset));
    const bySmall = speed(length, (offset, part) => small.write(BigInt(TARGET + offset), part));
    const byLarge = speed(length, (offset, part) => large.write(BigInt(TARGET + offset), part));
    return { plain, bySmall, byLarge };
  }).slice(3);
  const share = (of: "bySmall" | "byLarge"): string =>
    `${median(rounds.map((r) => r[of])).toFixed(2)} (${median(rounds.map((r) => r[of] / r.plain)).toFixed(2)})`;
  const plain = `${median(rounds.map((r) => r.plain)).toFixed(2)} GB/s`;
  process.stdout.write(
    `${`${length / 1024} KiB`.padStart(8)}   ${plain.padStart(10)}${share("bySmall").padStart(15)}${share("byLarge").padStart(15)}\n`,
  );
}
