// SPDX-License-Identifier: BSD-2-Clause
/* Files of requests that wait, of any octets: what is read is read again the same, and a request that is added, too. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fnv.h"
#include "request_spool.h"

struct found {
	size_t n;
	uint64_t sum;
	uint64_t last;
};

static int note(void *arg, const struct spooled *x)
{
	struct found *f = arg;

	f->n++;
	f->sum = fnv1a(f->sum, x->request, x->size);
	f->last = x->number;
	return 0;
}

static struct request_spool *open_again(const char *path, struct found *ret)
{
	struct request_spool *s = NULL;

	*ret = (struct found){ .sum = FNV1A_BEGIN };
	if (spool_open(path, note, ret, &s))
		abort();
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd;
	struct found first, second;
	struct request_spool *s;
	uint64_t number;

	snprintf(path, sizeof(path), "/dev/shm/detnat-fuzz-spool-%d", getpid());
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
	s = open_again(path, &first);
	if (spool_add(s, (const uint8_t *)"request", 7, 1, &number))
		abort();
	spool_free(s);
	s = open_again(path, &second);
	if (second.n != first.n + 1 || second.last != number || second.sum != fnv1a(first.sum, "request", 7))
		abort();
	spool_end(s, number);
	spool_free(s);
	s = open_again(path, &second);
	if (second.n != first.n || second.sum != first.sum)
		abort();
	spool_free(s);
	unlink(path);
	return 0;
}
