// Log pages, §5.14: errors, health, firmware, effects of commands; and the counters behind them.
import { bytes, layout, u16le, u32le, u64le, u8 } from "../../../base/index.ts";
import { AdminOpcode, FIRMWARE_REVISION, IoOpcode, LogPage, Temperature } from "./spec.ts";

/** Errors that are remembered. */
export const ERROR_LOG_ENTRIES = 16;
const ERROR_ENTRY_BYTES = 64;

/** Figure 194. */
const ErrorEntry = layout("error log entry", ERROR_ENTRY_BYTES, {
  errorCount: u64le,
  queueId: u16le,
  commandId: u16le,
  status: u16le,
  parameter: u16le,
  block: u64le,
  namespaceId: u32le,
  _28: bytes(36),
});

/** Figure 195; counters of 16 bytes, whose upper halves stay zero here. */
const Smart = layout("SMART log", 512, {
  criticalWarning: u8,
  temperature: u16le,
  availableSpare: u8,
  spareThreshold: u8,
  percentageUsed: u8,
  _6: bytes(26),
  unitsRead: u64le,
  _40: u64le,
  unitsWritten: u64le,
  _56: u64le,
  readCommands: u64le,
  _72: u64le,
  writeCommands: u64le,
  _88: u64le,
  busyMinutes: u64le,
  _104: u64le,
  powerCycles: u64le,
  _120: u64le,
  powerOnHours: u64le,
  _136: u64le,
  unsafeShutdowns: u64le,
  _152: u64le,
  mediaErrors: u64le,
  _168: u64le,
  errorCount: u64le,
  _184: bytes(512 - 184),
});

export interface LoggedError {
  readonly queueId: number;
  readonly commandId: number;
  /** As in the completion: code and flags, without phase. */
  readonly status: number;
  readonly block: bigint;
  readonly namespaceId: number;
}

/** §5.14.1.3: data units are thousands of 512 bytes, rounded up. */
const DATA_UNIT_BYTES = 512_000;

/** Effects: supported; changes content; changes a namespace; changes what it can do; submit alone. Figure 202. */
const SUPPORTED = 1;
const EFFECTS_WRITE = SUPPORTED | 2;
const EFFECTS_FORMAT = SUPPORTED | 2 | 4 | 8 | (1 << 16);

export class LogPages {
  bytesRead = 0;
  bytesWritten = 0;
  readCommands = 0;
  writeCommands = 0;
  mediaErrors = 0;
  errorCount = 0n;
  #errors: (LoggedError & { readonly number: bigint })[] = [];

  get errors(): readonly (LoggedError & { readonly number: bigint })[] {
    return this.#errors;
  }

  noteError(error: LoggedError): void {
    this.errorCount++;
    this.#errors.unshift({ ...error, number: this.errorCount });
    this.#errors.length = Math.min(this.#errors.length, ERROR_LOG_ENTRIES);
  }

  /** After a reset of the machine, or with what was saved. */
  setErrors(errors: readonly (LoggedError & { readonly number: bigint })[]): void {
    this.#errors = errors.slice(0, ERROR_LOG_ENTRIES);
  }

  /** A page's bytes; undefined for one that there is not. */
  page(id: number, isTooWarm: boolean): Uint8Array | undefined {
    switch (id) {
      case LogPage.error:
        return this.#errorPage();
      case LogPage.smart:
        return this.#smartPage(isTooWarm);
      case LogPage.firmware:
        return firmwarePage();
      case LogPage.effects:
        return effectsPage();
      default:
        return undefined;
    }
  }

  #errorPage(): Uint8Array {
    const page = new Uint8Array(ERROR_LOG_ENTRIES * ERROR_ENTRY_BYTES);
    this.#errors.forEach(({ number, queueId, commandId, status, block, namespaceId }, i) => {
      // No byte of the command is named as the culprit; the phase bit below the status stays zero.
      const entry = { errorCount: number, queueId, commandId, status: (status << 1) & 0xffff, parameter: 0xffff };
      ErrorEntry.encode({ ...entry, block, namespaceId }, page, i * ERROR_ENTRY_BYTES);
    });
    return page;
  }

  #smartPage(isTooWarm: boolean): Uint8Array {
    return Smart.encode({
      criticalWarning: isTooWarm ? 2 : 0,
      temperature: Temperature.now,
      availableSpare: 100,
      spareThreshold: 10,
      unitsRead: BigInt(Math.ceil(this.bytesRead / DATA_UNIT_BYTES)),
      unitsWritten: BigInt(Math.ceil(this.bytesWritten / DATA_UNIT_BYTES)),
      readCommands: BigInt(this.readCommands),
      writeCommands: BigInt(this.writeCommands),
      mediaErrors: BigInt(this.mediaErrors),
      errorCount: this.errorCount,
      powerCycles: 1n,
    });
  }
}

/** Figure 198: slot 1 is active. */
function firmwarePage(): Uint8Array {
  const page = new Uint8Array(512);
  page[0] = 1;
  page.set(new TextEncoder().encode(FIRMWARE_REVISION.padEnd(8)), 8);
  return page;
}

function effectsPage(): Uint8Array {
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  const changing: number[] = [IoOpcode.write, IoOpcode.writeZeroes, IoOpcode.datasetManagement];
  for (const opcode of Object.values(AdminOpcode)) {
    view.setUint32(4 * opcode, opcode === AdminOpcode.format ? EFFECTS_FORMAT : SUPPORTED, true);
  }
  for (const opcode of Object.values(IoOpcode)) {
    view.setUint32(1024 + 4 * opcode, changing.includes(opcode) ? EFFECTS_WRITE : SUPPORTED, true);
  }
  return page;
}
