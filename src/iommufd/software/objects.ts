// The objects of one context and their numbers: lowest free first, from 1. An object lives while somebody besides the table
// uses it; a number can also stay reserved for ever (tombstone).
import { assert } from "../../base/index.ts";
import { Errno } from "../uapi/index.ts";
import type { HostMemory } from "./host-memory.ts";

export type ObjectType =
  | "device"
  | "hwpt-paging"
  | "hwpt-nested"
  | "ioas"
  | "access"
  | "fault"
  | "viommu"
  | "vdevice"
  | "veventq"
  | "hw-queue"
  | "selftest";

export abstract class IommufdObject {
  abstract readonly type: ObjectType;
  id = 0;
  /** 1 is the table's own; DESTROY wants exactly that. */
  users = 1;

  /** Lets go of everything the object holds. */
  abstract destroy(): void;
  /** What there is to tell of it besides number, type and uses, as plain data. */
  abstract snapshot(): object;
  /** Runs when the owner is about to destroy the object, before its users are counted. */
  preDestroy(): void {}
}

const RESERVED = Symbol("reserved");
type Slot = IommufdObject | typeof RESERVED | undefined;

export class ObjectTable {
  readonly #memory: HostMemory;
  readonly #slots: Slot[] = [RESERVED];
  /** Freed numbers, a binary heap with the lowest on top. */
  readonly #free: number[] = [];
  #taken = 0;

  constructor(memory: HostMemory) {
    this.#memory = memory;
  }

  /** Reserves a number for `object`, which nobody finds before `publish`. -ENOMEM under fault injection. */
  reserve(object: IommufdObject): number {
    if (this.#memory.failAt("alloc")) return -Errno.ENOMEM;
    const id = this.#free.length > 0 ? this.#popFree() : this.#slots.length;
    this.#slots[id] = RESERVED;
    this.#taken++;
    object.id = id;
    return 0;
  }

  publish(object: IommufdObject): void {
    assert(this.#slots[object.id] === RESERVED, "an object is published in the place reserved for it", object.id);
    this.#slots[object.id] = object;
  }

  /** Gives the number of a never published object back. */
  abandon(object: IommufdObject): void {
    this.#erase(object.id);
  }

  /** The object of this type, or undefined (ENOENT). */
  get<T extends IommufdObject>(id: number, type: T["type"]): T | undefined {
    const object = this.any(id);
    return object !== undefined && object.type === type ? (object as T) : undefined;
  }

  any(id: number): IommufdObject | undefined {
    if (this.#memory.failAt("lookup")) return undefined;
    const slot = id > 0 ? this.#slots[id] : undefined;
    return slot === RESERVED ? undefined : slot;
  }

  /** DESTROY: zero, -ENOENT or -EBUSY. */
  remove(id: number): number {
    const slot = id > 0 ? this.#slots[id] : undefined;
    if (slot === undefined || slot === RESERVED) return -Errno.ENOENT;
    if (slot.users !== 1) return -Errno.EBUSY;
    this.#erase(id);
    slot.destroy();
    return 0;
  }

  /** The driver that made the object gives its own use back and destroys it; nobody else may use it by then. */
  removeByOwner(object: IommufdObject): void {
    object.preDestroy();
    object.users--;
    assert(object.users === 1, "an object's owner is its last user", object.type, object.users);
    this.#erase(object.id);
    object.destroy();
  }

  /** Destroys an object because what it stands for is going away; its number stays taken until the context is gone. */
  tombstone(object: IommufdObject): void {
    assert(object.users === 1, "nobody uses what is buried", object.type, object.users);
    this.#slots[object.id] = RESERVED;
    object.destroy();
  }

  /** As `remove`, for an object that may still be used: then it stays. */
  removeIfUnused(object: IommufdObject): void {
    if (object.users !== 1 || this.#slots[object.id] !== object) return;
    this.#erase(object.id);
    object.destroy();
  }

  /** True when no number is taken, tombstones included. */
  get isEmpty(): boolean {
    return this.#taken === 0;
  }

  snapshot(): readonly object[] {
    return [...this.all()].map((object) => {
      const { id, type, users } = object;
      return { id, type, users, ...object.snapshot() };
    });
  }

  *all(): Generator<IommufdObject> {
    for (const slot of this.#slots) if (slot !== undefined && slot !== RESERVED) yield slot;
  }

  /** The context is gone: leaves go first, until nothing is left. */
  destroyAll(): void {
    for (;;) {
      let found = false;
      let destroyed = false;
      for (let id = 1; id < this.#slots.length; id++) {
        const slot = this.#slots[id];
        if (slot === undefined || slot === RESERVED) continue;
        found = true;
        if (slot.users !== 1) continue;
        this.#erase(id);
        slot.destroy();
        destroyed = true;
      }
      if (!found) return;
      assert(destroyed, "users of objects form no cycle");
    }
  }

  #erase(id: number): void {
    this.#slots[id] = undefined;
    this.#taken--;
    this.#pushFree(id);
  }

  #pushFree(id: number): void {
    const heap = this.#free;
    let at = heap.push(id) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (heap[parent]! <= id) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = id;
  }

  #popFree(): number {
    const heap = this.#free;
    const top = heap[0]!;
    const moved = heap.pop()!;
    if (heap.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= moved) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = moved;
    return top;
  }
}
