// What there is to say.
import { hmpCommand, isNamed, type HmpCommand, type HmpTable } from "../command.ts";

const lineOf = ({ name, params, help }: HmpCommand, before = ""): string => `${before}${name} ${params} -- ${help}\n`;

const infoLines = ({ infos }: HmpTable): string => infos.map((each) => lineOf(each, "info ")).join("");

export const helpCommands: readonly HmpCommand[] = [
  hmpCommand(
    "help|?",
    "show the help",
    ({ commands }, { name }) => helpOn(commands, (name as string | undefined) ?? ""),
    { args: "name:S?", params: "[cmd]" },
  ),
  hmpCommand("info", "show various facts about the machine", ({ commands }) => infoLines(commands), {
    args: "item:s?",
    params: "[subcommand]",
  }),
];

function helpOn(table: HmpTable, words: string): string {
  const [word = "", item] = words.split(/\s+/);
  if (word === "") return table.commands.map((each) => lineOf(each)).join("");
  const command = table.commands.find((each) => isNamed(each, word));
  if (command === undefined) return `unknown command: '${word}'\n`;
  if (command.name !== "info") return lineOf(command);
  if (item === undefined) return infoLines(table);
  const info = table.infos.find((each) => isNamed(each, item));
  return info === undefined ? `unknown command: '${word} ${item}'\n` : lineOf(info, "info ");
}
