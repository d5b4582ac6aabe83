// table: the extensions and properties of a CPU by QEMU's names: which exist here, what implies what, what contradicts what
// (QEMU 11: target/riscv/cpu.c and tcg/tcg-cpu.c).

export interface Feature {
  readonly name: string;
  /**
   * How it is had: a `letter` of misa, a named `extension`, a `mode` or resource without a name in the ISA string, or a
   * `marker` that says what the rest implies and cannot be switched.
   */
  readonly kind: "letter" | "extension" | "mode" | "marker";
  /** Part of `rv64`. */
  readonly usual?: true;
  /** Not part of `max`, because it changes what software finds. */
  readonly optIn?: true;
  /** For markers and what is dropped silently: absent without all of these. */
  readonly needs?: readonly string[];
}

const letter = (name: string, usual?: true): Feature => ({ name, kind: "letter", ...(usual && { usual }) });
const extension = (name: string, needs?: readonly string[]): Feature => ({
  name,
  kind: "extension",
  ...(needs && { needs }),
});
const usual = (name: string, needs?: readonly string[]): Feature => ({ ...extension(name, needs), usual: true });
const marker = (name: string, ...needs: readonly string[]): Feature => ({ name, kind: "marker", needs });

/** In the order of the ISA string and of QEMU's list of extensions in the device tree. */
export const features: readonly Feature[] = [
  ...[letter("i", true), letter("m", true), letter("a", true), letter("f", true), letter("d", true)],
  ...[letter("c", true), letter("b")],
  { name: "s", kind: "mode", usual: true },
  { name: "u", kind: "mode", usual: true },
  { name: "mmu", kind: "mode", usual: true },
  { name: "pmp", kind: "mode", usual: true },
  marker("zic64b"),
  ...[usual("zicbom"), usual("zicbop"), usual("zicboz")],
  ...[marker("ziccamoa", "zaamo"), marker("ziccif"), marker("zicclsm"), marker("ziccrse", "zalrsc")],
  extension("zicond"),
  ...[usual("zicntr"), usual("zicsr"), usual("zifencei"), usual("zihintntl"), usual("zihintpause"), usual("zihpm")],
  ...[extension("zimop"), extension("zmmul"), marker("za64rs", "zalrsc")],
  ...[extension("zaamo"), extension("zabha"), extension("zacas"), extension("zalrsc"), usual("zawrs")],
  ...[usual("zfa"), extension("zfbfmin"), extension("zfh"), extension("zfhmin")],
  ...[extension("zca"), extension("zcb"), extension("zcd"), extension("zcmop")],
  ...[usual("zba"), usual("zbb"), usual("zbc"), extension("zbkb"), extension("zbkc"), extension("zbkx"), usual("zbs")],
  ...["zk", "zkn", "zknd", "zkne", "zknh", "zkr", "zks", "zksed", "zksh", "zkt"].map((name) => extension(name)),
  usual("sdtrig", ["zicsr"]),
  ...[extension("smaia"), extension("smcsrind"), extension("smepmp"), extension("smstateen")],
  ...[extension("ssaia", ["s"]), marker("ssccptr", "s"), marker("sscounterenw", "s")],
  ...[extension("sscsrind", ["s"]), marker("ssstateen", "s", "smstateen"), marker("ssstrict", "s")],
  ...[usual("sstc", ["s"]), marker("sstvala", "s"), marker("sstvecd", "s"), marker("ssu64xl", "s")],
  { ...extension("svade", ["s", "mmu"]), optIn: true },
  usual("svadu", ["s", "mmu"]),
  ...[extension("svinval", ["s"]), extension("svnapot", ["s", "mmu"]), extension("svpbmt", ["s", "mmu"])],
  usual("svvptc", ["s", "mmu"]),
];

/** What a feature brings with it, unless the operator says otherwise. Two that are joined by a plus imply only together. */
export const implications: readonly (readonly [string, readonly string[]])[] = [
  ["c", ["zca"]],
  ["a", ["zalrsc", "zaamo"]],
  ["d", ["f"]],
  ["f", ["zicsr"]],
  ["zfa", ["f"]],
  ["zfbfmin", ["f"]],
  ["zfh", ["zfhmin"]],
  ["zfhmin", ["f"]],
  ["m", ["zmmul"]],
  ["c+d", ["zcd"]],
  ["zcb", ["zca"]],
  ["zcd", ["d", "zca"]],
  ["zicntr", ["zicsr"]],
  ["zihpm", ["zicsr"]],
  ["zk", ["zkn", "zkr", "zkt"]],
  ["zkn", ["zbkb", "zbkc", "zbkx", "zkne", "zknd", "zknh"]],
  ["zks", ["zbkb", "zbkc", "zbkx", "zksed", "zksh"]],
];

/** Names that stand for several; what the operator turned off of them stays off, with a warning. */
export const groups: Readonly<Record<string, readonly string[]>> = {
  g: ["i", "m", "a", "f", "d", "zicsr", "zifencei"],
  b: ["zba", "zbb", "zbs"],
};

/** Names of properties before their extension had one (QEMU 10 and older). */
export const aliases: Readonly<Record<string, string>> = { debug: "sdtrig" };

/** Names that QEMU 7.2 knows by a capital letter, and newer versions with a warning. */
export const deprecatedNames: readonly string[] = [
  ...["Zifencei", "Zicsr", "Zihintntl", "Zihintpause", "Zawrs", "Zfa", "Zfh", "Zfhmin", "Zve32f", "Zve64f", "Zve64d"],
];

/** Combinations that QEMU refuses, in the order of its checks and in its words. */
export const contradictions: readonly { readonly has: string; readonly lacks: string; readonly message: string }[] = [
  { has: "s", lacks: "u", message: "Setting S extension without U extension is illegal" },
  { has: "f", lacks: "zicsr", message: "F extension requires Zicsr" },
  { has: "zacas", lacks: "a", message: "Zacas extension requires A extension" },
  { has: "zawrs", lacks: "a", message: "Zawrs extension requires A extension" },
  { has: "zfh", lacks: "f", message: "Zfh/Zfhmin extensions require F extension" },
  { has: "zfhmin", lacks: "f", message: "Zfh/Zfhmin extensions require F extension" },
  { has: "zfbfmin", lacks: "f", message: "Zfbfmin extension depends on F extension" },
  { has: "d", lacks: "f", message: "D extension requires F extension" },
  { has: "zfa", lacks: "f", message: "Zfa extension requires F extension" },
  { has: "smepmp", lacks: "pmp", message: "Invalid configuration: Smepmp requires PMP support" },
  { has: "zcmop", lacks: "zca", message: "Zcmop extensions require Zca" },
  { has: "zcd", lacks: "d", message: "Zcd extension requires D extension" },
  { has: "zcd", lacks: "zca", message: "Zcf/Zcd/Zcb/Zcmp/Zcmt extensions require Zca extension" },
  { has: "zcb", lacks: "zca", message: "Zcf/Zcd/Zcb/Zcmp/Zcmt extensions require Zca extension" },
  { has: "zicntr", lacks: "zicsr", message: "zicntr requires zicsr" },
  { has: "zihpm", lacks: "zicsr", message: "zihpm requires zicsr" },
];

export interface Profile {
  readonly name: string;
  readonly parent?: string;
  readonly features: readonly string[];
  readonly satpMode?: "sv39";
}

/** What the profiles mandate; markers come with the rest. */
export const profiles: readonly Profile[] = [
  {
    name: "rva22u64",
    features: [
      ...["i", "m", "a", "f", "d", "c", "b", "u"],
      ...["zicsr", "zihintpause", "zba", "zbb", "zbs", "zkt", "zicntr", "zihpm", "zicbom", "zicbop", "zicboz"],
      "zfhmin",
    ],
  },
  {
    name: "rva22s64",
    parent: "rva22u64",
    features: ["s", "zifencei", "svpbmt", "svinval", "svade"],
    satpMode: "sv39",
  },
];

const needsV = "it needs the vector extension, which is not implemented";
const absent = "it is not implemented";

const because = (reason: string, ...names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, reason]));

/** What QEMU has and this does not, with the reason; turning it off is no contradiction. */
export const refusals: Readonly<Record<string, string>> = {
  h: "the hypervisor extension is not implemented",
  v: "the vector extension is not implemented",
  e: "RV64E is not implemented",
  rva23u64: needsV,
  rva23s64: "it needs the vector and hypervisor extensions, which are not implemented",
  zcf: "Zcf extension is only relevant to RV32",
  sv64: "satp_mode sv64 is higher than hw max capability sv57",
  ...because(
    absent,
    ...["zilsd", "zclsd", "zalasr", "smdbltrp", "ssdbltrp", "smrnmi", "smctr", "ssctr", "svrsw60t59b", "x-svukte"],
  ),
  ...because("control-flow integrity is not implemented", "zicfilp", "zicfiss"),
  ...because("floating point has registers of its own here", "zfinx", "zdinx", "zhinx", "zhinxmin"),
  ...because("Zcmp and Zcmt take encodings of Zcd, and are not implemented", "zce", "zcmp", "zcmt"),
  ...because("the memory order that is promised is RVWMO", "ztso"),
  ...because("a misaligned atomic operation is an exception", "zama16b"),
  ...because(
    "counters neither interrupt when they overflow nor are delegated or filtered by mode",
    ...["sscofpmf", "smcdeleg", "ssccfg", "smcntrpmf"],
  ),
  ...because("no bits of addresses are ignored (pointer masking)", "smmpm", "smnpm", "ssnpm", "sspm", "supm"),
  ...because(
    needsV,
    ...["zve32f", "zve32x", "zve64f", "zve64d", "zve64x", "zvfbfmin", "zvfbfwma", "zvfh", "zvfhmin", "zvbb", "zvbc"],
    ...["zvkb", "zvkg", "zvkned", "zvknha", "zvknhb", "zvksed", "zvksh", "zvkt", "zvkn", "zvknc", "zvkng", "zvks"],
    ...["zvksc", "zvksg"],
  ),
};
