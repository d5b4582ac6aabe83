export * from "./error.ts";
export * from "./iommufd-client.ts";
