// Configuration space as registers that are declared: where, how wide, which bits can be written, which are cleared by
// writing ones, what a write does. Accesses of any width come down to bytes; registers hear of writes that touch them.
import { assert } from "../../base/index.ts";

export interface ConfigRegisterSpec {
  /** Byte offset from the start of what is defined. */
  readonly at: number;
  readonly widthBytes: 1 | 2 | 3 | 4;
  /** Default 0. */
  readonly reset?: number;
  /** Bits that software can write. Default: none. */
  readonly writable?: number;
  /** Bits that software clears by writing ones. Default: none. */
  readonly clearable?: number;
  /** The device changes bits that software cannot write (status, pending bits). */
  readonly isLive?: boolean;
}

/** One register. `value` is the device's side: no masks, no hook. */
export class ConfigRegister {
  readonly name: string;
  /** Byte offset in configuration space. */
  readonly at: number;
  readonly widthBytes: number;
  readonly isLive: boolean;
  /** After a write that touched the register: its new value and the one before. */
  onWrite: ((value: number, before: number) => void) | undefined;
  /** Before a read that touches the register: it may set its value. */
  onRead: (() => void) | undefined;
  readonly #bytes: Uint8Array;
  #reset: number;

  constructor(name: string, at: number, spec: ConfigRegisterSpec, bytes: Uint8Array) {
    this.name = name;
    this.at = at;
    this.widthBytes = spec.widthBytes;
    this.#reset = spec.reset ?? 0;
    this.isLive = spec.isLive ?? false;
    this.#bytes = bytes;
  }

  get value(): number {
    return readBytes(this.#bytes, this.at, this.widthBytes);
  }

  set value(value: number) {
    writeBytes(this.#bytes, this.at, this.widthBytes, value);
  }

  /** Sets what the register is, also after resets; while a function is put together. */
  setFixed(value: number): void {
    this.#reset = value;
    this.value = value;
  }

  reset(): void {
    this.value = this.#reset;
  }
}

export class ConfigSpace {
  readonly lengthBytes: number;
  readonly registers: ConfigRegister[] = [];
  readonly #bytes: Uint8Array;
  readonly #writable: Uint8Array;
  readonly #clearable: Uint8Array;
  readonly #defined: Uint8Array;

  constructor(lengthBytes: number) {
    this.lengthBytes = lengthBytes;
    this.#bytes = new Uint8Array(lengthBytes);
    this.#writable = new Uint8Array(lengthBytes);
    this.#clearable = new Uint8Array(lengthBytes);
    this.#defined = new Uint8Array(lengthBytes);
  }

  /** Defines registers from byte `base` on; `prefix` stands before their names in traces and listings. */
  define<const T extends Readonly<Record<string, ConfigRegisterSpec>>>(
    prefix: string,
    base: number,
    table: T,
  ): { readonly [K in keyof T]: ConfigRegister } {
    const made: Record<string, ConfigRegister> = {};
    for (const [name, spec] of Object.entries(table)) {
      const at = base + spec.at;
      assert(at + spec.widthBytes <= this.lengthBytes, "a register lies in configuration space", prefix, name);
      for (let i = 0; i < spec.widthBytes; i++) {
        assert(this.#defined[at + i] === 0, "a byte belongs to one register", prefix, name);
        this.#defined[at + i] = 1;
      }
      writeBytes(this.#writable, at, spec.widthBytes, spec.writable ?? 0);
      writeBytes(this.#clearable, at, spec.widthBytes, spec.clearable ?? 0);
      const register = new ConfigRegister(`${prefix}.${name}`, at, spec, this.#bytes);
      register.reset();
      this.registers.push(register);
      made[name] = register;
    }
    return made as { readonly [K in keyof T]: ConfigRegister };
  }

  /** The register that was defined under this name, with its prefix. */
  register(name: string): ConfigRegister {
    const found = this.registers.find((register) => register.name === name);
    assert(found !== undefined, "a register is defined before it is asked for", name);
    return found;
  }

  /** `widthBytes` bytes at `at`, little-endian; past the end there are ones. */
  read(at: number, widthBytes: number): number {
    const end = at + widthBytes;
    if (end > this.lengthBytes) return widthBytes === 4 ? 0xffff_ffff : 2 ** (8 * widthBytes) - 1;
    for (const register of this.registers) {
      if (register.onRead !== undefined && register.at < end && register.at + register.widthBytes > at)
        register.onRead();
    }
    return readBytes(this.#bytes, at, widthBytes);
  }

  /** Software's write; bits that cannot be written stay. */
  write(at: number, widthBytes: number, value: number): void {
    if (at + widthBytes > this.lengthBytes) return;
    const end = at + widthBytes;
    const touched = this.registers.filter((r) => r.onWrite !== undefined && r.at < end && r.at + r.widthBytes > at);
    const before = touched.map((r) => r.value);
    for (let i = 0; i < widthBytes; i++) {
      const byte = (value >>> (8 * i)) & 0xff;
      const old = this.#bytes[at + i]!;
      const writable = this.#writable[at + i]!;
      this.#bytes[at + i] = (old & ~writable & ~(byte & this.#clearable[at + i]!)) | (byte & writable);
    }
    touched.forEach((register, i) => register.onWrite!(register.value, before[i]!));
  }

  /** Every register to its reset value, without hooks. */
  reset(): void {
    for (const register of this.registers) register.reset();
  }

  /** A copy of all bytes. */
  save(): Uint8Array {
    return this.#bytes.slice();
  }

  /** Name of the first read-only register in which `saved` differs from this function, if any. */
  mismatch(saved: Uint8Array): string | undefined {
    const differs = (at: number): boolean => {
      const fixed = ~(this.#writable[at]! | this.#clearable[at]!);
      return ((saved[at]! ^ this.#bytes[at]!) & fixed & 0xff) !== 0;
    };
    return this.registers.find(({ at, widthBytes, isLive }) => {
      if (isLive) return false;
      for (let i = 0; i < widthBytes; i++) if (differs(at + i)) return true;
      return false;
    })?.name;
  }

  /** Takes saved bytes over, without hooks. */
  load(saved: Uint8Array): void {
    this.#bytes.set(saved.subarray(0, this.lengthBytes));
  }
}

function readBytes(bytes: Uint8Array, at: number, widthBytes: number): number {
  let value = 0;
  for (let i = widthBytes - 1; i >= 0; i--) value = value * 256 + bytes[at + i]!;
  return value;
}

function writeBytes(bytes: Uint8Array, at: number, widthBytes: number, value: number): void {
  for (let i = 0; i < widthBytes; i++) bytes[at + i] = (value >>> (8 * i)) & 0xff;
}
