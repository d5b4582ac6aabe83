// What can be wrong with fetching a guest.
import { VmError } from "../base/index.ts";

/**
 * `unknownGuest`, `unknownRelease`: no such name. `missingPackage`, `missingFile`: the archive lacks what the guest is made of.
 * `noApt`, `noKeyring`: this machine lacks a tool. `badMirror`: no archive can be at that address. `unreachable`: no answer from the mirror. `unverified`: the signature
 * is not one of the keyring. `outOfStep`: the mirror's index and its files contradict each other. `noRelease`: the mirror
 * has no such suite. `aptFailed`: apt said something else. `cacheFailed`: the cache folder cannot be used. `busy`: another
 * process holds it.
 */
export type GuestErrorCode =
  | "unknownGuest"
  | "unknownRelease"
  | "missingPackage"
  | "missingFile"
  | "noApt"
  | "noKeyring"
  | "badMirror"
  | "unreachable"
  | "unverified"
  | "outOfStep"
  | "noRelease"
  | "aptFailed"
  | "cacheFailed"
  | "busy";

/** A guest cannot be fetched, listed or removed; the message says what was found and what would do. */
export class GuestError extends VmError<GuestErrorCode> {
  override readonly room = "guest";
}
