// The host's back ends as devices ask for them: by name, each for one device.
import type { BlockNode } from "../../block/port.ts";
import type { CharBackend } from "../../chardev/port.ts";
import { MachineError } from "../errors.ts";

/** Throws `MachineError` for a name that does not exist or is taken. */
export class Backends {
  readonly #chardevs: ReadonlyMap<string, CharBackend>;
  readonly #blockNodes: ReadonlyMap<string, BlockNode>;
  readonly #users = new Map<CharBackend | BlockNode, string>();

  constructor(host: {
    readonly chardevs: ReadonlyMap<string, CharBackend>;
    readonly blockNodes: ReadonlyMap<string, BlockNode>;
  }) {
    this.#chardevs = host.chardevs;
    this.#blockNodes = host.blockNodes;
  }

  chardev(id: string, user: string): CharBackend {
    return this.#take(this.#chardevs, "chardev", id, user);
  }

  blockNode(name: string | undefined, user: string): BlockNode {
    if (name === undefined) {
      throw new MachineError("badConfig", `"${user}" has no drive; drive=NODE would do`, { subject: user });
    }
    return this.#take(this.#blockNodes, "block node", name, user);
  }

  /** What `user` had is free again. */
  release(user: string): void {
    for (const [backend, who] of this.#users) if (who === user) this.#users.delete(backend);
  }

  #take<T extends CharBackend | BlockNode>(from: ReadonlyMap<string, T>, kind: string, id: string, user: string): T {
    const backend = from.get(id);
    if (backend === undefined) {
      const known = from.size === 0 ? "there is none" : `known are ${[...from.keys()].join(", ")}`;
      throw new MachineError("unknownBackend", `There is no ${kind} "${id}" for "${user}"; ${known}`, {
        subject: user,
      });
    }
    const other = this.#users.get(backend);
    if (other !== undefined) {
      throw new MachineError("badConfig", `${kind} "${id}" for "${user}" is in use by "${other}"`, { subject: user });
    }
    this.#users.set(backend, user);
    return backend;
  }
}
