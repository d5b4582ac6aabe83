// Software MSI: where interrupt doorbells go through the IOMMU, each doorbell page gets one IOVA per context, the same in
// every domain, in the window that the group's devices reserve for it.
import { Errno } from "../uapi/index.ts";
import type { BoundDevice, ContextGroup } from "./bound-device.ts";
import type { IommufdContext } from "./context.ts";
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

function mapPage(hwpt: PagingHwpt, page: SwMsiPage): void {
  if (hwpt.swMsiPages.has(page.id)) return;
  const frame = DOORBELL_FRAMES + Number(page.doorbell / PAGE);
  hwpt.domain!.map(page.start + BigInt(page.pageIndex) * PAGE, frame, 0, PAGE, true, true, true);
  hwpt.swMsiPages.add(page.id);
}

/** Maps the pages that the group's devices use already into a domain it is about to join. */
export function installSwMsi(context: IommufdContext, group: ContextGroup, hwpt: PagingHwpt): number {
  if (group.swMsiStart === undefined) return 0;
  for (const page of context.swMsi) {
    if (page.start === group.swMsiStart && group.requiredSwMsi.has(page.id)) mapPage(hwpt, page);
  }
  return 0;
}

/** The IOVA that a device must write to reach `doorbell`, mapped now; undefined when it needs none; or -EOVERFLOW. */
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
    pages.push(page);
  }
  mapPage(attachment.hwpt.paging, page);
  group.requiredSwMsi.add(page.id);
  return start + BigInt(page.pageIndex) * PAGE + (doorbell - base);
}
