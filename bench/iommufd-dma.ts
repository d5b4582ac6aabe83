// `npx tsx bench/iommufd-dma.ts`: DMA through 4 KiB and 2 MiB mappings as a share of plain copies.
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

/** Bytes per nanosecond. */
function speed(length: number, copy: (offset: number, part: Uint8Array) => void): number {
  const part = from.subarray(0, length);
  const calls = Math.ceil((256 * MIB) / length);
  for (let i = 0; i < calls / 4; i++) copy((i * length) % (62 * MIB), part);
  const start = performance.now();
  for (let i = 0; i < calls; i++) copy((i * length) % (62 * MIB), part);
  return (calls * length) / ((performance.now() - start) * 1e6);
}

const small = through(false);
const large = through(true);
process.stdout.write("transfer   plain copy   4 KiB pages   2 MiB pages\n");
for (const length of [4096, 65_536, 2 * MIB]) {
  // Interleaved, best of three: machines are noisy.
  let plain = 0;
  let bySmall = 0;
  let byLarge = 0;
  for (let round = 0; round < 3; round++) {
    plain = Math.max(
      plain,
      speed(length, (offset, part) => bytes.set(part, TARGET + offset)),
    );
    bySmall = Math.max(
      bySmall,
      speed(length, (offset, part) => small.write(BigInt(TARGET + offset), part)),
    );
    byLarge = Math.max(
      byLarge,
      speed(length, (offset, part) => large.write(BigInt(TARGET + offset), part)),
    );
  }
  const share = (x: number): string => `${x.toFixed(2)} (${(x / plain).toFixed(2)})`.padStart(11);
  process.stdout.write(
    `${`${length / 1024} KiB`.padStart(8)}   ${plain.toFixed(2).padStart(7)} GB/s${share(bySmall).padStart(14)}${share(byLarge).padStart(14)}\n`,
  );
}
