// Events as the schema has them.
import { noMembers, type StructType } from "./types.ts";

export interface EventType<T> {
  readonly name: string;
  readonly data: StructType<T>;
}

export function event<T>(name: string, data?: StructType<T>): EventType<T> {
  return { name, data: data ?? (noMembers as StructType<T>) };
}
