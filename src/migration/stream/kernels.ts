// Generated code for what touches every byte of a stream: checksums, and the search for pages of zeroes.
import { PAGE_BYTES } from "../../memory/index.ts";
import { ModuleBuilder, type FunctionBuilder, type FunctionIndex, type Label, type Local } from "../../wasm/index.ts";

export interface Kernels {
  /** XXH64 (seed 0) of the bytes, stored as 8 bytes at `into`. */
  readonly hash: (at: number, lengthBytes: number, into: number) => void;
  /** XXH64 (seed 0) of 32 bytes, as 64-bit integers, and of those at `at` behind them; signed. */
  readonly hashBehind: (a: bigint, b: bigint, c: bigint, d: bigint, at: number, lengthBytes: number) => bigint;
  /** Where the first byte that is not zero may be, from `at` on: its piece of 64 bytes, of which there is a whole number; `end` when there is none. */
  readonly skipZeroes: (at: number, end: number) => number;
  /** Where the first page is, from `at` on, that is zero, or with `isZero` 1 that is not; `end` when there is none. */
  readonly skipPages: (at: number, end: number, isZero: number) => number;
}

/** The primes of XXH64 (xxHash fast digest algorithm, version 0.1.1). */
const PRIMES = [
  0x9e37_79b1_85eb_ca87n,
  0xc2b2_ae3d_27d4_eb4fn,
  0x1656_67b1_9e37_79f9n,
  0x85eb_ca77_c2b2_ae63n,
  0x27d4_eb2f_1656_67c5n,
] as const;
const [P1, P2, P3, P4, P5] = PRIMES.map((prime) => BigInt.asIntN(64, prime)) as [
  bigint,
  bigint,
  bigint,
  bigint,
  bigint,
];
const STRIPE_BYTES = 32;
const ZERO_PIECE_BYTES = 64;

/** All that 32 bits address: memories have less. */
const MOST_PAGES = 65536;

const compiled: { shared?: WebAssembly.Module; own?: WebAssembly.Module } = {};

/** Over a memory that is declared with a maximum. */
export function kernelsOver(memory: WebAssembly.Memory): Kernels {
  const kind = memory.buffer instanceof ArrayBuffer ? "own" : "shared";
  const module = (compiled[kind] ??= new WebAssembly.Module(kernelModule(kind === "shared")));
  return new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
}

function kernelModule(shared: boolean): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  module.importMemory({ module: "env", name: "memory", minimumPages: 1, maximumPages: MOST_PAGES, shared });
  hash(module.define({ params: ["i32", "i32", "i32"], results: [] }, "hash").builder);
  const behind = { params: ["i64", "i64", "i64", "i64", "i32", "i32"], results: ["i64"] } as const;
  hashBehind(module.define(behind, "hashBehind").builder);
  const zeroes = module.define({ params: ["i32", "i32"], results: ["i32"] }, "skipZeroes");
  skipZeroes(zeroes.builder);
  skipPages(module.define({ params: ["i32", "i32", "i32"], results: ["i32"] }, "skipPages").builder, zeroes.index);
  return module.encode();
}

function skipZeroes(f: FunctionBuilder): void {
  const [at, end] = [f.param(0), f.param(1)];
  whileLeft(f, at, end, ZERO_PIECE_BYTES, (done) => {
    for (let offset = 0; offset < ZERO_PIECE_BYTES; offset += 8) {
      load(f, at, offset);
      if (offset > 0) f.op("i64.or");
    }
    f.i64(0n);
    f.op("i64.ne");
    f.brIf(done);
  });
  f.get(at);
}

function skipPages(f: FunctionBuilder, zeroes: FunctionIndex): void {
  const [at, end, isZero] = [f.param(0), f.param(1), f.param(2)];
  const pageEnd = f.local("i32");
  whileLeft(f, at, end, PAGE_BYTES, (done) => {
    f.get(at);
    f.i32(PAGE_BYTES);
    f.op("i32.add");
    f.tee(pageEnd);
    f.get(at);
    f.get(pageEnd);
    f.call(zeroes);
    f.op("i32.eq");
    f.get(isZero);
    f.op("i32.ne");
    f.brIf(done);
  });
  f.get(at);
}

function hash(f: FunctionBuilder): void {
  const [at, lengthBytes, into] = [f.param(0), f.param(1), f.param(2)];
  const end = f.local("i32");
  const sum = f.local("i64");
  f.get(at);
  f.get(lengthBytes);
  f.op("i32.add");
  f.set(end);
  f.get(lengthBytes);
  f.i32(STRIPE_BYTES);
  f.op("i32.ge_u");
  f.if();
  stripes(f, { at, end, sum });
  f.else();
  f.i64(P5);
  f.set(sum);
  f.end();
  f.get(lengthBytes);
  f.op("i64.extend_i32_u");
  addTo(f, sum);
  rest(f, { at, end, sum });
  f.get(into);
  f.get(sum);
  f.memory("i64.store");
}

function hashBehind(f: FunctionBuilder): void {
  const [at, lengthBytes] = [f.param(4), f.param(5)];
  const end = f.local("i32");
  const sum = f.local("i64");
  f.get(at);
  f.get(lengthBytes);
  f.op("i32.add");
  f.set(end);
  stripes(f, { at, end, sum }, [f.param(0), f.param(1), f.param(2), f.param(3)]);
  f.get(lengthBytes);
  f.op("i64.extend_i32_u");
  f.i64(BigInt(STRIPE_BYTES));
  f.op("i64.add");
  addTo(f, sum);
  rest(f, { at, end, sum });
  f.get(sum);
}

interface Hashing {
  readonly at: Local;
  readonly end: Local;
  readonly sum: Local;
}

/** What is left behind whole stripes, and the last mixing; the steps are the specification's, one after the other. */
function rest(f: FunctionBuilder, { at, end, sum }: Hashing): void {
  whileLeft(f, at, end, 8, () => {
    f.get(sum);
    f.i64(0n);
    round(f, () => load(f, at, 0));
    f.op("i64.xor");
    rotateMultiply(f, 27n, P1);
    f.i64(P4);
    f.op("i64.add");
    f.set(sum);
  });
  whileLeft(f, at, end, 4, () => {
    f.get(sum);
    f.get(at);
    f.memory("i32.load");
    f.op("i64.extend_i32_u");
    f.i64(P1);
    f.op("i64.mul");
    f.op("i64.xor");
    rotateMultiply(f, 23n, P2);
    f.i64(P3);
    f.op("i64.add");
    f.set(sum);
  });
  whileLeft(f, at, end, 1, () => {
    f.get(sum);
    f.get(at);
    f.memory("i64.load8_u");
    f.i64(P5);
    f.op("i64.mul");
    f.op("i64.xor");
    rotateMultiply(f, 11n, P1);
    f.set(sum);
  });
  for (const [shift, prime] of [
    [33n, P2],
    [29n, P3],
    [32n, undefined],
  ] as const) {
    f.get(sum);
    f.get(sum);
    f.i64(shift);
    f.op("i64.shr_u");
    f.op("i64.xor");
    if (prime !== undefined) {
      f.i64(prime);
      f.op("i64.mul");
    }
    f.set(sum);
  }
}

/** Four lanes over whole stripes, the first of which may be given, joined in `sum`; `at` goes on to what is left. */
function stripes(f: FunctionBuilder, { at, end, sum }: Hashing, first?: readonly Local[]): void {
  const lanes = [BigInt.asIntN(64, P1 + P2), P2, 0n, BigInt.asIntN(64, -P1)].map((start) => {
    const lane = f.local("i64");
    f.i64(start);
    f.set(lane);
    return lane;
  });
  first?.forEach((input, i) => {
    f.get(lanes[i]!);
    round(f, () => f.get(input));
    f.set(lanes[i]!);
  });
  whileLeft(f, at, end, STRIPE_BYTES, () => {
    lanes.forEach((lane, i) => {
      f.get(lane);
      round(f, () => load(f, at, i * 8));
      f.set(lane);
    });
  });
  const rotations = [1n, 7n, 12n, 18n];
  lanes.forEach((lane, i) => {
    f.get(lane);
    f.i64(rotations[i]!);
    f.op("i64.rotl");
    if (i > 0) f.op("i64.add");
  });
  f.set(sum);
  for (const lane of lanes) {
    f.get(sum);
    f.i64(0n);
    round(f, () => f.get(lane));
    f.op("i64.xor");
    f.i64(P1);
    f.op("i64.mul");
    f.i64(P4);
    f.op("i64.add");
    f.set(sum);
  }
}

/** Of the accumulator on the stack: with one input mixed in. */
function round(f: FunctionBuilder, input: () => void): void {
  input();
  f.i64(P2);
  f.op("i64.mul");
  f.op("i64.add");
  rotateMultiply(f, 31n, P1);
}

function rotateMultiply(f: FunctionBuilder, by: bigint, prime: bigint): void {
  f.i64(by);
  f.op("i64.rotl");
  f.i64(prime);
  f.op("i64.mul");
}

function load(f: FunctionBuilder, at: Local, offset: number): void {
  f.get(at);
  f.memory("i64.load", offset);
}

/** Runs the body, which may end it by `done`, and goes on by so many bytes, as long as so many are left. */
function whileLeft(f: FunctionBuilder, at: Local, end: Local, stepBytes: number, body: (done: Label) => void): void {
  const done = f.block();
  const next = f.loop();
  f.get(end);
  f.get(at);
  f.op("i32.sub");
  f.i32(stepBytes);
  f.op("i32.lt_u");
  f.brIf(done);
  body(done);
  advance(f, at, stepBytes);
  f.br(next);
  f.end();
  f.end();
}

/** What is on the stack. */
function addTo(f: FunctionBuilder, sum: Local): void {
  f.get(sum);
  f.op("i64.add");
  f.set(sum);
}

function advance(f: FunctionBuilder, at: Local, bytes: number): void {
  f.get(at);
  f.i32(bytes);
  f.op("i32.add");
  f.set(at);
}
