// Compression of migration streams by Node's zlib, whose threads do it.
import { promisify } from "node:util";
import { deflateRaw, inflateRawSync } from "node:zlib";
import type { PackingPort } from "../../migration/port.ts";

const deflate = promisify<Uint8Array, { readonly level: number }, Buffer>(deflateRaw);

export const packing: PackingPort = {
  pack: (bytes) => deflate(bytes, { level: 1 }),
  unpack(bytes, mostBytes) {
    try {
      return inflateRawSync(bytes, { maxOutputLength: mostBytes });
    } catch {
      // Whatever is wrong with it, nobody else made it so.
      return undefined;
    }
  },
};
