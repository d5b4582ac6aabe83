// Commands about the session and about what this program is.
import { arrayOf, int, str, struct } from "../schema/types.ts";
import { command, type Command } from "../schema/command.ts";

/** The QEMU whose commands, names and messages these are. */
export const QEMU_VERSION = { major: 11, minor: 1, micro: 3 } as const;

const VersionTriple = struct("VersionTriple", { major: int, minor: int, micro: int });
const VersionInfo = struct("VersionInfo", { qemu: VersionTriple, package: str });
const CommandInfo = struct("CommandInfo", { name: str });
const NameInfo = struct("NameInfo", { name: { optional: str } });
const UuidInfo = struct("UuidInfo", { UUID: str });

const NO_UUID = "00000000-0000-0000-0000-000000000000";

export function versionOf(productVersion: string): { qemu: typeof QEMU_VERSION; package: string } {
  return { qemu: QEMU_VERSION, package: `ratite ${productVersion}` };
}

/** `all` gives every command, these included. */
export function sessionCommands(all: () => readonly Command[]): readonly Command[] {
  return [
    command("query-version", { returns: VersionInfo, run: ({ productVersion }) => versionOf(productVersion) }),
    command("query-commands", {
      returns: arrayOf(CommandInfo),
      run: () => all().map(({ name }) => ({ name })),
    }),
    command("query-name", {
      returns: NameInfo,
      run: ({ config }) => (config.name === undefined ? {} : { name: config.name }),
    }),
    command("query-uuid", { returns: UuidInfo, run: ({ config }) => ({ UUID: config.uuid ?? NO_UUID }) }),
  ];
}
