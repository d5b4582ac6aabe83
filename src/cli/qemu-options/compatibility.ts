// The option tables of COMPATIBILITY.md, derived from the program's own table.
import type { QemuOption } from "./option.ts";
import { workingOptions } from "./table.ts";
import { refusedOptions } from "./refused.ts";

const BEGIN = "<!-- options: written by tools/option-table.ts -->";
const END = "<!-- options: end -->";

/** The tables as Markdown, with columns aligned as the formatter wants them. */
export function compatibilityTables(): string {
  const working = workingOptions.map((option) => [
    names(option),
    option.differs === undefined ? "same" : "subset",
    option.differs ?? "",
  ]);
  const parameters = workingOptions.flatMap(({ name, refusedParameters = {} }) =>
    [...reasons(refusedParameters)].map(([reason, keys]) => [`\`-${name}\``, keys.join(", "), reason]),
  );
  const refused = reasons(Object.fromEntries(refusedOptions.map(({ name, refused: why }) => [`-${name}`, why])));
  return [
    table(["option", "status", "difference"], working),
    "Refused parameters of these options:",
    table(["option", "parameters", "reason"], parameters),
    "Refused options:",
    table(
      ["options", "reason"],
      [...refused].map(([reason, keys]) => [keys.join(", "), reason]),
    ),
  ].join("\n\n");
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const escaped = rows.map((row) => row.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((cell, column) => Math.max(cell.length, ...escaped.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`;
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...escaped.map(line)].join("\n");
}

/** `text` with what stands between the two marks replaced; unchanged when it has no marks. */
export function replaceTables(text: string, tables: string): string {
  const from = text.indexOf(BEGIN);
  const to = text.indexOf(END);
  if (from < 0 || to < from) return text;
  return `${text.slice(0, from + BEGIN.length)}\n\n${tables}\n\n${text.slice(to)}`;
}

function names({ name, aliases = [] }: QemuOption): string {
  return [name, ...aliases].map((word) => `\`-${word}\``).join(", ");
}

/** Names by their common reason, in the order of the reasons' first names. */
function reasons(byName: Readonly<Record<string, string>>): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const [name, reason] of Object.entries(byName)) {
    const group = groups.get(reason) ?? [];
    group.push(`\`${name}\``);
    groups.set(reason, group);
  }
  return groups;
}
