// Running the machine, and plugging devices.
import { parseOptions } from "../../../object/index.ts";
import type { JsonObject } from "../../json/value.ts";
import { hmpCommand, silent, type HmpCommand } from "../command.ts";

export const controlCommands: readonly HmpCommand[] = [
  silent("stop|s", "stop emulation", "stop"),
  silent("cont|c", "resume emulation", "cont"),
  silent("system_reset", "reset the system", "system_reset"),
  silent("system_powerdown", "send system power down event", "system_powerdown"),
  silent("quit|q", "quit the emulator", "quit"),
  hmpCommand(
    "device_add",
    "add a device, as -device does",
    async ({ ask }, { device }) => {
      await ask("device_add", deviceOf((device as string | undefined) ?? ""));
      return "";
    },
    { args: "device:S?", params: "driver[,prop=value][,...]" },
  ),
  hmpCommand(
    "device_del",
    "remove a device",
    async ({ ask }, { id }) => {
      await ask("device_del", { id: id as string });
      return "";
    },
    { args: "id:s", params: "device" },
  ),
];

function deviceOf(text: string): JsonObject {
  const { entries } = parseOptions("device_add", text, { impliedKey: "driver" });
  return Object.fromEntries(entries.map(({ key, value }) => [key, value]));
}
