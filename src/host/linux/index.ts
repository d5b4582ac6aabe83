export * from "./errors.ts";
export * from "./exec-on-host.ts";
export { removeStaleSocket, serveHost, type HostServer, type HostServerOptions } from "./host-server.ts";
export { preloadLibrary } from "./preload.ts";
