// Numbers from outside: they keep their raw value and have a name when there is one.

export type OpenEnum<M extends Readonly<Record<string, number>>> = M & {
  /** The name of `value`, or `Enum(value)` when it has none. */
  name(value: number): string;
  /** True when `value` is one of the declared ones. */
  knows(value: number): boolean;
};

/**
 *     const Op = openEnum("Op", { Fetch: 0, Store: 1 });
 *     Op.name(1) === "Store"; Op.name(9) === "Op(9)"
 */
export function openEnum<const M extends Readonly<Record<string, number>>>(title: string, members: M): OpenEnum<M> {
  const names = new Map(Object.entries(members).map(([key, value]) => [value, key]));
  return Object.freeze({
    ...members,
    name: (value: number): string => names.get(value) ?? `${title}(${value})`,
    knows: (value: number): boolean => names.has(value),
  });
}
