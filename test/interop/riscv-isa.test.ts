// What the device tree says of a CPU, against the reference QEMU's: the same extensions for the same -cpu, and nothing claimed
// that is not there.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseTree, type DeviceTreeNode } from "../../src/format/index.ts";
import { plainOptions } from "../../src/machine/virt/options.ts";
import { buildBoardTree } from "../../src/machine/virt/device-tree.ts";
import { cpuFeatures } from "../../src/target/riscv/cpu-models.ts";
import { referenceQemu, type ReferenceQemu } from "../support/reference-qemu.ts";
import { inFolder } from "../support/tools.ts";

const reference = await referenceQemu();
const isMissing = "missing" in reference;

/** What QEMU has and this machine refuses, by the reason. */
const refused: Readonly<Record<string, RegExp>> = {
  "the hypervisor extension": /^(h|sh\w*)$/,
  "the vector extension": /^(v|zv\w+)$/,
  "control-flow integrity": /^zicfi(lp|ss)$/,
  "memory order and atomicity beyond what is promised": /^(ztso|zama16b)$/,
  "counter overflow, delegation and filters": /^(sscofpmf|smcdeleg|ssccfg|smcntrpmf)$/,
  "pointer masking": /^(smmpm|smnpm|ssnpm|sspm|supm)$/,
  "control transfer records and double traps": /^(smctr|ssctr|smdbltrp|ssdbltrp)$/,
};
/** Names that QEMU 11 gave to what was there before. */
const namedLater = new Set(["sdtrig", "ssstrict"]);

const isRefused = (name: string): boolean => Object.values(refused).some((pattern) => pattern.test(name));

interface Isa {
  readonly base: string | undefined;
  readonly extensions: readonly string[];
  readonly fromString: readonly string[];
  readonly mmuType: string | undefined;
  readonly blocks: readonly (number | undefined)[];
}

function readIsa(root: DeviceTreeNode): Isa {
  const cpu = root.find("/cpus/cpu@0")!;
  const kept = (names: readonly string[]): string[] =>
    names.filter((each) => !isRefused(each) && !namedLater.has(each));
  const [letters, ...names] = (cpu.getString("riscv,isa") ?? "").replace(/^rv64/, "").split("_");
  return {
    base: cpu.getString("riscv,isa-base"),
    extensions: kept(cpu.getStrings("riscv,isa-extensions") ?? []),
    fromString: kept([...Array.from(letters!), ...names]),
    mmuType: cpu.getString("mmu-type"),
    blocks: ["cbom", "cbop", "cboz"].map((name) => cpu.getU32(`riscv,${name}-block-size`)),
  };
}

function onReference({ command, env }: ReferenceQemu, cpu: string): Isa {
  return inFolder((folder) => {
    const path = join(folder, "board.dtb");
    const [program, ...args] = command;
    const options = ["-nodefaults", "-display", "none", "-bios", "none", "-M", `virt,dumpdtb=${path}`, "-cpu", cpu];
    execFileSync(program, [...args, ...options], { env, stdio: "ignore" });
    return readIsa(parseTree(readFileSync(path)).root);
  });
}

function here(cpu: string): Isa {
  const [model, ...settings] = cpu.split(",");
  const { isa } = cpuFeatures(model!, Object.fromEntries(settings.map((s) => [s.split("=")[0]!, s.endsWith("=on")])));
  return readIsa(buildBoardTree({ harts: [{ id: 0, isa }], memoryBytes: 1 << 27, options: plainOptions }));
}

describe.skipIf(isMissing)(`the device tree and QEMU's ${isMissing ? reference.missing : reference.version}`, () => {
  test.each([
    ...["rv64", "max", "rva22s64", "rv64i"],
    ...["rv64,zba=off,zfh=on", "rv64,sstc=off,svadu=off", "rv64,svade=on,zicboz=off", "rv64,smepmp=on,smstateen=on"],
    ...["rv64,zk=on", "rv64,zks=on,zkt=on", "rv64,zfbfmin=on,zcb=on", "rv64,smcsrind=on,sscsrind=on,zkr=on"],
    ...["rva22s64,zfhmin=off", "rva22s64,sv48=on,sstc=on", "max,zkn=off,zfa=off", "max,smepmp=off,smaia=off"],
  ])("say the same of %s", (cpu) => {
    expect(here(cpu)).toEqual(onReference(reference as ReferenceQemu, cpu));
  });
});

test.each(["rv64", "max", "rva22s64"])("%s claims nothing that is refused", (model) => {
  expect(cpuFeatures(model, {}).isa.extensions.filter(isRefused)).toEqual([]);
});
