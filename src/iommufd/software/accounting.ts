// Who pays for pinned pages: per user, per address space, or nobody (RLIMIT_MEMLOCK accounting of the kernel).
import type { Caller, MemorySpace } from "../port.ts";
import { Errno } from "../uapi/index.ts";

export type AccountMode = "none" | "user" | "space";

/** On whose bill a set of pages stands. */
export interface Payer {
  readonly mode: AccountMode;
  readonly space: MemorySpace;
  readonly uid: number;
  readonly limitPages: () => number;
}

const payers = new WeakMap<Caller, Partial<Record<AccountMode, Payer>>>();

/** The same object for the same caller and mode. */
export function payerOf(caller: Caller, mode: AccountMode): Payer {
  let known = payers.get(caller);
  if (known === undefined) payers.set(caller, (known = {}));
  const { credentials, memory } = caller;
  return (known[mode] ??= {
    mode,
    space: memory.space,
    uid: credentials.uid,
    limitPages: () => credentials.memlockLimitPages(),
  });
}

export class Accounting {
  readonly #lockedByUser = new Map<number, number>();
  readonly #spaces = new Map<number, { pinnedPages: number; lockedPages: number }>();

  /** Zero, or -ENOMEM when the limit would be passed; then nothing is charged. */
  charge(payer: Payer, pages: number): number {
    if (pages === 0) return 0;
    const space = this.#space(payer.space);
    if (payer.mode === "user") {
      const locked = (this.#lockedByUser.get(payer.uid) ?? 0) + pages;
      if (locked > payer.limitPages()) return -Errno.ENOMEM;
      this.#lockedByUser.set(payer.uid, locked);
    } else if (payer.mode === "space") {
      if (space.lockedPages + pages > payer.limitPages()) return -Errno.ENOMEM;
      space.lockedPages += pages;
    }
    space.pinnedPages += pages;
    return 0;
  }

  uncharge(payer: Payer, pages: number): void {
    if (pages === 0) return;
    const space = this.#space(payer.space);
    space.pinnedPages -= pages;
    if (payer.mode === "user") {
      const left = (this.#lockedByUser.get(payer.uid) ?? 0) - pages;
      if (left === 0) this.#lockedByUser.delete(payer.uid);
      else this.#lockedByUser.set(payer.uid, left);
    } else if (payer.mode === "space") {
      space.lockedPages -= pages;
    }
    if (space.pinnedPages === 0 && space.lockedPages === 0) this.#spaces.delete(payer.space.id);
  }

  of(space: MemorySpace): { readonly pinnedPages: number; readonly lockedPages: number } {
    return this.#spaces.get(space.id) ?? { pinnedPages: 0, lockedPages: 0 };
  }

  /** As plain data. */
  snapshot(): object {
    return { users: [...this.#lockedByUser], spaces: [...this.#spaces].map(([id, bill]) => [id, { ...bill }]) };
  }

  /** True when nobody owes anything. */
  get isClear(): boolean {
    return this.#spaces.size === 0 && this.#lockedByUser.size === 0;
  }

  #space(space: MemorySpace): { pinnedPages: number; lockedPages: number } {
    let entry = this.#spaces.get(space.id);
    if (entry === undefined) {
      entry = { pinnedPages: 0, lockedPages: 0 };
      this.#spaces.set(space.id, entry);
    }
    return entry;
  }
}
