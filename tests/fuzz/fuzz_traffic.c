// SPDX-License-Identifier: BSD-2-Clause
/*
 * Files of traffic of any octets, in each format that the beginning names: what is read is within its limits, and lines
 * are taken, counted or refused.
 */
#include <detnat/session.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "traffic/traffic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int take(void *arg, const struct traffic_flow *f)
{
	uint64_t *flows = arg;

	if ((f->proto != 1 && f->proto != 6 && f->proto != 17) || f->timer >= N_TRAFFIC_TIMERS ||
	    (f->state & ~SESSION_RESET) >= N_SESSION_STATES || (f->state & ~SESSION_RESET) < SESSION_UDP ||
	    (!f->timer && f->last_ms < f->first_ms) || (f->proto == 1 && f->dport))
		abort();
	++*flows;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("traffic", 0);
	uint64_t flows = 0;
	struct traffic_notes notes;
	struct error err = { "" };
	int r;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET))
		abort();
	r = traffic_read(fd, "FILE", 1700000000000LL, take, &flows, &notes, &err);
	if (r > 0 || (r && !*err.text) || (!r && notes.flows != flows))
		abort();
	for (uint64_t i = 0; !r && i < notes.garbage && i < TRAFFIC_NAMED; i++)
		if (memchr(notes.named[i].text, '\n', sizeof(notes.named[i].text)) ||
		    !memchr(notes.named[i].text, '\0', sizeof(notes.named[i].text)))
			abort();
	close(fd);
	return 0;
}
