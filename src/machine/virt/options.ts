// What can be chosen about the board itself.

/** `-machine` properties of QEMU's board. */
export interface VirtOptions {
  /** ACLINT devices in place of a CLINT. */
  readonly aclint: boolean;
  /** The interrupt controller: a PLIC, or the Advanced Interrupt Architecture's, with wires or with messages. */
  readonly aia: "none" | "aplic" | "aplic-imsic";
}

export const plainOptions: VirtOptions = { aclint: false, aia: "none" };
