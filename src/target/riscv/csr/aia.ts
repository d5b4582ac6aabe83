// table: the Advanced Interrupt Architecture (Smaia and Ssaia; AIA §2, §3.7 to §3.9, §5.2 to §5.4).
import { F, Mode, Mstateen } from "../hart-core.ts";
import { machineTop, supervisorTop } from "../interrupt-choice.ts";
import type { ExternalInterruptPort } from "../port.ts";
import type { Csr, CsrContext } from "./definition.ts";
import { stateEnabled } from "./state-enable.ts";
import { timerByCompare } from "./supervisor-timer.ts";

const SSIP = 0x2n;
const STIP = 0x20n;
const SEIP = 0x200n;
/** Local and custom interrupts. */
const LOCAL = 0xffff_ffff_ffff_e000n;
const VIRTUAL = LOCAL | SSIP | SEIP;

/** Nine bits, as §2.2 recommends for siselect, and twelve where more than AIA is selected. */
const SELECT_MASK = 0x1ffn;
const WIDE_SELECT_MASK = 0xfffn;
const IPRIO_FIRST = 0x30;
const IPRIO_LAST = 0x3f;
const FILE_FIRST = 0x70;
const FILE_LAST = 0xff;

/** What the registers of the two levels differ in. */
interface Level {
  readonly letter: "m" | "s";
  readonly extension: "smaia" | "ssaia";
  /** Indirect access of its own (Smcsrind, Sscsrind), which selects nothing here but what AIA does. */
  readonly indirect: "smcsrind" | "sscsrind";
  readonly numbers: {
    readonly select: number;
    readonly register: number;
    readonly topei: number;
    readonly topi: number;
  };
  readonly select: "miselect" | "siselect";
  readonly priorities: "machinePriorities" | "supervisorPriorities";
  /** Interrupts whose priority can be set: those that the level can take, but for its external one. */
  readonly settable: bigint;
  readonly controller: (h: CsrContext) => ExternalInterruptPort | undefined;
  /** False when the interrupt file may not be touched in this state. */
  readonly mayReachFile: (h: CsrContext) => boolean;
  readonly top: (h: CsrContext) => number;
}

const machine: Level = {
  letter: "m",
  extension: "smaia",
  indirect: "smcsrind",
  numbers: { select: 0x350, register: 0x351, topei: 0x35c, topi: 0xfb0 },
  select: "miselect",
  priorities: "machinePriorities",
  settable: 0x2aan,
  controller: (h) => h.core.aia.external?.machine,
  mayReachFile: () => true,
  top: (h) => machineTop(h.core),
};

const supervisor: Level = {
  letter: "s",
  extension: "ssaia",
  indirect: "sscsrind",
  numbers: { select: 0x150, register: 0x151, topei: 0x15c, topi: 0xdb0 },
  select: "siselect",
  priorities: "supervisorPriorities",
  settable: LOCAL | SSIP | STIP,
  controller: (h) => h.core.aia.external?.supervisor,
  // Not when machine mode keeps interrupt files to itself, or has taken the supervisor's external interrupts over (§5.3).
  mayReachFile: (h) => stateEnabled(h, Mstateen.imsic) && (h.core.mode === Mode.M || (h.core.aia.mvien & SEIP) === 0n),
  top: (h) => supervisorTop(h.core),
};

const isPriority = (select: number): boolean => select >= IPRIO_FIRST && select <= IPRIO_LAST;
const isFile = (select: number): boolean => select >= FILE_FIRST && select <= FILE_LAST;

/** At XLEN 64 a register holds the priorities of eight interrupts, and odd ones do not exist. */
function readPriorities(h: CsrContext, { priorities }: Level, select: number): bigint {
  const first = (select - IPRIO_FIRST) * 4;
  let value = 0n;
  for (let i = 7; i >= 0; i--) value = (value << 8n) | BigInt(h.core.aia[priorities][first + i]!);
  return value;
}

function writePriorities(h: CsrContext, level: Level, select: number, value: bigint): void {
  const first = (select - IPRIO_FIRST) * 4;
  const mask = level.controller(h)?.priorityMask ?? 0xff;
  for (let i = 0; i < 8; i++) {
    const isSettable = ((level.settable >> BigInt(first + i)) & 1n) !== 0n;
    if (isSettable) h.core.aia[level.priorities][first + i] = Number((value >> BigInt(8 * i)) & 0xffn) & mask;
  }
}

/** mstateen0 guards what the supervisor has. */
const mayReach = (h: CsrContext, level: Level, bit: bigint): boolean => level === machine || stateEnabled(h, bit);

function isSelectedThere(h: CsrContext, level: Level): boolean {
  const select = h.core.aia[level.select];
  if (!h.has(level.extension)) return false;
  if (isPriority(select)) return select % 2 === 0 && mayReach(h, level, Mstateen.aia);
  if (!isFile(select) || !level.mayReachFile(h)) return false;
  return level.controller(h)?.file?.readRegister(select) !== undefined;
}

function levelCsrs(level: Level): Csr[] {
  const { letter, numbers } = level;
  const exists = (h: CsrContext): boolean => h.has(level.extension);
  const selects = (h: CsrContext): boolean =>
    (exists(h) || h.has(level.indirect)) && mayReach(h, level, Mstateen.csrind);
  return [
    {
      number: numbers.select,
      name: `${letter}iselect`,
      available: selects,
      read: (h) => BigInt(h.core.aia[level.select]),
      write: (h, value) => {
        h.core.aia[level.select] = Number(value & (h.has(level.indirect) ? WIDE_SELECT_MASK : SELECT_MASK));
      },
    },
    {
      number: numbers.register,
      name: `${letter}ireg`,
      available: (h) => selects(h) && isSelectedThere(h, level),
      read: (h) => {
        const select = h.core.aia[level.select];
        if (isPriority(select)) return readPriorities(h, level, select);
        return level.controller(h)?.file?.readRegister(select) ?? 0n;
      },
      write: (h, value) => {
        const select = h.core.aia[level.select];
        if (isPriority(select)) writePriorities(h, level, select, value);
        else level.controller(h)?.file?.writeRegister(select, value);
      },
    },
    {
      number: numbers.topei,
      name: `${letter}topei`,
      available: (h) => exists(h) && level.controller(h)?.file !== undefined && level.mayReachFile(h),
      read: (h) => {
        const identity = BigInt(level.controller(h)?.file?.top ?? 0);
        return (identity << 16n) | identity;
      },
      write: (h) => level.controller(h)?.file?.claim(),
    },
    {
      number: numbers.topi,
      name: `${letter}topi`,
      available: (h) => exists(h) && mayReach(h, level, Mstateen.aia),
      read: (h) => BigInt(level.top(h)),
    },
  ];
}

/** Bits of mvip that are those of mip: SEIP always is software's own bit there (§5.3). */
function aliases(h: CsrContext): bigint {
  return SEIP | ((h.core.aia.mvien & SSIP) === 0n ? SSIP : 0n) | (timerByCompare(h) ? 0n : STIP);
}

export function readMvip(h: CsrContext): bigint {
  const shared = aliases(h);
  return (h.core.get(F.mip) & shared) | (h.core.aia.mvip & ~shared);
}

export function writeMvip(h: CsrContext, value: bigint, mask: bigint): void {
  const shared = aliases(h) & mask;
  h.core.set(F.mip, (h.core.get(F.mip) & ~shared) | (value & shared));
  const own = VIRTUAL & ~aliases(h) & mask;
  h.core.aia.mvip = (h.core.aia.mvip & ~own) | (value & own);
}

const hasVirtualInterrupts = (h: CsrContext): boolean => h.has("smaia") && h.has("s");

export const aiaCsrs: readonly Csr[] = [
  ...levelCsrs(machine),
  ...levelCsrs(supervisor),
  {
    number: 0x308,
    name: "mvien",
    available: hasVirtualInterrupts,
    read: (h) => h.core.aia.mvien,
    write: (h, value) => {
      h.core.aia.mvien = value & VIRTUAL;
      h.contextChanged("none");
    },
  },
  {
    number: 0x309,
    name: "mvip",
    available: hasVirtualInterrupts,
    read: readMvip,
    write: (h, value) => writeMvip(h, value, 0xffff_ffff_ffff_ffffn),
  },
];
