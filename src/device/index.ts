export * from "./irqchip/clint.ts";
export * from "./irqchip/plic.ts";
export * from "./misc/sifive-test.ts";
export * from "./port.ts";
export * from "./register-bank.ts";
export type { DescriptionOf } from "./saved.ts";
export * from "./timer/goldfish-rtc.ts";
export * from "./timer/rtc-clock.ts";
export type { DeviceTypeInfo } from "./type-info.ts";
