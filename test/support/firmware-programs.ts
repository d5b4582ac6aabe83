// Machine-mode programs of a few instructions, as raw firmware images for 0x80000000. Assembled with
// riscv64-linux-gnu-as -march=rv64im; the source stands beside each word.

const UART = 0x100002b7; // lui t0, 0x10000
const SELF = 0x0000006f; // j .

/** Writes `word` to the test finisher at 0x100000, then loops. */
function finish(high: number, low: number): number[] {
  // lui t3, 0x100; lui t4, high; addiw t4, t4, low; sw t4, 0(t3); j .
  return [0x00100e37, ((high << 12) | 0xeb7) >>> 0, ((low << 20) | 0xe8e9b) >>> 0, 0x01de2023, SELF];
}

function image(words: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(words).buffer);
}

const POWER_OFF = finish(0x5, 0x555);

/** Sends every byte that it receives back; powers off after a `q`. */
export const echoProgram: Uint8Array = image([
  UART,
  0x0052c303, // 1: lbu t1, 5(t0)
  0x00137313, //    andi t1, t1, 1
  0xfe030ce3, //    beqz t1, 1b
  0x0002c503, //    lbu a0, 0(t0)
  0x00a28023, //    sb a0, 0(t0)
  0x07100393, //    li t2, 'q'
  0xfe7514e3, //    bne a0, t2, 1b
  ...POWER_OFF,
]);

/** Writes `!`, then computes for ever. */
export const spinProgram: Uint8Array = image([
  UART,
  0x02100313, //    li t1, '!'
  0x00628023, //    sb t1, 0(t0)
  0x00150513, // 1: addi a0, a0, 1
  0xffdff06f, //    j 1b
]);

/** Writes to each page of 16 MiB from 0x81000000 on in turn, as fast as it can. */
export const dirtyProgram: Uint8Array = image([
  0x00100513, //    li a0, 1
  0x01f51513, //    slli a0, a0, 31
  0x01000337, //    lui t1, 0x1000
  0x00650533, //    add a0, a0, t1
  0x006505b3, //    add a1, a0, t1
  0x00001337, //    lui t1, 1
  0x00050293, // 1: mv t0, a0
  0x00c2b023, // 2: sd a2, 0(t0)
  0x00160613, //    addi a2, a2, 1
  0x006282b3, //    add t0, t0, t1
  0xfeb29ae3, //    bne t0, a1, 2b
  0xfedff06f, //    j 1b
]);

/** Ends with the finisher's failure 7. */
export const failProgram: Uint8Array = image(finish(0x73, 0x333));

/** Writes `R` and resets the machine. */
export const resetProgram: Uint8Array = image([
  UART,
  0x05200313, // li t1, 'R'
  0x00628023, // sb t1, 0(t0)
  ...finish(0x7, 0x777),
]);

/** Writes 300,000 times `a` as fast as the transmitter takes it, and powers off. */
export const floodProgram: Uint8Array = image([
  UART,
  0x06100593, //    li a1, 'a'
  0x00000613, //    li a2, 0
  0x0052c303, // 1: lbu t1, 5(t0)
  0x02037313, //    andi t1, t1, 0x20
  0xfe030ce3, //    beqz t1, 1b
  0x00b28023, //    sb a1, 0(t0)
  0x00160613, //    addi a2, a2, 1
  0x000496b7, //    li a3, 300000
  0x3e06869b,
  0xfed612e3, //    bne a2, a3, 1b
  ...POWER_OFF,
]);
export const FLOOD_BYTES = 300_000;
