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
::respawn:/usr/bin/cttyhack /bin/sh -l
::ctrlaltdel:/sbin/reboot
::shutdown:/bin/umount -a -r
`;

const rcS = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
busybox --install -s 2>/dev/null
hostname -F /etc/hostname
ifconfig lo 127.0.0.1 up

# Drivers by modalias. A driver may bring a bus with devices of its own, so this goes on until nothing new appears.
before=
for pass in 1 2 3 4; do
  now=$(cat $(find /sys/devices -name modalias) | sort -u)
  [ "$now" = "$before" ] && break
  before=$now
  echo "$now" | xargs -r modprobe -qab 2>/dev/null
done

# The shell's screen is for the shell: from here on only errors of the kernel are shown.
dmesg -n 4
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
  { path: "etc/profile", text: profile },
  { path: "etc/hostname", text: "ratite\n" },
  { path: "etc/hosts", text: "127.0.0.1\tlocalhost ratite\n" },
  { path: "etc/passwd", text: "root::0:0:root:/root:/bin/sh\n" },
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
