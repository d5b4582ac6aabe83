export { GUESTS, GUEST_RECIPE, type GuestDescription, type GuestRelease } from "./catalog.ts";
export * from "./fetch.ts";
export { type InitramfsParts, composeInitramfs } from "./initramfs.ts";
export * from "./port.ts";
