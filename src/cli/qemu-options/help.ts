// -help: the table of options as text, in sections, each with an example.
import type { QemuOption, Section } from "./option.ts";
import { workingOptions } from "./table.ts";
import { versionText } from "./version.ts";

const SECTIONS: readonly Section[] = [
  "Machine",
  "Boot",
  "Disks",
  "Assigned devices",
  "Character devices",
  "Monitors",
  "Running",
  "Absent hardware",
  "Information",
];
const INDENT = "        ";
const WIDTH = 80;

export function optionHelp(): string {
  const sections = SECTIONS.map((section) => {
    const options = workingOptions.filter((option) => option.section === section);
    return `${section}:\n${options.map(entry).join("")}`;
  });
  return `${versionText()}usage: ratite-system-riscv64 [options]

An example: ratite-system-riscv64 -m 512M -nographic -kernel vmlinuz -initrd initrd.gz -append console=ttyS0

${sections.join("\n")}
Everything else that QEMU has is refused with a reason; COMPATIBILITY.md lists it.
On the terminal (-nographic, -serial mon:stdio) Ctrl-A X ends, Ctrl-A H lists the keys.
`;
}

function entry(option: QemuOption): string {
  const spellings = [option.name, ...(option.aliases ?? [])].map((name) => `-${name}`).join(" or ");
  const head = option.synopsis === undefined ? spellings : `${spellings} ${option.synopsis}`;
  const example = option.example === undefined ? "" : `${INDENT}Example: ${option.example}\n`;
  return `${head}\n${wrap(option.description)}${example}`;
}

function wrap(text: string): string {
  const lines: string[] = [];
  let line = INDENT;
  for (const word of text.split(" ")) {
    if (line.length + word.length > WIDTH && line !== INDENT) {
      lines.push(line.trimEnd());
      line = INDENT;
    }
    line += `${word} `;
  }
  return `${[...lines, line.trimEnd()].join("\n")}\n`;
}
