// table: what the hart is (privileged spec §3.1.1 to §3.1.5).
import { constant, type Csr, type CsrContext } from "./definition.ts";

function misa(h: CsrContext): bigint {
  let value = 2n << 62n;
  for (const letter of ["a", "b", "c", "d", "f", "i", "m", "s", "u"]) {
    if (h.has(letter)) value |= 1n << BigInt(letter.charCodeAt(0) - 97);
  }
  return value;
}

export const identityCsrs: readonly Csr[] = [
  constant(0xf11, "mvendorid", 0n),
  constant(0xf12, "marchid", 0n),
  constant(0xf13, "mimpid", 0n),
  constant(0xf14, "mhartid", (h) => BigInt(h.core.hartId)),
  constant(0xf15, "mconfigptr", 0n),
  constant(0x301, "misa", misa, true),
];
