// Ties a device's saved state, as an interface, to its description.
import type { StateDescription, StateField } from "../state/index.ts";

/** A description whose values are `S`. */
export type DescriptionOf<S> = StateDescription<
  readonly { [K in keyof S & string]: StateField<K, S[K]> }[keyof S & string][]
>;
