// Numbers in a program that stand for something that exists when the step is made, so that no step has to guess ids, IOVAs
// and descriptors. A program stays plain bytes: what names nothing is left as it is.
import type { IommufdContext, LocalFiles } from "../../../src/iommufd/index.ts";

const OBJECT_MARK = 0xf1f0;
const AREA_MARK = 0xf1f1;
const LENGTH_MARK = 0xf1f2;
/** The index that means the newest. */
export const NEWEST = 0xff;

const OBJECT_TYPES = [
  "device",
  "hwpt-paging",
  "hwpt-nested",
  "ioas",
  "access",
  "fault",
  "viommu",
  "vdevice",
  "veventq",
  "hw-queue",
  "selftest",
  "descriptor",
] as const;
export type Named = (typeof OBJECT_TYPES)[number];

/** A 32-bit field that becomes the id of the `index`-th object of a type, or an open descriptor. */
export function reference(type: Named, index: number): number {
  return ((OBJECT_MARK << 16) | (OBJECT_TYPES.indexOf(type) << 8) | index) >>> 0;
}

/** A 64-bit field that becomes an address `offset` bytes into the `index`-th area of the context. */
export function insideArea(index: number, offset: number): bigint {
  return (BigInt(((AREA_MARK << 16) | index) >>> 0) << 32n) | BigInt(offset);
}

/** A 64-bit field that becomes the length of the `index`-th area. */
export function lengthOfArea(index: number): bigint {
  return BigInt(((LENGTH_MARK << 16) | index) >>> 0) << 32n;
}

/** Puts in place what the references of a request stand for; `bytes` begin where its structure does. */
export function resolve(bytes: Uint8Array, context: IommufdContext, files: LocalFiles): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    const word = view.getUint32(at, true);
    const mark = word >>> 16;
    if (mark === OBJECT_MARK) view.setUint32(at, objectOf(word, context, files), true);
    else if ((mark === AREA_MARK || mark === LENGTH_MARK) && at % 8 === 4) {
      const area = pick(areasOf(context), word & 0xff);
      if (area === undefined) continue;
      const offset = BigInt(view.getUint32(at - 4, true));
      view.setBigUint64(
        at - 4,
        mark === LENGTH_MARK ? area.last - area.iova + 1n : BigInt.asUintN(64, area.iova + offset),
        true,
      );
    }
  }
}

function objectOf(word: number, context: IommufdContext, files: LocalFiles): number {
  const type = OBJECT_TYPES[(word >>> 8) & 0xff];
  const index = word & 0xff;
  if (type === "descriptor") return pick(openDescriptors(files), index) ?? index;
  return (
    pick(
      [...context.objects.all()].filter((o) => o.type === type),
      index,
    )?.id ?? index
  );
}

/** Those past the first, which is the context's own. */
function openDescriptors(files: LocalFiles): number[] {
  const open: number[] = [];
  for (let fd = 4; fd < 24; fd++) if (files.backing(fd) !== undefined) open.push(fd);
  return open;
}

function areasOf(context: IommufdContext): { readonly iova: bigint; readonly last: bigint }[] {
  const areas: { readonly iova: bigint; readonly last: bigint }[] = [];
  for (const object of context.objects.all()) {
    if (object.type === "ioas")
      areas.push(...(object as NonNullable<ReturnType<typeof context.ioas>>).space.eachArea());
  }
  return areas;
}

function pick<T>(list: readonly T[], index: number): T | undefined {
  return list.length === 0 ? undefined : list[index === NEWEST ? list.length - 1 : index % list.length];
}
