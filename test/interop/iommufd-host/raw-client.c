/*
 * A client that speaks to the server itself, badly. Its first argument says how; the last line that it prints is what came
 * of it. The socket is in RATITE_HOST_SOCKET. Structures as in src/host/linux/protocol.ts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct hello {
	uint32_t magic, kind, pid;
	int32_t fd;
	uint64_t inode, nonce_va, nonce[2];
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
enum { CHANNEL = 1, FILE_OF = 2 };
enum { OPEN = 1, IOCTL, READ, WRITE, MMAP, STATUS, SYNC };

static uint64_t nonce[2] = { 0x1234, 0x5678 };
static const char device[] = "/dev/iommu";

static int reach(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, getenv("RATITE_HOST_SOCKET"), sizeof(address.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		printf("connect: %s\n", strerror(errno));
		exit(0);
	}
	return fd;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	fstat(fd, &st);
	return st.st_ino;
}

static struct hello words(int fd, uint32_t kind)
{
	return (struct hello){ .magic = 0x31544152, .kind = kind, .pid = getpid(), .fd = fd, .inode = inode_of(fd),
			       .nonce_va = (uintptr_t)nonce, .nonce = { nonce[0], nonce[1] } };
}

/* Whether the other end is gone, waiting for it up to some seconds. */
static int is_cut(int fd)
{
	char byte;

	return recv(fd, &byte, 1, 0) <= 0;
}

static int channel(void)
{
	int fd = reach();
	struct hello hello = words(fd, CHANNEL);
	struct reply reply;

	write(fd, &hello, sizeof(hello));
	if (recv(fd, &reply, sizeof(reply), MSG_WAITALL) != sizeof(reply) || reply.result) {
		printf("refused\n");
		exit(0);
	}
	return fd;
}

static struct reply ask(int fd, struct request request)
{
	struct reply reply = { .result = -1000 };

	send(fd, &request, sizeof(request), MSG_NOSIGNAL);
	recv(fd, &reply, sizeof(reply), MSG_WAITALL);
	return reply;
}

static int file(void)
{
	int fd = reach();
	struct hello hello = words(fd, FILE_OF);

	write(fd, &hello, sizeof(hello));
	return fd;
}

static struct request open_request(uint64_t inode)
{
	return (struct request){ .op = OPEN, .inode = inode, .a = (uintptr_t)device, .b = strlen(device) };
}

/* A context that is open, as a good client has it. */
static int open_context(int over)
{
	int fd = file();

	if (ask(over, open_request(inode_of(fd))).result)
		printf("not opened\n");
	return fd;
}

static void garbage(void)
{
	int round;

	for (round = 0; round < 200; round++) {
		unsigned char noise[300];
		int fd = reach();

		getrandom(noise, sizeof(noise), 0);
		send(fd, noise, round + 1, MSG_NOSIGNAL);
		close(fd);
	}
	puts("said");
}

static void half_a_hello(void)
{
	int fd = reach();

	write(fd, "\x52\x41\x54\x31", 4);
	puts(is_cut(fd) ? "cut" : "answered");
}

static void half_a_request(void)
{
	int over = channel();
	struct request request = { .op = IOCTL };

	open_context(over);
	write(over, &request, sizeof(request) / 2);
	kill(getpid(), SIGKILL);
}

static void dies_while_called(void)
{
	int over = channel(), fd = open_context(over), i;
	/* IOMMU_IOAS_ALLOC, over and over, without waiting for an answer. */
	static uint32_t alloc[3] = { 12 };
	struct request request = { .op = IOCTL, .fd = fd, .inode = inode_of(fd), .a = 0x3b81, .c = -1ull };

	request.b = (uintptr_t)alloc;
	for (i = 0; i < 1000; i++)
		send(over, &request, sizeof(request), MSG_NOSIGNAL);
	kill(getpid(), SIGKILL);
}

static void never_listens(void)
{
	int over = channel(), fd = open_context(over), i;
	struct request request = { .op = IOCTL, .fd = fd, .inode = inode_of(fd), .a = 0x3b81, .c = -1ull };
	ssize_t sent = 0;

	fcntl(over, F_SETFL, O_NONBLOCK);
	/* The server stops taking requests long before a gigabyte. */
	for (i = 0; i < 20000000; i++) {
		ssize_t n = send(over, &request, sizeof(request), MSG_NOSIGNAL);

		if (n < 0) {
			usleep(300000);
			n = send(over, &request, sizeof(request), MSG_NOSIGNAL);
			if (n < 0)
				break;
		}
		sent += n;
	}
	puts(sent < (100 << 20) ? "held back" : "swallowed");
}

static void wrong_lengths(void)
{
	int over = channel(), fd = open_context(over), i;
	static const uint64_t values[] = { 0, 1, 4095, 4096, 1ull << 31, 1ull << 32, 1ull << 47, 1ull << 63, ~0ull, ~0ull - 4095 };
	unsigned int op, a, b;

	for (op = 0; op < 10; op++)
		for (a = 0; a < 10; a++)
			for (b = 0; b < 10; b++) {
				struct request request = { .op = op, .fd = -1, .inode = inode_of(fd), .a = values[a],
							   .b = values[b], .c = values[b], .d = values[a] };

				if (op == OPEN || op == SYNC)
					continue;
				/* What brings along a connection that never comes waits for it a while: once will do. */
				if (op == IOCTL || op == MMAP)
					request.c = -1ull, request.d = inode_of(fd);
				if (ask(over, request).result == -1000) {
					printf("no answer to %u %u %u\n", op, a, b);
					return;
				}
			}
	for (i = 0; i < 10; i++)
		if (ask(over, (struct request){ .op = OPEN, .inode = inode_of(fd), .a = values[i], .b = values[i] }).result >= 0) {
			puts("opened");
			return;
		}
	puts("answered");
}

/* As many as a process can hold, none of which says anything. */
static void many(void)
{
	int i;

	for (i = 0; i < 900; i++)
		reach();
	puts("connected");
}

static void connects(void)
{
	int i;

	for (i = 0; i < 2000; i++)
		close(reach());
	puts("connected");
}

static void bad_inodes(void)
{
	int over = channel(), fd = open_context(over), other;
	struct hello hello;
	struct reply reply;

	/* The inode of a descriptor that is served already. */
	other = reach();
	hello = words(other, FILE_OF);
	hello.inode = inode_of(fd);
	hello.fd = fd;
	write(other, &hello, sizeof(hello));
	printf("%s ", is_cut(other) ? "cut" : "taken");
	/* An inode of nobody. */
	other = reach();
	hello = words(other, FILE_OF);
	hello.inode = 1;
	write(other, &hello, sizeof(hello));
	printf("%s ", is_cut(other) ? "cut" : "taken");
	/* A wrong nonce. */
	other = reach();
	hello = words(other, FILE_OF);
	hello.nonce[0]++;
	write(other, &hello, sizeof(hello));
	printf("%s ", is_cut(other) ? "cut" : "taken");
	/* A second file behind one descriptor, and a file behind one that is not there. */
	reply = ask(over, open_request(inode_of(fd)));
	printf("%lld ", (long long)reply.result);
	reply = ask(over, open_request(1));
	printf("%lld ", (long long)reply.result);
	/* The first is as it was. */
	reply = ask(over, (struct request){ .op = READ, .fd = fd, .inode = inode_of(fd) });
	printf("%lld\n", (long long)reply.result);
}

static void lies(const char *pid)
{
	int fd = reach();
	struct hello hello = words(fd, CHANNEL);
	struct reply reply;

	hello.pid = atoi(pid);
	write(fd, &hello, sizeof(hello));
	if (recv(fd, &reply, sizeof(reply), MSG_WAITALL) == sizeof(reply))
		printf("%lld\n", (long long)reply.result);
	else
		puts("cut");
}

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IONBF, 0);
	if (!strcmp(how, "garbage"))
		garbage();
	else if (!strcmp(how, "half-a-hello"))
		half_a_hello();
	else if (!strcmp(how, "half-a-request"))
		half_a_request();
	else if (!strcmp(how, "dies-while-called"))
		dies_while_called();
	else if (!strcmp(how, "never-listens"))
		never_listens();
	else if (!strcmp(how, "wrong-lengths"))
		wrong_lengths();
	else if (!strcmp(how, "connects"))
		connects();
	else if (!strcmp(how, "many"))
		many();
	else if (!strcmp(how, "bad-inodes"))
		bad_inodes();
	else if (!strcmp(how, "lies"))
		lies(argv[2]);
	else
		return 2;
	return 0;
}
