// Software MSI: where interrupt doorbells go through the IOMMU, each doorbell page gets one IOVA per context, the same in
// every domain, in the window that the group's devices reserve for it.
import { Errno } from "../uapi/index.ts";
import type { BoundDevice, ContextGroup } from "./bound-device.ts";
import type { IommufdContext } from "./context.ts";
import type { HostMemory } from "./host-memory.ts";
import type { PagingHwpt } from "./hw-page-table.ts";
import { NO_PASID } from "./unit.ts";

const PAGE = 4096n;
const MAX_PAGES = 64;
/** Doorbells are no memory: their frames lie past any page that can be pinned, so that DMA to them never hits one. */
const DOORBELL_FRAMES = 2 ** 51;

/** One doorbell page of a context. */
export interface SwMsiPage {
  readonly id: number;
  readonly start: bigint;
  readonly doorbell: bigint;
  readonly pageIndex: number;
}

/** Zero or a negative errno. The page stays in the domain as long as the domain lives, also when nobody is attached to it. */
function mapPage(memory: HostMemory, hwpt: PagingHwpt, page: SwMsiPage): number {
  if (hwpt.swMsiPages.has(page.id)) return 0;
  if (memory.failAt("map")) return -Errno.ENOMEM;
  const frame = DOORBELL_FRAMES + Number(page.doorbell / PAGE);
  const rc = hwpt.domain!.map(page.start + BigInt(page.pageIndex) * PAGE, frame, 0, PAGE, true, true, true);
  if (rc === 0) hwpt.swMsiPages.add(page.id);
  return rc;
}

/** Maps the pages that the group's devices use already into a domain it is about to join. */
export function installSwMsi(context: IommufdContext, group: ContextGroup, hwpt: PagingHwpt): number {
  if (group.swMsiStart === undefined) return 0;
  for (const page of context.swMsi) {
    if (page.start !== group.swMsiStart || !group.requiredSwMsi.has(page.id)) continue;
    const rc = mapPage(context.memory, hwpt, page);
    if (rc < 0) return rc;
  }
  return 0;
}

/** The IOVA that a device must write to reach `doorbell`, mapped now; undefined when it needs none; or a negative errno. */
export function swMsiAddress(bound: BoundDevice, doorbell: bigint): bigint | undefined | number {
  const group = bound.group;
  const attachment = group.attachments.get(NO_PASID);
  const start = group.swMsiStart;
  if (attachment === undefined || start === undefined) return undefined;
  const pages = bound.context.swMsi;
  const base = doorbell & ~(PAGE - 1n);
  let page = pages.find((p) => p.start === start && p.doorbell === base);
  if (page === undefined) {
    if (pages.length >= MAX_PAGES) return -Errno.EOVERFLOW;
    const pageIndex = pages.filter((p) => p.start === start).length;
    page = { id: pages.length, start, doorbell: base, pageIndex };
  }
  const rc = mapPage(bound.context.memory, attachment.hwpt.paging, page);
  if (rc < 0) return rc;
  if (page.id === pages.length) pages.push(page);
  group.requiredSwMsi.add(page.id);
  return start + BigInt(page.pageIndex) * PAGE + (doorbell - base);
}
