/*
 * Preload library: hands a program's use of /dev/iommu to Ratite's software host over a Unix socket.
 *
 * Every descriptor that the host gives out is a socket of its own, so that dup, fork and passing work by themselves and the
 * last close, also by death, reaches the host as end of file. Calls go over one channel per process. A descriptor is known
 * to the host by its socket's inode; memory is read and written by the host through /proc/PID/mem.
 *
 * Environment: RATITE_HOST_SOCKET (path of the socket), RATITE_HOST_PID (the server, allowed to reach our memory).
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HELLO_CHANNEL = 1, HELLO_FILE = 2 };
enum { OP_OPEN = 1, OP_IOCTL, OP_READ, OP_WRITE, OP_MMAP, OP_STATUS, OP_SYNC };
enum { REPLY_SPARE_USED = 1, REPLY_DRAIN = 2, REPLY_NOT_OURS = 4 };

/* Layouts as in protocol.ts. */
struct hello {
	uint32_t magic, kind, pid;
	int32_t fd;
	uint64_t inode, nonce_va;
	uint64_t nonce[2];
};
struct request {
	uint32_t op;
	int32_t fd;
	uint64_t inode, a, b, c, d;
};
struct reply {
	int64_t result;
	uint32_t flags, pad;
	uint64_t x, y;
};
_Static_assert(sizeof(struct hello) == 48, "hello");
_Static_assert(sizeof(struct request) == 48, "request");
_Static_assert(sizeof(struct reply) == 32, "reply");

#define MAGIC 0x31544152u
#define IOCTL_TYPE 0x3b
#define MAX_TRACKED 4096
#define MAX_REGIONS 256
#define HUGE_PAGE (2UL << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int channel = -1;
static pid_t channel_pid;
static uint64_t nonce[2];
/* Descriptors that are the host's: a hint for read, write, close and the like. */
static unsigned char tracked[MAX_TRACKED];
/* Mapped regions of the host, each held by a socket. */
static struct region {
	void *start;
	size_t length;
	int hold;
} regions[MAX_REGIONS];

#define REAL(name)                                                                                                     \
	static __typeof__(name) *real;                                                                                 \
	if (!real)                                                                                                     \
	real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static ssize_t raw_read(int fd, void *buf, size_t n)
{
	return syscall(SYS_read, fd, buf, n);
}

static ssize_t raw_write(int fd, const void *buf, size_t n)
{
	return syscall(SYS_write, fd, buf, n);
}

static void raw_close(int fd)
{
	syscall(SYS_close, fd);
}

static int is_tracked(int fd)
{
	return fd >= 0 && fd < MAX_TRACKED && tracked[fd];
}

static void track(int fd, int on)
{
	if (fd >= 0 && fd < MAX_TRACKED)
		tracked[fd] = on;
}

static int send_all(int fd, const void *data, size_t length)
{
	const char *at = data;

	while (length) {
		ssize_t n = syscall(SYS_sendto, fd, at, length, MSG_NOSIGNAL, NULL, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		length -= n;
	}
	return 0;
}

static int receive_all(int fd, void *data, size_t length)
{
	char *at = data;

	while (length) {
		ssize_t n = raw_read(fd, at, length);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		at += n;
		length -= n;
	}
	return 0;
}

/* The inode of a socket; 0 for anything else. */
static uint64_t socket_inode(int fd)
{
	struct stat st;

	if (fstat(fd, &st) || !S_ISSOCK(st.st_mode))
		return 0;
	return st.st_ino;
}

/* A new connection that has introduced itself; -1 with errno. */
static int connect_host(uint32_t kind, int cloexec, uint64_t *inode)
{
	const char *path = getenv("RATITE_HOST_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct hello hello = { .magic = MAGIC, .kind = kind, .pid = getpid() };
	int fd;

	if (!path || strlen(path) >= sizeof(address.sun_path)) {
		errno = ENOENT;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | (cloexec ? SOCK_CLOEXEC : 0), 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		raw_close(fd);
		errno = ENODEV;
		return -1;
	}
	hello.fd = fd;
	hello.inode = socket_inode(fd);
	hello.nonce_va = (uintptr_t)nonce;
	memcpy(hello.nonce, nonce, sizeof(nonce));
	if (send_all(fd, &hello, sizeof(hello))) {
		raw_close(fd);
		errno = ENODEV;
		return -1;
	}
	if (inode)
		*inode = hello.inode;
	return fd;
}

/* Called with the lock held. */
static int open_channel(void)
{
	const char *server = getenv("RATITE_HOST_PID");
	struct reply ready;
	int fd, high;

	if (channel >= 0 && channel_pid == getpid())
		return 0;
	if (channel >= 0)
		raw_close(channel);
	channel = -1;
	if (server)
		prctl(PR_SET_PTRACER, strtoul(server, NULL, 10), 0, 0, 0);
	/* The server reads the nonce through our memory: that proves which process we are. */
	if (getrandom(nonce, sizeof(nonce), 0) != sizeof(nonce))
		return -1;
	fd = connect_host(HELLO_CHANNEL, 1, NULL);
	if (fd < 0)
		return -1;
	/* Out of the way of the program's own numbers. */
	high = fcntl(fd, F_DUPFD_CLOEXEC, 900);
	if (high >= 0) {
		raw_close(fd);
		fd = high;
	}
	if (receive_all(fd, &ready, sizeof(ready)) || ready.result < 0) {
		raw_close(fd);
		errno = EACCES;
		return -1;
	}
	channel = fd;
	channel_pid = getpid();
	return 0;
}

/* A connection for a new descriptor. The host takes it from processes that have proven themselves. */
static int connect_file(int cloexec, uint64_t *inode)
{
	int rc;

	pthread_mutex_lock(&lock);
	rc = open_channel();
	pthread_mutex_unlock(&lock);
	return rc ? -1 : connect_host(HELLO_FILE, cloexec, inode);
}

/* One call: 0, or -1 when the host is gone (errno ENODEV). */
static int ask(struct request *request, struct reply *reply)
{
	int rc = -1;

	pthread_mutex_lock(&lock);
	if (!open_channel() && !send_all(channel, request, sizeof(*request)) &&
	    !receive_all(channel, reply, sizeof(*reply)))
		rc = 0;
	else
		errno = ENODEV;
	pthread_mutex_unlock(&lock);
	return rc;
}

static long answer(const struct reply *reply)
{
	if (reply->result >= 0)
		return reply->result;
	errno = -reply->result;
	return -1;
}

static int is_host_path(const char *path)
{
	return path && (!strcmp(path, "/dev/iommu") || !strcmp(path, "/dev/vfio/vfio"));
}

static int open_host(const char *path, int flags)
{
	struct request request = { .op = OP_OPEN };
	struct reply reply;
	int fd = connect_file(flags & O_CLOEXEC, &request.inode);

	if (fd < 0)
		return -1;
	request.fd = fd;
	request.a = (uintptr_t)path;
	request.b = strlen(path);
	if (ask(&request, &reply) || reply.result < 0) {
		int error = errno;

		if (reply.result < 0)
			error = -reply.result;
		raw_close(fd);
		errno = error;
		return -1;
	}
	track(fd, 1);
	return fd;
}

static int open_any(int dir, const char *path, int flags, mode_t mode)
{
	if (is_host_path(path))
		return open_host(path, flags);
	return syscall(SYS_openat, dir, path, flags, mode);
}

#define OPEN_BODY(dir)                                                                                                 \
	mode_t mode = 0;                                                                                               \
	if (flags & (O_CREAT | O_TMPFILE)) {                                                                           \
		va_list args;                                                                                          \
		va_start(args, flags);                                                                                 \
		mode = va_arg(args, mode_t);                                                                           \
		va_end(args);                                                                                          \
	}                                                                                                              \
	return open_any(dir, path, flags, mode)

int open(const char *path, int flags, ...)
{
	OPEN_BODY(AT_FDCWD);
}

int open64(const char *path, int flags, ...)
{
	OPEN_BODY(AT_FDCWD);
}

int openat(int dir, const char *path, int flags, ...)
{
	OPEN_BODY(dir);
}

int openat64(int dir, const char *path, int flags, ...)
{
	OPEN_BODY(dir);
}

int __open_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
	return open_any(AT_FDCWD, path, flags, 0);
}

/* Calls whose answer may hold a new descriptor: bring one along. */
static int may_create_descriptor(unsigned int command, const void *argument)
{
	unsigned int op;

	switch (command) {
	case (IOCTL_TYPE << 8) | 0x8e: /* IOMMU_FAULT_QUEUE_ALLOC */
	case (IOCTL_TYPE << 8) | 0x93: /* IOMMU_VEVENTQ_ALLOC */
		return 1;
	case (IOCTL_TYPE << 8) | 0xa0: /* IOMMU_TEST_CMD: CREATE_ACCESS, DMABUF_GET */
		if (!argument)
			return 0;
		op = ((const unsigned int *)argument)[1];
		return op == 5 || op == 22;
	}
	return 0;
}

int ioctl(int fd, unsigned long command, ...)
{
	struct request request = { .op = OP_IOCTL, .fd = fd };
	struct reply reply;
	void *argument;
	va_list args;
	int spare = -1;

	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	if (((command >> 8) & 0xff) != IOCTL_TYPE || !(request.inode = socket_inode(fd)))
		return syscall(SYS_ioctl, fd, command, argument);
	request.a = command;
	request.b = (uintptr_t)argument;
	request.c = -1;
	if (may_create_descriptor(command, argument)) {
		spare = connect_file(1, &request.d);
		request.c = spare;
	}
	if (ask(&request, &reply)) {
		if (spare >= 0)
			raw_close(spare);
		return -1;
	}
	if (spare >= 0) {
		if (reply.flags & REPLY_SPARE_USED)
			track(spare, 1);
		else
			raw_close(spare);
	}
	if (reply.flags & REPLY_NOT_OURS)
		return syscall(SYS_ioctl, fd, command, argument);
	return answer(&reply);
}

static ssize_t transfer(uint32_t op, int fd, const void *buf, size_t count)
{
	struct request request = { .op = op, .fd = fd, .a = (uintptr_t)buf, .b = count };
	struct reply reply;
	char byte;

	request.inode = socket_inode(fd);
	if (ask(&request, &reply))
		return -1;
	if (reply.flags & REPLY_NOT_OURS)
		return op == OP_READ ? raw_read(fd, (void *)buf, count) : raw_write(fd, buf, count);
	/* The byte that made the descriptor readable has served. */
	if (reply.flags & REPLY_DRAIN)
		syscall(SYS_recvfrom, fd, &byte, 1, MSG_DONTWAIT, NULL, NULL);
	return answer(&reply);
}

ssize_t read(int fd, void *buf, size_t count)
{
	REAL(read);
	return is_tracked(fd) ? transfer(OP_READ, fd, buf, count) : real(fd, buf, count);
}

ssize_t write(int fd, const void *buf, size_t count)
{
	REAL(write);
	return is_tracked(fd) ? transfer(OP_WRITE, fd, buf, count) : real(fd, buf, count);
}

/* Waits until the host has seen every end of file up to now. */
static void sync_host(void)
{
	struct request request = { .op = OP_SYNC };
	struct reply reply;
	int error = errno;

	ask(&request, &reply);
	errno = error;
}

/* The channel's descriptor is none of the program's: to it, the number is not open. */
static int is_channel(int fd)
{
	return fd >= 0 && fd == channel && channel_pid == getpid();
}

int close(int fd)
{
	REAL(close);
	int ours = is_tracked(fd), rc;

	if (is_channel(fd)) {
		errno = EBADF;
		return -1;
	}
	track(fd, 0);
	rc = real(fd);
	if (ours)
		sync_host();
	return rc;
}

static int close_around(unsigned int first, unsigned int last, int flags)
{
	int ours = 0, rc = 0;
	unsigned int fd;

	for (fd = first; !(flags & CLOSE_RANGE_CLOEXEC) && fd <= last && fd < MAX_TRACKED; fd++) {
		ours |= is_tracked(fd);
		track(fd, 0);
	}
	if (channel >= 0 && is_channel(channel) && first <= (unsigned int)channel && (unsigned int)channel <= last) {
		if (first < (unsigned int)channel)
			rc = syscall(SYS_close_range, first, channel - 1, flags);
		if (!rc && (unsigned int)channel < last)
			rc = syscall(SYS_close_range, channel + 1, last, flags);
	} else {
		rc = syscall(SYS_close_range, first, last, flags);
	}
	if (ours)
		sync_host();
	return rc;
}

int close_range(unsigned int first, unsigned int last, int flags)
{
	return close_around(first, last, flags);
}

void closefrom(int first)
{
	close_around(first < 0 ? 0 : first, ~0u, 0);
}

/* Somebody else wants the channel's number. */
static void move_channel(int to)
{
	int fd;

	pthread_mutex_lock(&lock);
	if (is_channel(to)) {
		fd = syscall(SYS_fcntl, channel, F_DUPFD_CLOEXEC, 900);
		if (fd >= 0)
			channel = fd;
	}
	pthread_mutex_unlock(&lock);
}

int dup(int fd)
{
	REAL(dup);
	int copy = real(fd);

	if (copy >= 0)
		track(copy, is_tracked(fd));
	return copy;
}

int dup2(int fd, int to)
{
	REAL(dup2);
	int copy;

	move_channel(to);
	copy = real(fd, to);

	if (copy >= 0)
		track(copy, is_tracked(fd));
	return copy;
}

int dup3(int fd, int to, int flags)
{
	REAL(dup3);
	int copy;

	move_channel(to);
	copy = real(fd, to, flags);

	if (copy >= 0)
		track(copy, is_tracked(fd));
	return copy;
}

static int control(int fd, int command, void *argument)
{
	int rc = syscall(SYS_fcntl, fd, command, argument);

	if (rc >= 0 && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
		track(rc, is_tracked(fd));
	return rc;
}

int fcntl(int fd, int command, ...)
{
	void *argument;
	va_list args;

	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	return control(fd, command, argument);
}

int fcntl64(int fd, int command, ...)
{
	void *argument;
	va_list args;

	va_start(args, command);
	argument = va_arg(args, void *);
	va_end(args);
	return control(fd, command, argument);
}

/*
 * Whoever has seen a process end finds its descriptors closed: the kernel does that first, and the host must have heard of
 * it too. A process that has nothing to do with the host asks it nothing.
 */
static pid_t waited(pid_t pid)
{
	if (pid > 0 && channel >= 0 && channel_pid == getpid())
		sync_host();
	return pid;
}

pid_t wait(int *status)
{
	REAL(wait);
	return waited(real(status));
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	REAL(waitpid);
	return waited(real(pid, status, options));
}

pid_t wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	REAL(wait4);
	return waited(real(pid, status, options, usage));
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	REAL(waitid);
	int rc = real(type, id, info, options);

	if (!rc)
		waited(1);
	return rc;
}

/* A child of a process with threads must not find the lock taken by one that it does not have. */
static void before_fork(void)
{
	pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, after_fork);
}

/* A program that was started with descriptors of the host open knows them by whom they are connected to. */
__attribute__((constructor)) static void find_inherited(void)
{
	const char *path = getenv("RATITE_HOST_SOCKET");
	int fd;

	for (fd = 0; path && fd < 1024; fd++) {
		struct sockaddr_un peer;
		socklen_t length = sizeof(peer);

		memset(&peer, 0, sizeof(peer));
		if (!getpeername(fd, (struct sockaddr *)&peer, &length) && peer.sun_family == AF_UNIX &&
		    !strncmp(peer.sun_path, path, sizeof(peer.sun_path)))
			track(fd, 1);
	}
}

static void *map_host(size_t length, int prot, int flags, int fd, off_t offset)
{
	struct request request = { .op = OP_MMAP, .fd = fd, .a = offset, .b = length };
	struct reply reply;
	char path[128];
	void *at = MAP_FAILED;
	int hold, file, i;

	/* The mapping lives as long as this socket does. */
	hold = connect_file(1, &request.d);
	if (hold < 0)
		return MAP_FAILED;
	request.inode = socket_inode(fd);
	request.c = (prot & 7) | (flags & MAP_SHARED ? 8 : 0);
	if (ask(&request, &reply) || reply.result < 0) {
		int error = reply.result < 0 ? -reply.result : errno;

		raw_close(hold);
		errno = error;
		return MAP_FAILED;
	}
	snprintf(path, sizeof(path), "%s.map-%lld", getenv("RATITE_HOST_SOCKET"), (long long)reply.result);
	file = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	unlink(path);
	if (file >= 0) {
		at = (void *)syscall(SYS_mmap, NULL, length, prot, MAP_SHARED, file, 0);
		raw_close(file);
	}
	pthread_mutex_lock(&lock);
	for (i = 0; at != MAP_FAILED && i < MAX_REGIONS; i++) {
		if (!regions[i].start) {
			regions[i] = (struct region){ at, length, hold };
			hold = -1;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	if (hold >= 0)
		raw_close(hold);
	return at;
}

/* Ordinary pages, aligned as huge ones would be. */
static void *map_like_huge(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	char *start;
	size_t head;

	flags &= ~(MAP_HUGETLB | (MAP_HUGE_MASK << MAP_HUGE_SHIFT));
	if (at || (flags & MAP_FIXED))
		return (void *)syscall(SYS_mmap, at, length, prot, flags, fd, offset);
	start = (char *)syscall(SYS_mmap, NULL, length + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (start == MAP_FAILED)
		return start;
	head = -(uintptr_t)start & (HUGE_PAGE - 1);
	if (head)
		syscall(SYS_munmap, start, head);
	if (HUGE_PAGE - head)
		syscall(SYS_munmap, start + head + length, HUGE_PAGE - head);
	return (void *)syscall(SYS_mmap, start + head, length, prot, flags | MAP_FIXED, fd, offset);
}

static void *map_any(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	if (!(flags & MAP_ANONYMOUS) && is_tracked(fd))
		return map_host(length, prot, flags, fd, offset);
	if ((flags & MAP_HUGETLB) && getenv("RATITE_HOST_SOCKET"))
		return map_like_huge(at, length, prot, flags, fd, offset);
	return (void *)syscall(SYS_mmap, at, length, prot, flags, fd, offset);
}

void *mmap(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	return map_any(at, length, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t length, int prot, int flags, int fd, off_t offset)
{
	return map_any(at, length, prot, flags, fd, offset);
}

int munmap(void *start, size_t length)
{
	int hold = -1, i, rc;

	rc = syscall(SYS_munmap, start, length);
	pthread_mutex_lock(&lock);
	for (i = 0; !rc && i < MAX_REGIONS; i++) {
		if (regions[i].start == start && regions[i].length == length) {
			hold = regions[i].hold;
			regions[i].start = NULL;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	if (hold >= 0) {
		raw_close(hold);
		sync_host();
	}
	return rc;
}

int memfd_create(const char *name, unsigned int flags)
{
	return syscall(SYS_memfd_create, name, flags & ~MFD_HUGETLB);
}

/* /proc/PID/status with the pages that the host holds pinned and locked for that process. */
static FILE *open_status(const char *path, pid_t pid)
{
	struct request request = { .op = OP_STATUS, .a = pid };
	struct reply reply;
	char line[512];
	FILE *in, *out;
	int from, to;

	if (ask(&request, &reply))
		return NULL;
	from = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (from < 0)
		return NULL;
	to = syscall(SYS_memfd_create, "status", MFD_CLOEXEC);
	in = fdopen(from, "r");
	out = to >= 0 ? fdopen(to, "w+") : NULL;
	while (in && out && fgets(line, sizeof(line), in)) {
		if (!strncmp(line, "VmLck:", 6))
			fprintf(out, "VmLck:\t%8llu kB\n", (unsigned long long)reply.y * 4);
		else if (!strncmp(line, "VmPin:", 6))
			fprintf(out, "VmPin:\t%8llu kB\n", (unsigned long long)reply.x * 4);
		else
			fputs(line, out);
	}
	if (in)
		fclose(in);
	if (out)
		rewind(out);
	return out;
}

static FILE *open_stream(FILE *(*real)(const char *, const char *), const char *path, const char *mode)
{
	int pid, end = 0;

	if (path && mode && mode[0] == 'r' && sscanf(path, "/proc/%d/status%n", &pid, &end) == 1 && end &&
	    !path[end]) {
		FILE *status = open_status(path, pid);

		if (status)
			return status;
	}
	return real(path, mode);
}

FILE *fopen(const char *path, const char *mode)
{
	REAL(fopen);
	return open_stream(real, path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	REAL(fopen64);
	return open_stream(real, path, mode);
}
