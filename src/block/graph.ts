// The block nodes of a machine by name, and who uses them.
import { BlockError } from "./errors.ts";
import type { BlockNode } from "./port.ts";

/** Owns its nodes: `close` closes them. */
export class BlockGraph {
  readonly #nodes = new Map<string, { readonly node: BlockNode; user: string | undefined }>();

  /** Throws BlockError `duplicateNode`. */
  add(node: BlockNode): void {
    const { nodeName } = node;
    if (this.#nodes.has(nodeName)) {
      throw new BlockError("duplicateNode", `Duplicate node name '${nodeName}'`, { subject: nodeName });
    }
    this.#nodes.set(nodeName, { node, user: undefined });
  }

  find(nodeName: string): BlockNode | undefined {
    return this.#nodes.get(nodeName)?.node;
  }

  /** The nodes by name, for a MachineHost. */
  get nodes(): ReadonlyMap<string, BlockNode> {
    return new Map([...this.#nodes].map(([name, { node }]) => [name, node]));
  }

  /**
   * Gives a node to one device or node, which writes to it alone. Throws BlockError `noSuchNode` or `inUse`.
   *
   * @param user appears in the error of the next who asks
   */
  claim(nodeName: string, user: string): BlockNode {
    const entry = this.#nodes.get(nodeName);
    if (entry === undefined) {
      const names = [...this.#nodes.keys()].map((name) => `'${name}'`).join(", ");
      const known = names === "" ? "there are none" : `there are ${names}`;
      throw new BlockError("noSuchNode", `Cannot find block node '${nodeName}'; ${known}`, { subject: nodeName });
    }
    if (entry.user !== undefined) {
      throw new BlockError("inUse", `Block node '${nodeName}' is used by ${entry.user}`, { subject: nodeName });
    }
    entry.user = user;
    return entry.node;
  }

  release(nodeName: string): void {
    const entry = this.#nodes.get(nodeName);
    if (entry !== undefined) entry.user = undefined;
  }

  /** Takes a node out and closes it. Throws BlockError `noSuchNode` or `inUse`. */
  async remove(nodeName: string): Promise<void> {
    const node = this.claim(nodeName, "its removal");
    this.#nodes.delete(nodeName);
    await node.close();
  }

  /** Closes every node, even when one fails; rejects with the first failure. */
  async close(): Promise<void> {
    const nodes = [...this.#nodes.values()].map(({ node }) => node);
    this.#nodes.clear();
    const outcomes = await Promise.allSettled(nodes.map((node) => node.close()));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }
}
