// What holds in a context whatever was called: page tables say what the areas say, and uses are those that there are.
import type { BoundDevice, IommufdContext } from "../../../src/iommufd/index.ts";
import { Access } from "../../../src/iommufd/software/access.ts";
import { NestedHwpt, PagingHwpt } from "../../../src/iommufd/software/hw-page-table.ts";
import { Ioas } from "../../../src/iommufd/software/ioas.ts";
import { Viommu } from "../../../src/iommufd/software/viommu.ts";

const PAGE = 4096n;

/** Throws an Error that says what does not hold. */
export function checkInvariants(context: IommufdContext): void {
  const uses = new Map<object, number>();
  const use = (object: object | undefined): void => {
    if (object !== undefined) uses.set(object, (uses.get(object) ?? 1) + 1);
  };
  for (const object of context.objects.all()) {
    if (object instanceof PagingHwpt) {
      checkTable(object);
      use(object.ioas);
    } else if (object instanceof NestedHwpt) {
      use(object.viommu ?? object.parent);
    } else if (object instanceof Viommu) {
      use(object.parent);
    } else if (object instanceof Access) {
      use(object);
      use(object.ioas);
    } else if (object.type === "device") {
      use(object);
      for (const { hwpt, devices } of (object as BoundDevice).group.attachments.values()) {
        if (!devices.has(object as BoundDevice)) continue;
        use(object);
        use(hwpt);
      }
    }
  }
  for (const object of context.objects.all()) {
    if (!["ioas", "hwpt-paging", "hwpt-nested", "device", "access"].includes(object.type)) continue;
    const want = uses.get(object) ?? 1;
    if (object.users !== want) throw new Error(`${object.type} ${object.id} counts ${object.users} uses of ${want}`);
    if (object instanceof Ioas) checkSpace(object);
  }
}

function checkSpace({ id, space }: Ioas): void {
  let last = -1n;
  for (const area of space.eachArea()) {
    if (area.iova <= last) throw new Error(`areas of IOAS ${id} overlap at ${area.iova}`);
    last = area.last;
    if (area.filled !== space.domains.length > 0)
      throw new Error(`an area of IOAS ${id} is filled without page tables`);
    if (space.reserved.first(area.iova, area.last) !== undefined) throw new Error(`IOAS ${id} maps what is reserved`);
  }
}

/** Every byte of every area is in the table, and nothing else. */
function checkTable(hwpt: PagingHwpt): void {
  const domain = hwpt.domain!;
  const granule = 1n << BigInt(domain.table.granuleShift);
  let want = BigInt(hwpt.swMsiPages.size) * (PAGE / granule);
  for (const area of hwpt.ioas.space.eachArea()) {
    if (area.pages.revoked) continue;
    want += area.lengthBytes / granule;
    for (const iova of [area.iova, area.last & ~(granule - 1n)]) {
      const byte = area.startByte + (iova - area.iova);
      const got = domain.lookup(iova);
      if (got?.frame !== area.pages.frame(Number(byte / PAGE)) || BigInt(got.offset) !== byte % PAGE) {
        throw new Error(`page table ${hwpt.id} has another page at ${iova} than its area`);
      }
    }
  }
  let got = 0n;
  domain.table.eachLeaf((_at, _granule, count) => (got += BigInt(count)));
  if (got !== want) throw new Error(`page table ${hwpt.id} maps ${got} granules, its areas ${want}`);
}
