// The documentation's table of fields, made from the schema.
import { deviceSchema, groupSchema, hostSchema, reservedSchema, unitSchema } from "./host-description.ts";
import type { Field } from "./schema.ts";

/** Markdown: a table for the whole, a unit, a group, a device and a reserved region. */
export function fieldTables(): string {
  const tables: readonly (readonly [string, Readonly<Record<string, Field<unknown>>>])[] = [
    ["The whole", hostSchema.fields],
    ["A unit", unitSchema.fields],
    ["A group", groupSchema.fields],
    ["A device", deviceSchema.fields],
    ["A reserved region", reservedSchema.fields],
  ];
  return tables
    .map(([title, fields]) => {
      const rows = Object.entries(fields).map(
        ([name, field]) => `- \`${name}\`${field.required ? " (needed)" : ""}: ${field.about}`,
      );
      return `**${title}**\n\n${rows.join("\n")}`;
    })
    .join("\n\n");
}
