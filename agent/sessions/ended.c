/* SPDX-License-Identifier: BSD-2-Clause */
/* Reports sessions that end with their mapping, as sessions_on_close() does for those that are closed. */
#include "sessions/sessions_private.h"

/* Time spent on reporting in one step. */
#define TELL_BUDGET_US 2000U

static void tell(struct mapping_job *t, uint32_t in_addr, uint64_t key, uint64_t word, uint32_t now)
{
	struct mappings *m = t->m;
	struct session s = session_of(&t->record, in_addr, key, word, now, m->d->hz);

	s.ended_ns = t->left_ns;
	m->on_close(&s, m->on_close_arg);
}

static void report_slot(struct mapping_job *t, uint32_t in_addr, uint64_t key, uint64_t word)
{
	tell(t, in_addr, key, word, datapath_ticks(t->m->d));
}

static bool report_slots(struct mapping_job *t)
{
	struct mappings *m = t->m;
	uint64_t deadline_us = monotonic_us() + TELL_BUDGET_US;
	uint32_t n_slots = BUCKET_SLOTS << t->record.bucket_shift, now = datapath_ticks(m->d), passed = 0;

	while (t->told < t->n_subscribers) {
		uint32_t n = (uint32_t)t->told++;
		const struct subscriber *s = chunks_at(&m->subscribers, t->record.first_subscriber + n);
		const struct slot *slots =
			chunks_at(&m->buckets, t->record.first_bucket + (n << t->record.bucket_shift));
		uint64_t key, word;

		/* Those in time-wait are in no count. */
		for (uint32_t i = 0; i < n_slots; i++)
			if (slot_read(&slots[i], &key, &word))
				tell(t, t->record.geo.in_base + n, key, word, now);
		if ((s->sessions || !(++passed % 16)) && monotonic_us() >= deadline_us)
			return false;
	}
	return true;
}

static void report_overflow(struct mapping_job *t, const struct overflow_key *in2out, uint64_t word)
{
	tell(t, in2out->in_addr, overflow_slot_key(in2out), word, datapath_ticks(t->m->d));
}

const struct mappings_ending sessions_ending = {
	.report_slots = report_slots,
	.report_slot = report_slot,
	.report_overflow = report_overflow,
};
