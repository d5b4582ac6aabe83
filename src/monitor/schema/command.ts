// Commands as the schema has them, joined with what a command does.
import type { MonitorContext } from "../context.ts";
import { noMembers, type SchemaType, type StructType, type ValueOf } from "./types.ts";

export interface Command {
  readonly name: string;
  readonly args: StructType<unknown>;
  /** Members that the schema does not have are the command's to check (a device's properties). */
  readonly takesMore: boolean;
  /** Undefined: an empty object. */
  readonly returns: SchemaType | undefined;
  /** Runs in the preconfig state too; here, before anything else, also in negotiation. */
  readonly run: (context: MonitorContext, args: never) => unknown;
}

export interface CommandParts<A extends StructType<unknown>, R extends SchemaType> {
  readonly args?: A;
  readonly takesMore?: boolean;
  readonly returns?: R;
  /** May throw QmpError or any VmError. */
  readonly run: (
    context: MonitorContext,
    args: ValueOf<A>,
  ) => ([SchemaType] extends [R] ? void : ValueOf<R>) | Promise<[SchemaType] extends [R] ? void : ValueOf<R>>;
}

export function command<A extends StructType<unknown> = StructType<object>, R extends SchemaType = SchemaType>(
  name: string,
  { args, takesMore, returns, run }: CommandParts<A, R>,
): Command {
  return { name, args: args ?? noMembers, takesMore: takesMore ?? false, returns, run: run };
}
