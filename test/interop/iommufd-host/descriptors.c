/*
 * How descriptors of /dev/iommu live and die: threads and forks, closing what is not one's own, passing on, poll, events,
 * mapped regions. The argument names a part. It needs the kernel's test interface.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CMD(n) ((0x3b << 8) | (n))
#define CHECK(x)                                                                                                       \
	do {                                                                                                           \
		if (!(x)) {                                                                                            \
			printf("line %d: %s (errno %d)\n", __LINE__, #x, errno);                                       \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

/* From include/uapi/linux/iommufd.h and drivers/iommu/iommufd/iommufd_test.h. */
struct ioas_alloc { uint32_t size, flags, out_ioas_id; };
struct destroy { uint32_t size, id; };
struct fault_alloc { uint32_t size, flags, out_id, out_fd; };
struct hwpt_alloc {
	uint32_t size, flags, dev_id, pt_id, out_id, reserved, data_type, data_len;
	uint64_t data_uptr;
	uint32_t fault_id, reserved2;
};
struct viommu_alloc {
	uint32_t size, flags, type, dev_id, hwpt_id, out_id, data_len, reserved;
	uint64_t data_uptr;
};
struct vdevice_alloc { uint32_t size, viommu_id, dev_id, out_id; uint64_t virt_id; };
struct veventq_alloc { uint32_t size, flags, viommu_id, type, depth, out_id, out_fd, reserved; };
struct test { uint32_t size, op, id, reserved, u[12], last, tail; };
struct viommu_data { uint32_t in, out; uint64_t offset, length; };

enum { MOCK_DOMAIN = 2, MOCK_DOMAIN_REPLACE = 10, TRIGGER_IOPF = 15, TRIGGER_VEVENT = 17 };
enum { NEST_PARENT = 1, FAULT_ID_VALID = 4 };

static int iommu;

static uint32_t ioas_alloc(int fd)
{
	struct ioas_alloc cmd = { .size = sizeof(cmd) };

	CHECK(ioctl(fd, CMD(0x81), &cmd) == 0);
	return cmd.out_ioas_id;
}

static int destroy(int fd, uint32_t id)
{
	struct destroy cmd = { .size = sizeof(cmd), .id = id };

	return ioctl(fd, CMD(0x80), &cmd);
}

static struct test test(uint32_t op, uint32_t id, uint32_t first)
{
	struct test cmd = { .size = sizeof(cmd), .op = op, .id = id, .u = { first } };

	CHECK(ioctl(iommu, CMD(0xa0), &cmd) == 0);
	return cmd;
}

static uint32_t hwpt(uint32_t dev, uint32_t parent, uint32_t flags, uint32_t fault)
{
	struct hwpt_alloc cmd = { .size = sizeof(cmd), .flags = flags, .dev_id = dev, .pt_id = parent, .fault_id = fault };

	CHECK(ioctl(iommu, CMD(0x89), &cmd) == 0);
	return cmd.out_id;
}

static int ends_well(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	return status == 0;
}

static int readiness(int fd, int milliseconds)
{
	struct pollfd wanted = { .fd = fd, .events = POLLIN };

	CHECK(poll(&wanted, 1, milliseconds) >= 0);
	return wanted.revents & POLLIN;
}

static void *allocates(void *stop)
{
	while (!*(volatile int *)stop)
		CHECK(destroy(iommu, ioas_alloc(iommu)) == 0);
	return NULL;
}

/* Children of a process whose other threads are in the middle of calls. */
static void threads(void)
{
	pthread_t workers[3];
	volatile int stop = 0;
	int i;

	for (i = 0; i < 3; i++)
		CHECK(pthread_create(&workers[i], NULL, allocates, (void *)&stop) == 0);
	for (i = 0; i < 60; i++) {
		pid_t child = fork();

		if (!child) {
			CHECK(destroy(iommu, ioas_alloc(iommu)) == 0);
			_exit(0);
		}
		CHECK(ends_well(child));
	}
	stop = 1;
	for (i = 0; i < 3; i++)
		pthread_join(workers[i], NULL);
}

/* Programs close what they did not open, and take numbers that they think free. */
static void closes(void)
{
	int fd, copies = 0;

	for (fd = 3; fd < 1024; fd++)
		if (fd != iommu)
			close(fd);
	ioas_alloc(iommu);
	CHECK(close_range(iommu + 1, ~0u, 0) == 0);
	ioas_alloc(iommu);
	for (fd = 900; fd < 1000; fd++)
		copies += dup2(0, fd) == fd;
	CHECK(copies == 100);
	ioas_alloc(iommu);
	fd = open("/dev/iommu", O_RDWR);
	CHECK(fd >= 0 && ioas_alloc(fd) == 1);
	/* By a range that has it in its middle: its context is gone, and the number is free. */
	CHECK(close_range(fd, fd, 0) == 0 && close(fd) == -1 && errno == EBADF);
	CHECK(ioas_alloc(iommu) == 4);
}

/* Another process gets the only descriptor. */
static void passed_on(void)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec io = { &byte, 1 };
	struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space) };
	struct cmsghdr *head;
	int pair[2], fd;
	pid_t child;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	child = fork();
	if (!child) {
		close(iommu);
		CHECK(recvmsg(pair[1], &message, 0) == 1);
		head = CMSG_FIRSTHDR(&message);
		CHECK(head && head->cmsg_type == SCM_RIGHTS);
		memcpy(&fd, CMSG_DATA(head), sizeof(fd));
		/* The sender has let go of it by now, and what it made is there. */
		CHECK(read(pair[1], &byte, 1) == 1);
		CHECK(ioas_alloc(fd) == 2 && destroy(fd, 1) == 0);
		_exit(0);
	}
	fd = open("/dev/iommu", O_RDWR);
	CHECK(ioas_alloc(fd) == 1);
	head = CMSG_FIRSTHDR(&message);
	*head = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
	CHECK(sendmsg(pair[0], &message, 0) == 1 && close(fd) == 0 && write(pair[0], &byte, 1) == 1);
	CHECK(ends_well(child));
}

/* A child waits for page requests, its parent makes them. */
static void faults(void)
{
	struct fault_alloc queue = { .size = sizeof(queue) };
	uint32_t ioas = ioas_alloc(iommu), device, table, record[10], answer[2];
	struct test mock = test(MOCK_DOMAIN, ioas, 0);
	int pair[2], i;
	char byte = 0;
	pid_t child;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	device = mock.u[2];
	CHECK(ioctl(iommu, CMD(0x8e), &queue) == 0);
	table = hwpt(device, ioas, FAULT_ID_VALID, queue.out_id);
	test(MOCK_DOMAIN_REPLACE, mock.u[0], table);
	CHECK(!readiness(queue.out_fd, 0));
	CHECK(read(queue.out_fd, record, sizeof(record)) == 0);
	child = fork();
	if (!child) {
		for (i = 0; i < 20; i++) {
			CHECK(readiness(queue.out_fd, 10000));
			CHECK(read(queue.out_fd, record, 39) == -1 && errno == ESPIPE);
			CHECK(read(queue.out_fd, record, sizeof(record)) == sizeof(record));
			CHECK(record[1] == device && record[0] == 2);
			CHECK(!readiness(queue.out_fd, 0));
			memcpy(answer, (uint32_t[]){ record[9], 0 }, sizeof(answer));
			CHECK(write(queue.out_fd, answer, sizeof(answer)) == sizeof(answer));
			CHECK(write(queue.out_fd, answer, sizeof(answer)) == -1 && errno == EINVAL);
			CHECK(write(pair[1], &byte, 1) == 1);
		}
		_exit(0);
	}
	for (i = 0; i < 20; i++) {
		usleep(1000);
		test(TRIGGER_IOPF, 0, device);
		CHECK(read(pair[0], &byte, 1) == 1);
	}
	CHECK(ends_well(child));
	/* Two that nobody reads any more; the queue is held by its descriptor and by the table. */
	test(TRIGGER_IOPF, 0, device);
	test(TRIGGER_IOPF, 0, device);
	CHECK(readiness(queue.out_fd, 0));
	CHECK(close(queue.out_fd) == 0 && destroy(iommu, queue.out_id) == -1 && errno == EBUSY);
	CHECK(destroy(iommu, mock.u[0]) == 0 && destroy(iommu, table) == 0 && destroy(iommu, queue.out_id) == 0);
}

static uint32_t viommu_of(uint32_t device, uint32_t parent, struct viommu_data *data)
{
	struct viommu_alloc cmd = {
		.size = sizeof(cmd), .type = 0xdeadbeef, .dev_id = device, .hwpt_id = parent,
		.data_len = data ? sizeof(*data) : 0, .data_uptr = (uintptr_t)data,
	};

	CHECK(ioctl(iommu, CMD(0x90), &cmd) == 0);
	return cmd.out_id;
}

/* Events of a virtual IOMMU, one more than the queue holds. */
static void events(void)
{
	uint32_t ioas = ioas_alloc(iommu), parent, got[8] = { 0 };
	struct test mock = test(MOCK_DOMAIN, ioas, 0);
	struct vdevice_alloc vdevice = { .size = sizeof(vdevice), .dev_id = mock.u[2], .virt_id = 7 };
	struct veventq_alloc queue = { .size = sizeof(queue), .type = 0xbeefbeef, .depth = 1 };
	struct hwpt_alloc nested = { .size = sizeof(nested), .dev_id = mock.u[2], .data_type = 0xdead, .data_len = 4 };
	uint32_t iotlb = 1;

	parent = hwpt(mock.u[2], ioas, NEST_PARENT, 0);
	queue.viommu_id = vdevice.viommu_id = nested.pt_id = viommu_of(mock.u[2], parent, NULL);
	CHECK(ioctl(iommu, CMD(0x91), &vdevice) == 0 && ioctl(iommu, CMD(0x93), &queue) == 0);
	nested.data_uptr = (uintptr_t)&iotlb;
	CHECK(ioctl(iommu, CMD(0x89), &nested) == 0);
	test(MOCK_DOMAIN_REPLACE, mock.u[0], nested.out_id);
	CHECK(!readiness(queue.out_fd, 0));
	test(TRIGGER_VEVENT, 0, mock.u[2]);
	test(TRIGGER_VEVENT, 0, mock.u[2]);
	CHECK(readiness(queue.out_fd, 10000));
	CHECK(read(queue.out_fd, got, 7) == -1 && errno == EINVAL);
	/* The event, and the mark that one was lost. */
	CHECK(read(queue.out_fd, got, sizeof(got)) == 20);
	CHECK(got[0] == 0 && got[1] == 0 && got[2] == 7 && got[3] == 1 && got[4] == 1);
	CHECK(!readiness(queue.out_fd, 0));
}

/* A region of the host, mapped by two processes: its object stays until both have let it go. */
static void regions(void)
{
	uint32_t ioas = ioas_alloc(iommu), viommu, *at;
	struct test mock = test(MOCK_DOMAIN, ioas, 0);
	struct viommu_data data = { .in = 0x1234 };
	int pair[2];
	char byte = 0;
	pid_t child;

	viommu = viommu_of(mock.u[2], hwpt(mock.u[2], ioas, NEST_PARENT, 0), &data);
	CHECK(data.length == 8192);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, iommu, data.offset) == MAP_FAILED && errno == ENXIO);
	CHECK(mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, iommu, data.offset) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_SHARED, iommu, data.offset) == MAP_FAILED && errno == EPERM);
	at = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, iommu, data.offset);
	CHECK(at != MAP_FAILED && *at == 0x1234);
	CHECK(destroy(iommu, viommu) == -1 && errno == EBUSY);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	child = fork();
	if (!child) {
		CHECK(read(pair[1], &byte, 1) == 1 && *at == 0x4321);
		pause();
	}
	*at = 0x4321;
	CHECK(write(pair[0], &byte, 1) == 1 && munmap(at, 8192) == 0);
	CHECK(destroy(iommu, viommu) == -1 && errno == EBUSY);
	kill(child, SIGKILL);
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(destroy(iommu, viommu) == 0);
}

/* Processes that are killed at any moment of their calls; each leaves nothing to those after it. */
static void killed(void)
{
	int i;

	for (i = 0; i < 40; i++) {
		pid_t child = fork();

		if (!child) {
			int own = open("/dev/iommu", O_RDWR);

			for (;;) {
				ioas_alloc(own);
				ioas_alloc(iommu);
			}
		}
		usleep(200 * (i % 20));
		kill(child, SIGKILL);
		CHECK(waitpid(child, NULL, 0) == child);
	}
	/* The shared context lives, with what they made in it; nobody else's does. */
	ioas_alloc(iommu);
}

static const struct {
	const char *name;
	void (*run)(void);
} parts[] = {
	{ "threads", threads }, { "closes", closes }, { "passed on", passed_on }, { "faults", faults },
	{ "events", events },   { "regions", regions }, { "killed", killed },
};

int main(int argc, char **argv)
{
	unsigned int i;

	alarm(50);
	iommu = open("/dev/iommu", O_RDWR);
	CHECK(argc == 2 && iommu >= 0);
	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (strcmp(parts[i].name, argv[1]))
			continue;
		parts[i].run();
		return close(iommu);
	}
	return 2;
}
