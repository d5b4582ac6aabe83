// Saved state is named, versioned and described beside the device (style rule 10).
import { assert } from "../base/index.ts";
import { DEPTH_LIMIT } from "./format.ts";

/** A value type that saved state can hold; `kind` is its name in self-describing streams. */
export interface StateType<T> {
  readonly kind: string;
  readonly element?: StateType<unknown>;
  readonly fields?: readonly StateField<string, unknown>[];
  /** Carries T; never present at run time. */
  readonly example?: T;
}

export const u8: StateType<number> = { kind: "u8" };
export const u16: StateType<number> = { kind: "u16" };
export const u32: StateType<number> = { kind: "u32" };
export const u64: StateType<bigint> = { kind: "u64" };
export const f64: StateType<number> = { kind: "f64" };
export const bool: StateType<boolean> = { kind: "bool" };
export const text: StateType<string> = { kind: "text" };
/** A run of bytes of any length. */
export const blob: StateType<Uint8Array> = { kind: "blob" };
export function list<T>(element: StateType<T>): StateType<T[]> {
  return { kind: "list", element };
}
export function optional<T>(element: StateType<T>): StateType<T | undefined> {
  return { kind: "optional", element };
}
export function struct<const F extends readonly StateField<string, unknown>[]>(fields: F): StateType<ValuesOf<F>> {
  assert(fields.length > 0, "a struct of saved state has fields");
  return { kind: "struct", fields };
}

export interface StateField<N extends string, T> {
  readonly name: N;
  readonly type: StateType<T>;
  /** First version of the description that has this field; 1 when absent. */
  readonly since: number;
  /** Value to assume when a stream of an earlier version lacks the field. */
  readonly default?: T;
}

export function field<const N extends string, T>(
  name: N,
  type: StateType<T>,
  later?: { since: number; default: T },
): StateField<N, T> {
  return later === undefined ? { name, type, since: 1 } : { name, type, since: later.since, default: later.default };
}

export type ValuesOf<F extends readonly StateField<string, unknown>[]> = {
  [E in F[number] as E["name"]]: E extends StateField<string, infer T> ? T : never;
};

export interface StateDescription<
  F extends readonly StateField<string, unknown>[] = readonly StateField<string, unknown>[],
> {
  readonly name: string;
  readonly version: number;
  readonly fields: F;
}
/** A description whose values are `S`: for a state that is declared as an interface first. */
export type DescriptionOf<S> = StateDescription<
  readonly { [K in Extract<keyof S, string>]: StateField<K, S[K]> }[Extract<keyof S, string>][]
>;
export type StateOf<D extends StateDescription> = ValuesOf<D["fields"]>;

/**
 *     export const pulseState = describeState("pulse", 2, [
 *       field("ctl", u32), field("elapsed", u64), field("jitter", u32, { since: 2, default: 0 }),
 *     ]);
 */
export function describeState<const F extends readonly StateField<string, unknown>[]>(
  name: string,
  version: number,
  fields: F,
): StateDescription<F> {
  checkFields(name, version, fields, 0);
  return { name, version, fields };
}

function checkFields(
  name: string,
  version: number,
  fields: readonly StateField<string, unknown>[],
  depth: number,
): void {
  assert(depth < DEPTH_LIMIT, `state ${name} nests at most ${DEPTH_LIMIT} deep`);
  const names = new Set<string>();
  for (const f of fields) {
    assert(!names.has(f.name), `state ${name} names each field once`, f.name);
    assert(f.since <= version, `state ${name} is as new as its fields`, f.name, f.since, version);
    assert(f.since === 1 || "default" in f, `a later field of ${name} has a default`, f.name);
    names.add(f.name);
    let type: StateType<unknown> | undefined = f.type;
    for (let down = depth + 1; type !== undefined; down++, type = type.element) {
      if (type.fields !== undefined) checkFields(name, version, type.fields, down);
      assert(down <= DEPTH_LIMIT, `state ${name} nests at most ${DEPTH_LIMIT} deep`);
    }
  }
}

/** Anything whose state can be saved and loaded: a device, a hart, a firmware, a queue. */
export interface Saveable<D extends StateDescription = StateDescription> {
  readonly stateDescription: D;
  /** False while it waits for the host: it is not saved then. Absent from what never does. */
  readonly isSettled?: boolean;
  saveState(): StateOf<D>;
  /** Takes the state over; what the values imply outside (irq levels, armed timers) follows from them. */
  loadState(values: StateOf<D>): void;
}
