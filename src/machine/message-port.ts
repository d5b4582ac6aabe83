// Message-signalled interrupts on a board: a message is a write to the address space, as from any device.
import { iova, type TracePort } from "../base/index.ts";
import type { MsiPort } from "../device/index.ts";
import { DmaStatus, dmaPort, type AddressSpace } from "../memory/index.ts";

/** Messages of the device named `sender`. */
export function messagePort(space: AddressSpace, sender: string, trace: TracePort): MsiPort {
  const dma = dmaPort(space, sender);
  return {
    send(address, data) {
      const status = dma.write(iova(address), new Uint8Array(Uint32Array.of(data).buffer));
      if (status !== DmaStatus.ok) trace.guestError(sender, `nobody takes messages at 0x${address.toString(16)}`);
    },
  };
}
