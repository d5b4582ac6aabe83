// The options that QEMU has and Ratite refuses, each with its reason. Names are compared with QEMU's by a test.
import type { RefusedOption } from "./option.ts";

type Arity = "text" | "none";

function refused(reason: string, argument: Arity, ...names: string[]): RefusedOption[] {
  return names.map((name) => ({ name, argument, description: `Refused: ${reason}`, refused: reason }));
}

const DISPLAY = "Ratite has no display yet; use -nographic";
const NETWORK = "Ratite has no network yet; use -net none";
const MIGRATION = "QMP's migrate saves a machine to a file, and -incoming loads it";
const DISK = "the board has no such drive; use -drive file=FILE,format=raw,if=virtio";

export const refusedOptions: readonly RefusedOption[] = [
  ...refused(DISPLAY, "text", "vnc", "spice", "k", "g"),
  ...refused(DISPLAY, "none", "full-screen", "portrait"),
  ...refused(DISPLAY, "text", "rotate"),
  ...refused("Ratite has no sound yet; leave it out", "text", "audiodev", "soundhw"),
  ...refused("Ratite has no sound yet; leave it out", "none", "audio-help"),
  ...refused("Ratite has no USB yet; leave it out", "none", "usb"),
  ...refused("Ratite has no USB yet; leave it out", "text", "usbdevice"),
  ...refused(NETWORK, "text", "netdev"),
  ...refused("Ratite has no TPM yet; leave it out", "text", "tpmdev"),
  ...refused("Ratite shares no folders with guests yet; use a disk image", "text", "fsdev", "virtfs"),
  ...refused(DISK, "text", "hda", "hdb", "hdc", "hdd", "cdrom", "fda", "fdb", "sd", "mtdblock"),
  ...refused("the board has no flash yet; use -bios or -kernel", "text", "pflash"),
  ...refused("only files can be disks yet; use -drive file=FILE", "text", "iscsi"),
  ...refused("writes go to the image; copy it first", "none", "snapshot"),
  ...refused("the board has no debug console; use -serial", "text", "debugcon"),
  ...refused("Ratite has no gdb server yet; leave it out", "text", "gdb"),
  ...refused("Ratite has no gdb server yet; leave it out", "none", "s"),
  ...refused("the escape character of mon:stdio is Ctrl-A", "text", "echr"),
  ...refused(MIGRATION, "text", "loadvm", "dump-vmstate"),
  ...refused(MIGRATION, "none", "only-migratable"),
  ...refused("there is no NUMA topology yet; use -smp and -m", "text", "numa"),
  ...refused("RAM is anonymous memory of this process; use -m", "text", "mem-path", "overcommit"),
  ...refused("give the property with -device or -machine", "text", "global", "set"),
  ...refused("the board starts -bios or -kernel", "text", "boot", "option-rom"),
  ...refused("there are no ACPI tables; the guest gets a device tree", "text", "acpitable"),
  ...refused("there are no SMBIOS tables; the guest gets a device tree", "text", "smbios"),
  ...refused("there are no watchdog devices", "text", "watchdog-action", "watchdog"),
  ...refused("semihosting calls are not implemented; use -serial", "text", "semihosting-config"),
  ...refused("semihosting calls are not implemented; use -serial", "none", "semihosting"),
  ...refused("use the shell: 'ratite-system-riscv64 ... &' with -serial and -pidfile", "none", "daemonize"),
  ...refused("start the program as that user", "text", "runas", "run-with"),
  ...refused("start the program inside that folder's root", "text", "chroot"),
  ...refused("system calls are not filtered; use the service manager's sandbox", "text", "sandbox"),
  ...refused("descriptors are not inherited; name the file", "text", "add-fd"),
  ...refused("firmware is built in; name another one with -bios", "text", "L"),
  ...refused("options are read from the command line only", "text", "readconfig", "writeconfig"),
  ...refused("riscv64 guests are translated here, whatever the host's CPU; leave it out", "none", "enable-kvm"),
  ...refused("there are no translation blocks to shorten", "none", "singlestep", "one-insn-per-tb"),
  ...refused("the machine is made once, from its options", "none", "preconfig"),
  ...refused("there are no debug ranges; use -d guest_errors", "text", "dfilter"),
  ...refused("traces are not selectable; use -d guest_errors", "text", "trace"),
  ...refused("plugins are not loaded", "text", "plugin"),
  ...refused("there are no deprecated interfaces to guard", "text", "compat"),
  ...refused("there is nothing to tear down asynchronously", "none", "async-teardown"),
  ...refused("there are no threads to profile", "none", "enable-sync-profile"),
];
