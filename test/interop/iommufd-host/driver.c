/* A user-space driver's use of /dev/iommu (the "simple API"), and the ways in which descriptors live and die. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* From include/uapi/linux/iommufd.h; older systems have no header. */
#define CMD(n) ((0x3b << 8) | (n))
struct ioas_alloc { uint32_t size, flags, out_ioas_id; };
struct range { uint64_t start, last; };
struct ranges { uint32_t size, ioas_id, num_iovas, reserved; uint64_t allowed_iovas, alignment; };
struct map { uint32_t size, flags, ioas_id, reserved; uint64_t user_va, length, iova; };
struct copy { uint32_t size, flags, dst, src; uint64_t length, dst_iova, src_iova; };
struct unmap { uint32_t size, ioas_id; uint64_t iova, length; };
struct destroy { uint32_t size, id; };
struct fault_alloc { uint32_t size, flags, out_id, out_fd; };

#define CHECK(x)                                                                                                       \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			printf("line %d: %s (errno %d)\n", __LINE__, #x, errno);                                       \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

static uint32_t ioas_alloc(int fd)
{
	struct ioas_alloc cmd = { .size = sizeof(cmd) };

	CHECK(ioctl(fd, CMD(0x81), &cmd) == 0);
	return cmd.out_ioas_id;
}

static uint64_t map(int fd, uint32_t ioas, void *at, uint64_t length)
{
	struct map cmd = { .size = sizeof(cmd), .flags = 6, .ioas_id = ioas, .user_va = (uintptr_t)at, .length = length };

	CHECK(ioctl(fd, CMD(0x85), &cmd) == 0);
	return cmd.iova;
}

static int destroy(int fd, uint32_t id)
{
	struct destroy cmd = { .size = sizeof(cmd), .id = id };

	return ioctl(fd, CMD(0x80), &cmd);
}

static void simple_api(void)
{
	int fd = open("/dev/iommu", O_RDWR);
	void *buffer = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct range range = { 0 };
	struct ranges ranges = { .size = sizeof(ranges), .num_iovas = 1, .allowed_iovas = (uintptr_t)&range };
	struct copy copy = { .size = sizeof(copy), .flags = 6, .length = 8192 };
	struct unmap unmap = { .size = sizeof(unmap), .length = 8192 };
	uint32_t ioas, other;

	CHECK(fd >= 0 && buffer != MAP_FAILED);
	ioas = ranges.ioas_id = ioas_alloc(fd);
	other = ioas_alloc(fd);
	CHECK(ioctl(fd, CMD(0x84), &ranges) == 0);
	CHECK(ranges.num_iovas == 1 && range.start == 0 && range.last == UINT64_MAX && ranges.alignment == 1);
	copy.src = ioas;
	copy.dst = other;
	copy.src_iova = map(fd, ioas, buffer, 8192);
	CHECK(ioctl(fd, CMD(0x83), &copy) == 0);
	unmap.ioas_id = ioas;
	unmap.iova = copy.src_iova;
	CHECK(ioctl(fd, CMD(0x86), &unmap) == 0 && unmap.length == 8192);
	CHECK(ioctl(fd, CMD(0x86), &unmap) == -1 && errno == ENOENT);
	CHECK(destroy(fd, other) == 0);
	CHECK(ioctl(fd, CMD(0x81), NULL) == -1 && errno == EFAULT);
	CHECK(close(fd) == 0);
}

/* A context lives as long as any copy of its descriptor, in any process. */
static void lives_and_deaths(void)
{
	int fd = open("/dev/iommu", O_RDWR), copy, status;
	uint32_t ioas = ioas_alloc(fd);
	struct fault_alloc fault = { .size = sizeof(fault) };
	struct pollfd ready;
	char byte;
	pid_t child;

	copy = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	CHECK(copy >= 10 && close(fd) == 0);
	CHECK(destroy(copy, 99) == -1 && errno == ENOENT);
	child = fork();
	if (!child) {
		CHECK(ioas_alloc(copy) == ioas + 1);
		kill(getpid(), SIGKILL);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	CHECK(destroy(copy, ioas + 1) == 0);

	CHECK(ioctl(copy, CMD(0x8e), &fault) == 0);
	ready = (struct pollfd){ .fd = fault.out_fd, .events = POLLIN | POLLOUT };
	CHECK(poll(&ready, 1, 0) == 1 && ready.revents == POLLOUT);
	CHECK(read(fault.out_fd, &byte, 1) == -1 && errno == ESPIPE);
	CHECK(read(fault.out_fd, &byte, 0) == 0);
	CHECK(destroy(copy, fault.out_id) == -1 && errno == EBUSY);
	/* Another program gets the queue as its standard input. */
	child = fork();
	if (!child) {
		CHECK(dup2(fault.out_fd, 0) == 0);
		execl("/proc/self/exe", "driver", "inherited", NULL);
		exit(2);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(close(fault.out_fd) == 0);
	CHECK(destroy(copy, fault.out_id) == 0);
	CHECK(close(copy) == 0);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void latency(void)
{
	enum { CALLS = 20000 };
	static double costs[CALLS];
	int fd = open("/dev/iommu", O_RDWR), i;

	ioas_alloc(fd);
	for (i = 0; i < CALLS; i++) {
		struct timespec a, b;

		clock_gettime(CLOCK_MONOTONIC, &a);
		destroy(fd, 0);
		clock_gettime(CLOCK_MONOTONIC, &b);
		costs[i] = (b.tv_sec - a.tv_sec) * 1e6 + (b.tv_nsec - a.tv_nsec) / 1e3;
	}
	qsort(costs, CALLS, sizeof(*costs), compare);
	printf("served ioctl: median %.1f us, 99 %% below %.1f us\n", costs[CALLS / 2], costs[CALLS / 100 * 99]);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "latency")) {
		latency();
		return 0;
	}
	if (argc > 1 && !strcmp(argv[1], "inherited")) {
		char record[40];

		CHECK(read(0, record, sizeof(record)) == 0);
		CHECK(read(0, record, 1) == -1 && errno == ESPIPE);
		return 0;
	}
	simple_api();
	lives_and_deaths();
	puts("ok");
	return 0;
}
