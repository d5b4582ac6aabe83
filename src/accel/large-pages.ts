// hot: bench/boot.ts
// Which virtual addresses were translated by pages larger than 4 KiB since the TLB was emptied: flushing one page there
// drops what the whole large page filled. Ranges that touch are one; the few that are kept grow where there is no room for
// another, so that the answer may be yes too often, never no.

const mostRanges = 8;

export class LargePages {
  /** In 4 KiB pages, ends exclusive. */
  private readonly firsts: Float64Array = new Float64Array(mostRanges);
  private readonly ends: Float64Array = new Float64Array(mostRanges);
  private count = 0;

  clear(): void {
    this.count = 0;
  }

  covers(low: number, high: number): boolean {
    const page = pageNumber(low, high);
    for (let i = 0; i < this.count; i++) {
      if (page >= this.firsts[i]! && page < this.ends[i]!) return true;
    }
    return false;
  }

  /** The virtual address was part of a translation of `lengthBytes`, a multiple of 4 KiB to which pages of it are aligned. */
  note(low: number, high: number, lengthBytes: number): void {
    const page = pageNumber(low, high);
    const pages = lengthBytes / 4096;
    const first = page - (page % pages);
    const end = first + pages;
    let nearest = 0;
    let nearestGap = Infinity;
    for (let i = 0; i < this.count; i++) {
      const gap = Math.max(this.firsts[i]! - end, first - this.ends[i]!);
      if (gap < nearestGap) {
        nearest = i;
        nearestGap = gap;
      }
    }
    if (nearestGap > 0 && this.count < mostRanges) {
      nearest = this.count++;
      this.firsts[nearest] = first;
      this.ends[nearest] = end;
      return;
    }
    this.firsts[nearest] = Math.min(this.firsts[nearest]!, first);
    this.ends[nearest] = Math.max(this.ends[nearest]!, end);
  }
}

function pageNumber(low: number, high: number): number {
  return (high >>> 0) * 0x10_0000 + (low >>> 12);
}
