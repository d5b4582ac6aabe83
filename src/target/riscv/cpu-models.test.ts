import { describe, expect, test } from "vitest";
import { cpuFeatures, type CpuFeatures } from "./cpu-models.ts";

const resolve = (model: string, ...settings: string[]): CpuFeatures =>
  cpuFeatures(model, Object.fromEntries(settings.map((s) => [s.split("=")[0]!, s.endsWith("=on")])));
const listed = (...args: Parameters<typeof resolve>): string => resolve(...args).isa.extensions.join("_");
const refusal = (...args: Parameters<typeof resolve>): string => {
  try {
    resolve(...args);
    return "accepted";
  } catch (error) {
    return (error as Error).message;
  }
};

describe("CPU models", () => {
  test("rv64i has RV64I and nothing else", () => {
    expect(listed("rv64i")).toBe("i");
    expect(resolve("rv64i").isa.mmuType).toBe("riscv,none");
  });

  test("rva22s64 has what the profile mandates, with Sv39", () => {
    const { isa, has } = resolve("rva22s64");
    const mandated = ["zba", "zbb", "zbs", "zicbom", "zicbop", "zicboz", "svade", "svpbmt", "svinval", "za64rs", "zkt"];
    expect(mandated.filter((name) => !isa.extensions.includes(name))).toEqual([]);
    expect([isa.mmuType, has("svadu"), has("b")]).toEqual(["riscv,sv39", false, true]);
  });

  test("names with a capital letter are taken, with QEMU's warning", () => {
    const { has, warnings } = resolve("rv64", "Zfh=on", "Zawrs=off");
    expect([has("zfh"), has("zawrs")]).toEqual([true, false]);
    expect(warnings).toContain("CPU property 'Zfh' is deprecated. Please use 'zfh' instead");
  });

  test("max has every extension but those that change what software finds", () => {
    const { has } = resolve("max");
    expect(["zacas", "svnapot", "zbkb", "zcb"].filter((name) => !has(name))).toEqual([]);
    expect(has("svade")).toBe(false);
  });

  test.each([
    ["rv64i", ["zcb=on"], "zca zcb"],
    ["rv64i", ["a=on"], "zaamo zalrsc"],
    ["rv64i", ["d=on"], "f d zicsr"],
    ["rv64i", ["b=on"], "b zba zbb zbs"],
    ["rv64i", ["g=on"], "m a f d zicsr zifencei"],
    ["rv64i", ["c=on", "d=on"], "zca zcd"],
    ["rv64i", ["rva22u64=on"], "b zicboz zkt"],
    ["rv64", ["c=off", "zcb=on"], "zca zcb"],
  ])("%s,%s brings %s", (model, settings, brought) => {
    const extensions = listed(model, ...settings).split("_");
    expect(brought.split(" ").filter((name) => !extensions.includes(name))).toEqual([]);
  });

  test.each([
    ["rv64", "zalrsc=off", "zalrsc"],
    ["rv64", "zcd=off", "zcd"],
    ["rv64", "d=off", "zcd"],
    ["rva22s64", "zba=off", "zba"],
    ["rv64", "zihpm=off", "zihpm"],
    ["rv64", "debug=off", "sdtrig"],
  ])("%s,%s stays without %s", (model, setting, absent) => {
    expect(listed(model, setting).split("_")).not.toContain(absent);
  });

  test("what the operator turned off of a group is named in a warning", () => {
    expect(resolve("rv64", "b=on", "zba=off").warnings).toEqual(["RVB mandates disabled extension zba"]);
  });
});

describe("refused CPUs", () => {
  // In QEMU's words, where QEMU refuses too.
  test.each([
    ["rv64", "s=on,u=off", "Setting S extension without U extension is illegal"],
    ["rv64", "zicsr=off", "F extension requires Zicsr"],
    ["rv64", "zacas=on,a=off", "Zacas extension requires A extension"],
    ["rv64", "a=off", "Zawrs extension requires A extension"],
    ["rv64", "zca=off", "Zcf/Zcd/Zcb/Zcmp/Zcmt extensions require Zca extension"],
    ["max", "d=off", "Zcd extension requires D extension"],
    ["rv64", "i=off", "Either I or E extension must be set"],
    ["rv64", "sv39=off,sv48=on", "cannot disable sv39 satp mode if sv48 is enabled"],
    [
      "rv64",
      "sv64=on",
      'CPU property "sv64" cannot be turned on: satp_mode sv64 is higher than hw max capability sv57',
    ],
    ["rv64", "zcf=on", 'CPU property "zcf" cannot be turned on: Zcf extension is only relevant to RV32'],
    ["rv64", "h=on", 'CPU property "h" cannot be turned on: the hypervisor extension is not implemented'],
    [
      "rv64",
      "zvbb=on",
      'CPU property "zvbb" cannot be turned on: it needs the vector extension, which is not implemented',
    ],
    ["rv64i", "sstc=on", 'CPU property "sstc" needs "s"; turn that on too'],
  ])("%s,%s", (model, settings, message) => {
    expect(refusal(model, ...settings.split(","))).toBe(message);
  });

  test("a name that QEMU does not know either is unknown, markers included", () => {
    expect(refusal("rv64", "sscounterenw=off")).toContain('CPU "rv64" has no property "sscounterenw"');
  });

  test("rva23s64 says what is missing", () => {
    expect(refusal("rva23s64")).toContain("needs the vector and hypervisor extensions, which are not implemented");
  });

  test("turning off what is not there is fine", () => {
    expect(refusal("rv64", "h=off", "v=off")).toBe("accepted");
  });
});

describe("satp modes", () => {
  test.each([
    ["rv64", "sv48=off", "riscv,sv39"],
    ["rv64", "sv39=off", "riscv,none"],
    ["rv64", "sv39=on", "riscv,sv39"],
    ["rv64", "sv48=on", "riscv,sv48"],
    ["rva22s64", "sv48=on", "riscv,sv48"],
    ["rv64", "mmu=off", "riscv,none"],
  ])("%s,%s is %s", (model, setting, mmuType) => {
    expect(resolve(model, setting).isa.mmuType).toBe(mmuType);
  });
});
