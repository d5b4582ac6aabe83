// A CPU in QEMU's words: the model of the same name, with what this project has of it and no more.
import { execFile } from "node:child_process";
import { features } from "../../src/target/riscv/cpu-features.ts";
import type { ReferenceQemu } from "../support/reference-qemu.ts";
import type { LockstepCpu } from "./cpu.ts";

/** Extensions whose value QEMU does not tell. */
const untold = ["h", "v", "g"];
const profile = /^rv[ab]\d/;
const extension = /^(z|x|s(?!v\d))/;

/** The argument of `-cpu`. Throws an Error with QEMU's words when QEMU does not know the model. */
export async function qemuCpu(qemu: ReferenceQemu, cpu: LockstepCpu): Promise<string> {
  const { settable, values } = await modelOf(qemu, cpu.model);
  const ours = new Set(features.map(({ name }) => name));
  const differs = settable.filter((name) => {
    if (profile.test(name) || !(ours.has(name) || extension.test(name))) return false;
    return values[name] !== undefined && values[name] !== cpu.has(name);
  });
  const settings = [...untold.filter((name) => !cpu.has(name)), ...differs];
  const said = settings.map((name) => `${name}=${cpu.has(name) ? "on" : "off"}`);
  return [cpu.model, ...said, ...cpu.text.split(",").slice(1)].join(",");
}

interface QemuModel {
  readonly settable: readonly string[];
  readonly values: Readonly<Record<string, unknown>>;
}

const known = new Map<string, Promise<QemuModel>>();

function modelOf(qemu: ReferenceQemu, model: string): Promise<QemuModel> {
  let answer = known.get(model);
  if (answer === undefined) known.set(model, (answer = ask(qemu, model)));
  return answer;
}

const machine = ["-M", "virt", "-bios", "none", "-display", "none", "-serial", "none", "-nic", "none", "-S"];

function ask(qemu: ReferenceQemu, model: string): Promise<QemuModel> {
  const [program, ...leading] = qemu.command;
  const commands = [
    { execute: "qmp_capabilities" },
    { execute: "device-list-properties", arguments: { typename: `${model}-riscv-cpu` } },
    { execute: "query-cpu-model-expansion", arguments: { type: "full", model: { name: model } } },
    { execute: "quit" },
  ];
  return new Promise((resolve, reject) => {
    const options = { env: qemu.env, timeout: 20_000 };
    const child = execFile(program, [...leading, ...machine, "-qmp", "stdio"], options, (error, stdout) => {
      const answers = stdout.split("\n").filter((line) => line.startsWith('{"return"'));
      const [, list, expansion] = answers.map((line) => (JSON.parse(line) as { return: unknown }).return);
      if (!Array.isArray(list) || expansion === undefined) {
        reject(new Error(`QEMU did not describe CPU "${model}": ${error?.message ?? stdout}`));
        return;
      }
      const values = (expansion as { model: { props: Record<string, unknown> } }).model.props;
      resolve({ settable: (list as { name: string }[]).map(({ name }) => name), values });
    });
    child.stdin!.end(commands.map((command) => JSON.stringify(command)).join("\n"));
  });
}
