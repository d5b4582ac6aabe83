// The memory instructions that generated code leaves to TypeScript: cache blocks (Zicbom, Zicboz) and pairs (Zacas).
import { HelperStatus } from "../../accel/index.ts";
import type { CsrContext } from "./csr/definition.ts";
import { rd, rs1, rs2 } from "./encoding.ts";
import { F, Menvcfg, W, type HartCore } from "./hart-core.ts";
import type { MemoryAccess } from "./memory-access.ts";
import type { InstructionOwner } from "./system-instructions.ts";

/** By the immediate of their encodings (unprivileged spec §19.6). */
export const CacheBlockOperation = { inval: 0, clean: 1, flush: 2, zero: 4 } as const;

/** What lets a lower mode execute the operation, as bits of menvcfg and senvcfg (privileged spec §3.1.18). */
const enables: Readonly<Record<number, number>> = {
  [CacheBlockOperation.inval]: Number(Menvcfg.cbie),
  [CacheBlockOperation.clean]: Number(Menvcfg.cbcfe),
  [CacheBlockOperation.flush]: Number(Menvcfg.cbcfe),
  [CacheBlockOperation.zero]: Number(Menvcfg.cbze),
};

export class MemoryInstructions {
  private readonly core: HartCore;
  private readonly context: CsrContext;
  private readonly access: MemoryAccess;
  private readonly owner: InstructionOwner;

  constructor(owner: InstructionOwner, context: CsrContext, access: MemoryAccess) {
    this.owner = owner;
    this.context = context;
    this.core = context.core;
    this.access = access;
  }

  helpers(): Record<string, (arg: number) => HelperStatus> {
    return {
      cacheBlock: (word) => this.cacheBlock(word),
      compareAndSwapPair: (word) => this.compareAndSwapPair(word),
    };
  }

  private cacheBlock(word: number): HelperStatus {
    const operation = word >>> 20;
    const wanted = enables[operation]!;
    if (!this.core.isEnabled(wanted, this.context.has("s"))) return this.owner.illegalInstruction(word);
    const at = W.x + rs1(word) * 2;
    const low = this.core.word(at);
    const high = this.core.word(at + 1);
    // Memory is always coherent here, so management operations only check their permissions.
    const done =
      operation === CacheBlockOperation.zero ? this.access.zeroBlock(low, high) : this.access.probeBlock(low, high);
    return done ? HelperStatus.next : this.owner.resume();
  }

  /** amocas.q: register n holds the low half and n + 1 the high one, but the pair of x0 reads as zero (unprivileged spec §15.1). */
  private compareAndSwapPair(word: number): HelperStatus {
    const { core } = this;
    const [destination, address, source] = [rd(word), rs1(word), rs2(word)];
    core.set(F.memVa, core.x(address));
    const at = this.access.atomic(16, 1) >>> 3;
    if (at === 0) return this.owner.resume();
    const highOf = (register: number): bigint => (register === 0 ? 0n : core.x(register + 1));
    const [oldLow, oldHigh] = [core.r64[at]!, core.r64[at + 1]!];
    if (oldLow === core.x(destination) && oldHigh === highOf(destination)) {
      core.r64[at] = core.x(source);
      core.r64[at + 1] = highOf(source);
    }
    if (destination !== 0) {
      core.setX(destination, oldLow);
      core.setX(destination + 1, oldHigh);
    }
    return HelperStatus.next;
  }
}
