// Pure functions that the semantics call inside generated code.
import type { LibraryFunction } from "../../accel/index.ts";
import type { FunctionBuilder, WasmFeatures } from "../../wasm/index.ts";
import { bitLibrary } from "./bit-library.ts";
import { cryptoLibrary } from "./crypto-library.ts";
import { fmaLibrary } from "./fp/fma.ts";

/** High 64 bits of an unsigned product, from four 32-bit ones. */
function multiplyHigh(f: FunctionBuilder): void {
  const a = f.param(0);
  const b = f.param(1);
  const lowHigh = f.local("i64");
  const middle = f.local("i64");
  const low = (x: typeof a): void => {
    f.get(x);
    f.i64(0xffff_ffffn);
    f.op("i64.and");
  };
  const high = (x: typeof a): void => {
    f.get(x);
    f.i64(32n);
    f.op("i64.shr_u");
  };
  // lowHigh = (al·bl >> 32) + ah·bl
  low(a);
  low(b);
  f.op("i64.mul");
  f.i64(32n);
  f.op("i64.shr_u");
  high(a);
  low(b);
  f.op("i64.mul");
  f.op("i64.add");
  f.set(lowHigh);
  // middle = low half of lowHigh + al·bh
  low(a);
  high(b);
  f.op("i64.mul");
  low(lowHigh);
  f.op("i64.add");
  f.set(middle);
  high(a);
  high(b);
  f.op("i64.mul");
  high(lowHigh);
  f.op("i64.add");
  high(middle);
  f.op("i64.add");
}

/** The library for an engine that can do `features`. */
export function makeLibrary(features: WasmFeatures): readonly LibraryFunction[] {
  return [
    { name: "mulhu", type: { params: ["i64", "i64"], results: ["i64"] }, inline: true, build: multiplyHigh },
    ...bitLibrary,
    ...cryptoLibrary,
    ...fmaLibrary(features),
  ];
}
