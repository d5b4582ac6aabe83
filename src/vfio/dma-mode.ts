// Who makes the page tables of assigned devices.
/** `hwpt`: page tables of our own making, with dirty bits. `ioas`: the kernel makes them, without. */
export const DMA_MODES = ["hwpt", "ioas"] as const;
export type DmaMode = (typeof DMA_MODES)[number];
