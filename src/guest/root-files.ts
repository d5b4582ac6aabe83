// The text files of the composed guest: how it starts, what it greets with.

/** Everything that a stranger may plug in; what they depend on comes along. */
export const GUEST_MODULES: readonly string[] = [
  ..."virtio_mmio virtio_blk virtio_rng virtio_net virtio_balloon virtio_input virtio_scsi virtio_pmem".split(" "),
  ..."virtio_crypto vmw_vsock_virtio_transport 9p 9pnet_virtio nvme sd_mod e1000e evdev vfio_pci".split(" "),
  ..."ext4 vfat nls_cp437 nls_ascii nls_iso8859_1 isofs squashfs overlay loop qemu_fw_cfg softdog".split(" "),
  // Asked for by the name of an algorithm, so no other module's dependencies lead to them.
  ..."crc32c_generic libcrc32c".split(" "),
];

/** BusyBox init; cttyhack gives the shell the console as its controlling terminal, so that Ctrl-C and jobs work. */
const inittab = `::sysinit:/etc/init.d/rcS
::respawn:/bin/cttyhack /bin/sh -l
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/umount -a -r 2>/dev/null
`;

/** Programs are costly in an emulated guest: what the shell can do by itself, it does. */
const rcS = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
busybox mount -a
# BusyBox makes links to where /proc says it is; before that, its tools have no names of their own.
busybox --install -s 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
ifconfig lo 127.0.0.1 up
read -r name < /etc/hostname
echo "$name" > /proc/sys/kernel/hostname

# Large drivers of devices that nobody waits for come when the shell is there already.
late=
read -r words < /proc/cmdline
case " $words " in *" ratite.late=nvme "*) late="pci:*bc01sc08*" ;; esac

# Drivers by modalias. A driver may bring a bus with devices of its own, so this goes on until nothing new appears.
after=
seen=" "
while true; do
  new=
  for file in /sys/bus/*/devices/*/modalias; do
    read -r alias < "$file" || continue
    case "$seen" in *" $alias "*) continue ;; esac
    seen="$seen$alias "
    case "$alias" in $late) after="$after $alias"; continue ;; esac
    new="$new $alias"
  done
  [ -z "$new" ] && break
  modprobe -qab $new 2>/dev/null
done

[ -z "$after" ] || (sleep 1; modprobe -qab $after) > /dev/null 2>&1 &

# The shell's screen is for the shell: from here on only errors of the kernel are shown.
echo 4 > /proc/sys/kernel/printk
`;

const fstab = `proc /proc proc defaults 0 0
sysfs /sys sysfs defaults 0 0
devtmpfs /dev devtmpfs defaults 0 0
tmpfs /run tmpfs defaults 0 0
tmpfs /tmp tmpfs defaults 0 0
`;

const profile = `export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root USER=root
export PS1='\\u@\\h:\\w\\$ '
cd
echo
echo "Linux $(uname -r) with a BusyBox shell, all in memory. The command poweroff ends the machine."
echo
`;

export interface TextFile {
  readonly path: string;
  readonly text: string;
  readonly mode?: number;
}

export const ROOT_FILES: readonly TextFile[] = [
  { path: "etc/inittab", text: inittab },
  { path: "etc/init.d/rcS", text: rcS, mode: 0o755 },
  { path: "etc/fstab", text: fstab },
  { path: "etc/profile", text: profile },
  { path: "etc/hostname", text: "ratite\n" },
  { path: "etc/hosts", text: "127.0.0.1\tlocalhost ratite\n" },
  { path: "etc/passwd", text: "root::0:0:root:/root:/bin/sh\n" },
  // What mount tries when it is not told a type; naming one loads its driver.
  { path: "etc/filesystems", text: "ext4\nvfat\niso9660\nsquashfs\n" },
  { path: "etc/group", text: "root:x:0:\ntty:x:5:\ndisk:x:6:\n" },
];

export const ROOT_DIRECTORIES: readonly string[] = "dev etc/init.d mnt proc root run sys tmp".split(" ");

/** Debian's merged /usr. */
export const ROOT_SYMLINKS: readonly { readonly path: string; readonly linkTarget: string }[] = [
  { path: "bin", linkTarget: "usr/bin" },
  { path: "sbin", linkTarget: "usr/sbin" },
  { path: "lib", linkTarget: "usr/lib" },
  { path: "init", linkTarget: "usr/bin/busybox" },
  { path: "usr/bin/sh", linkTarget: "busybox" },
  { path: "usr/sbin/modprobe", linkTarget: "../bin/busybox" },
  { path: "etc/mtab", linkTarget: "/proc/self/mounts" },
];
