// hot: bench/boot.ts
// Where a region that was just formed can be entered, and which stretches of code it must follow.
import type { ControlFlow } from "./control-flow.ts";
import type { RegionFormer } from "./region-former.ts";
import type { RegionEntry, RegionPage } from "./region-records.ts";

export function entriesOf(former: RegionFormer, flow: ControlFlow): RegionEntry[] {
  return Array.from({ length: former.entryCount }, (_, i) => {
    const block = former.entryBlocks[i]!;
    const first = former.first[block]!;
    return {
      at: former.entry[first]!,
      label: flow.label[block]!,
      offset: former.offset[first]!,
      need: flow.need[block]!,
    };
  });
}

/** The pages that a region is made of, and which steps of 64 bytes of them. */
export function pagesOf(former: RegionFormer): RegionPage[] {
  const pages: RegionPage[] = [];
  for (let page = 0; page < former.pageCount; page++) {
    pages.push({ entries: former.pageEntries[page]!, low: 0, high: 0 });
  }
  for (let i = 0; i < former.count; i++) {
    const page = pages[former.page[i]!]!;
    const first = (former.offset[i]! & 0xfff) >>> 6;
    // What lies over the end of the page is in the first step of another.
    const last = Math.min(63, ((former.offset[i]! & 0xfff) + former.templates[i]!.lengthBytes - 1) >>> 6);
    for (let granule = first; granule <= last; granule++) {
      if (granule < 32) page.low |= 1 << granule;
      else page.high |= 1 << (granule & 31);
    }
    const otherPage = former.otherPage[i]!;
    if (otherPage >= 0) pages[otherPage]!.low |= 1;
  }
  return pages;
}
