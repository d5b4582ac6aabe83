// A set of interrupt sources as words of 32 bits.

export class BitSet {
  readonly words: Uint32Array;

  constructor(bitCount: number) {
    this.words = new Uint32Array(Math.ceil(bitCount / 32));
  }

  has(n: number): boolean {
    return (this.words[n >>> 5]! & (1 << (n & 31))) !== 0;
  }

  set(n: number, on: boolean): void {
    const bit = 1 << (n & 31);
    if (on) this.words[n >>> 5]! |= bit;
    else this.words[n >>> 5]! &= ~bit;
  }

  clear(): void {
    this.words.fill(0);
  }

  save(): number[] {
    return Array.from(this.words);
  }

  /** Words that are missing are empty, those too many are dropped. */
  load(words: readonly number[]): void {
    for (let word = 0; word < this.words.length; word++) this.words[word] = words[word] ?? 0;
  }
}
