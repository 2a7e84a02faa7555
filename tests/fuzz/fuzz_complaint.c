/* SPDX-License-Identifier: BSD-2-Clause */
/* Complaints of any octets: what is found is a question that can be asked, or has a reason, and has its place. */
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "complaints/complaint.h"

static void expect(bool good)
{
	if (!good)
		__builtin_trap();
}

static void expect_place(const struct complaint_place *p)
{
	expect(!p->line || (p->column && p->length));
}

static int take(void *arg, const struct complaint *c)
{
	unsigned *n = arg;

	expect(c->good ? c->t >= TIME_MIN && c->t <= TIME_MAX && c->out.port : *c->why.text != '\0');
	expect(c->good == !c->fault && *complaint_fault_word(c->fault ? c->fault : FAULT_TIME));
	expect_place(&c->addr);
	expect_place(&c->port);
	expect_place(&c->time);
	expect(!c->good || (c->addr.line && c->port.line && c->time.line));
	expect(c->n_candidates <= COMPLAINT_CANDIDATES);
	for (unsigned i = 0; i < c->n_candidates; i++)
		expect_place(&c->candidates[i].addr);
	return ++*n == 1000;
}

static void tell(void *arg, const struct complaint_notice *notice)
{
	(void)arg;
	expect(notice->line && *notice->text && *complaint_notice_word(notice->code));
}

static bool ours(void *arg, uint32_t addr)
{
	(void)arg;
	return addr >> 8 == 0xcb0071 || addr >> 8 == 0xc63364;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zone zone = { .given = size & 1 };
	unsigned n = 0;
	const struct complaint_reader reader = {
		.zone = &zone, .ours = size & 2 ? ours : NULL, .take = take, .tell = tell, .arg = &n
	};
	/* As large as the input, so that a look beyond its end is seen. */
	char *text = malloc(size ? size : 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	complaint_read(text, size, &reader);
	free(text);
	return 0;
}
