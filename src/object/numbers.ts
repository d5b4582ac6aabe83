// Integers and sizes as QEMU reads them from option text.
import { Refusal } from "./refusal.ts";

const SUFFIXES = "BKMGTPE";
const DECIMAL_SIZE = /^([0-9]*)(?:\.([0-9]*))?([bkmgtpe])?$/i;
const INTEGER = /^[+-]?(?:0x[0-9a-f]+|[0-9]+)$/i;

/**
 * An integer in C notation: decimal, `0x` hexadecimal, or octal with a leading 0 (QEMU parses with base 0).
 * Undefined when the text is not one.
 */
export function parseInteger(text: string): bigint | undefined {
  if (!INTEGER.test(text)) return undefined;
  const negative = text.startsWith("-");
  const digits = text.replace(/^[+-]/, "");
  const isOctal = /^0[0-9]+$/.test(digits);
  if (isOctal && /[89]/.test(digits)) return undefined;
  const magnitude = BigInt(isOctal ? `0o${digits.slice(1)}` : digits);
  return negative ? -magnitude : magnitude;
}

/**
 * A size in bytes: `512M`, `1.5G`, `0x80000000`, `4096`. Suffixes B, K, M, G, T, P, E in either case are powers of 1024;
 * a number without one counts in `defaultSuffix`. Fractions need a suffix above B; hexadecimal takes none (QEMU's
 * util/cutils.c).
 */
export function parseSize(text: string, defaultSuffix: "B" | "M" = "B"): bigint | Refusal {
  const bytes = sizeOf(text, defaultSuffix);
  return bytes !== undefined && bytes < 1n << 64n ? bytes : new Refusal("expects a non-negative number below 2^64");
}

function sizeOf(text: string, defaultSuffix: "B" | "M"): bigint | undefined {
  if (/^0x[0-9a-f]+$/i.test(text)) return BigInt(text) << shiftOf(defaultSuffix);
  const match = DECIMAL_SIZE.exec(text);
  if (match === null) return undefined;
  const [, whole = "", fraction, suffix = defaultSuffix] = match;
  if (whole === "" && (fraction ?? "") === "") return undefined;
  const shift = shiftOf(suffix);
  const isFractional = fraction !== undefined && /[1-9]/.test(fraction);
  if (isFractional && shift === 0n) return undefined;
  const bytes = BigInt(whole === "" ? "0" : whole) << shift;
  if (!isFractional) return bytes;
  // Round to the nearest byte, half up, without going through floating point.
  const scale = 10n ** BigInt(fraction.length);
  return bytes + ((BigInt(fraction) << (shift + 1n)) + scale) / (scale << 1n);
}

function shiftOf(suffix: string): bigint {
  return BigInt(10 * SUFFIXES.indexOf(suffix.toUpperCase()));
}

/** The shortest exact spelling: `512M`, `1G`, `1000`. */
export function formatSize(lengthBytes: number | bigint): string {
  let value = BigInt(lengthBytes);
  let power = 0;
  while (value !== 0n && value % 1024n === 0n && power < SUFFIXES.length - 1) {
    value /= 1024n;
    power++;
  }
  return power === 0 ? String(value) : `${value}${SUFFIXES[power]}`;
}
