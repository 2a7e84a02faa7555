/* SPDX-License-Identifier: BSD-2-Clause */
#include "host/mapped_file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct mapped_file {
	uint8_t *base;
	size_t size;
	size_t page;
	volatile sig_atomic_t lost;
	struct mapped_file *next;
};

/* Changed by the thread that uses the files; read by the handler, which interrupts that thread at a load or a store. */
static struct mapped_file *files;
static struct sigaction before;

/* Replaces a page by memory. */
static bool replace(struct mapped_file *f, const uint8_t *at)
{
	uint8_t *page = f->base + (size_t)(at - f->base) / f->page * f->page;

	f->lost = 1;
	return mmap(page, f->page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == page;
}

static void on_bus(int number, siginfo_t *info, void *context)
{
	const uint8_t *at = info->si_addr;
	int error = errno;
	bool found = false;

	for (struct mapped_file *f = files; f && !found; f = f->next)
		found = at >= f->base && at < f->base + f->size && replace(f, at);
	errno = error;
	if (found)
		return;
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else
		sigaction(SIGBUS, &before, NULL); /* returns to the same fault */
}

static int handle_bus(void)
{
	static bool handled;
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };

	if (handled)
		return 0;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, &action, &before))
		return -errno;
	handled = true;
	return 0;
}

int mapped_file_new(int fd, size_t size, struct mapped_file **ret)
{
	struct mapped_file *f = calloc(1, sizeof(*f));
	int r = f ? handle_bus() : -ENOMEM;

	if (!r) {
		f->base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		r = f->base == MAP_FAILED ? -errno : 0;
	}
	if (r) {
		free(f);
		return r;
	}
	f->size = size;
	f->page = (size_t)sysconf(_SC_PAGESIZE);
	f->next = files;
	__atomic_store_n(&files, f, __ATOMIC_RELEASE);
	*ret = f;
	return 0;
}

void mapped_file_free(struct mapped_file *f)
{
	struct mapped_file **at = &files;

	if (!f)
		return;
	while (*at != f)
		at = &(*at)->next;
	__atomic_store_n(at, f->next, __ATOMIC_RELEASE);
	munmap(f->base, f->size);
	free(f);
}

uint8_t *mapped_file_base(const struct mapped_file *f)
{
	return f->base;
}

bool mapped_file_lost(const struct mapped_file *f)
{
	return f->lost;
}
