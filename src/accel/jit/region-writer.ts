// hot: bench/compile.ts
// The instructions of a region's function, encoded one by one.
import { ByteWriter, control, type Local } from "../../wasm/index.ts";

const emptyType = 0x40;

export class RegionWriter {
  /** The function's locals and instructions, as the code section holds them without their length. */
  readonly out: ByteWriter = new ByteWriter(1 << 16);
  /** Branch hints: offsets from the function's start, and 1 for taken. */
  readonly hints: number[] = [];
  /** How many blocks are open. */
  protected depth = 0;

  protected get(local: Local): void {
    this.out.u8(control.localGet);
    this.out.u32(local);
  }

  protected set(local: Local): void {
    this.out.u8(control.localSet);
    this.out.u32(local);
  }

  protected tee(local: Local): void {
    this.out.u8(control.localTee);
    this.out.u32(local);
  }

  protected i32(value: number): void {
    this.out.u8(control.i32Const);
    this.out.s32(value);
  }

  /** A value of 32 bits, which is encoded as it would be with 64. */
  protected i64(value: number): void {
    this.out.u8(control.i64Const);
    this.out.s32(value);
  }

  protected memory(code: number, offset: number): void {
    this.out.u8(code);
    this.out.u8(0);
    this.out.u32(offset);
  }

  protected open(code: number): void {
    this.out.u8(code);
    this.out.u8(emptyType);
    this.depth++;
  }

  protected end(): void {
    this.out.u8(control.end);
    this.depth--;
  }

  protected br(level: number): void {
    this.out.u8(control.br);
    this.out.u32(this.depth - level);
  }

  protected brIf(level: number): void {
    this.hintNext(0);
    this.out.u8(control.brIf);
    this.out.u32(this.depth - level);
  }

  protected hintNext(taken: number): void {
    this.hints.push(this.out.length, taken);
  }
}
