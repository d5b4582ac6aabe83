// Every command for people there is, in the order in which help lists them.
import type { HmpTable } from "../command.ts";
import { controlCommands } from "./control.ts";
import { dirtyRateCommands, dirtyRateInfos } from "./dirty-rate.ts";
import { helpCommands } from "./help.ts";
import { infoCommands } from "./info.ts";
import { lookCommands } from "./look.ts";
import { migrationCommands, migrationInfos } from "./migration.ts";

const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1);

export const hmpTable: HmpTable = {
  commands: [...controlCommands, ...migrationCommands, ...dirtyRateCommands, ...helpCommands].sort(byName),
  infos: [...infoCommands, ...lookCommands, ...migrationInfos, ...dirtyRateInfos].sort(byName),
};

/** `migrate`, `info status`: without short forms. */
export const humanCommandNames: readonly string[] = [
  ...hmpTable.commands.filter(({ name }) => name !== "info").map(({ name }) => longName(name)),
  ...hmpTable.infos.map(({ name }) => `info ${longName(name)}`),
];

function longName(name: string): string {
  return name.split("|")[0]!;
}
