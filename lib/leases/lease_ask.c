// SPDX-License-Identifier: BSD-2-Clause
/* Answers from a finished index of leases. */
#include <string.h>

#include "leases/lease_index_private.h"

const char *lease_reason(enum lease_result result)
{
	static const char *const reasons[] = {
		[LEASE_CUSTOMER] = NULL,	 [LEASE_NO_LEASE] = "no-lease", [LEASE_TWO] = "two-leases",
		[LEASE_NO_RECORD] = "no-record", [LEASE_TAKEN_OUT] = "erased",
	};

	return reasons[result];
}

/* The number of leases of earlier addresses, or with `through` also of this one. */
static size_t place_of(const struct lease_index *x, const struct lease_addr *addr, bool through)
{
	size_t low = 0, high = x->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct lease_addr *a = &x->lease[middle].addr;
		int r = memcmp(a->octet, addr->octet, sizeof(addr->octet));

		r = r ? r : a->plen - addr->plen;
		if (r < 0 || (through && !r))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The end of the leases begin..end that begin by t, all of one address and tenant. */
static size_t begun_by(const struct lease_index *x, size_t begin, size_t end, int64_t t)
{
	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (x->lease[middle].from <= t)
			begin = middle + 1;
		else
			end = middle;
	}
	return begin;
}

/* The end of the leases of the tenant of lease `begin`. */
static size_t end_of_tenant(const struct lease_index *x, size_t begin, size_t end)
{
	uint32_t tenant = x->lease[begin].tenant;

	if (x->lease[end - 1].tenant == tenant)
		return end;
	while (begin + 1 < end) {
		size_t middle = begin + (end - begin) / 2;

		if (x->lease[middle].tenant == tenant)
			begin = middle;
		else
			end = middle;
	}
	return end;
}

static struct lease_holder holder_of(const struct lease_index *x, const struct lease *l)
{
	return (struct lease_holder){
		.tenant = lease_pool_text(&x->pool, l->tenant),
		.id = lease_pool_text(&x->pool, l->id),
		.mac = lease_pool_text(&x->pool, l->mac),
		.circuit = lease_pool_text(&x->pool, l->circuit),
		.session = lease_pool_text(&x->sessions, l->session),
		.from = l->from,
		.to = l->to,
		.assumed = l->assumed,
	};
}

/* Texts other than sessions are the same if they are in the same place. Without an id, the MAC or the session counts.
 */
static bool same_customer(const struct lease_holder *a, const struct lease_holder *b)
{
	if (a->tenant != b->tenant || a->id != b->id)
		return false;
	return *a->id || (*a->mac || *b->mac ? a->mac == b->mac : !strcmp(a->session, b->session));
}

/* Adds a holder; of a customer with several leases, the one that began last stays. */
static void add_holder(struct lease_answer *a, const struct lease_holder *h)
{
	for (unsigned i = 0; i < a->n; i++) {
		if (!same_customer(&a->holder[i], h))
			continue;
		if (h->from > a->holder[i].from)
			a->holder[i] = *h;
		return;
	}
	if (a->n < LEASE_HOLDERS)
		a->holder[a->n++] = *h;
	else
		a->more = true;
}

/* Adds those of one tenant, leases begin..end, that hold in any second from..to. */
static void add_tenant(const struct lease_index *x, size_t begin, size_t end, int64_t from, int64_t to,
		       struct lease_answer *ret)
{
	for (size_t i = begun_by(x, begin, end, to); i-- > begin && x->lease[i].reach >= from && !ret->more;) {
		struct lease_holder h = holder_of(x, &x->lease[i]);

		if (h.to >= from)
			add_holder(ret, &h);
	}
}

/* Whether leases of a tenant count; those that name none may be of any. */
static bool counts(const char *of, const char *wanted)
{
	return !wanted || !*of || !strcmp(of, wanted);
}

static void collect(const struct lease_index *x, const struct lease_addr *addr, const char *tenant, int64_t from,
		    int64_t to, struct lease_answer *ret)
{
	size_t begin = place_of(x, addr, false), end = place_of(x, addr, true);

	*ret = (struct lease_answer){ 0 };
	while (begin < end) {
		size_t next = end_of_tenant(x, begin, end);

		if (counts(lease_pool_text(&x->pool, x->lease[begin].tenant), tenant))
			add_tenant(x, begin, next, from, to, ret);
		begin = next;
	}
}

/* Whether events were recorded in all seconds from..to. */
static bool recorded(const struct lease_index *x, int64_t from, int64_t to)
{
	if (from < x->first_time || to > x->last_time)
		return false;
	for (size_t i = 0; i < x->n_lost; i++)
		if (x->lost[i].from <= to && from < x->lost[i].to)
			return false;
	return true;
}

/* The end of a time without records that has second t; t: it has a record. */
static int64_t lost_until(const struct lease_index *x, int64_t t)
{
	int64_t until = t < x->first_time ? x->first_time : t;

	for (size_t i = 0; i < x->n_lost; i++)
		if (x->lost[i].from <= t && x->lost[i].to > until)
			until = x->lost[i].to;
	return until;
}

/* Whether nothing was recorded in all seconds from..to. */
static bool unrecorded(const struct lease_index *x, int64_t from, int64_t to)
{
	while (from <= to && from <= x->last_time) {
		int64_t until = lost_until(x, from);

		if (until == from)
			return false;
		from = until;
	}
	return true;
}

/* The last erasure of lines of any of the seconds from..to; NULL: there was none. */
static const struct lease_erasure *erasure_of(const struct lease_index *x, int64_t from, int64_t to)
{
	for (size_t i = x->n_erasures; i-- > 0;)
		if (x->erasure[i].from <= to && from < x->erasure[i].to)
			return &x->erasure[i];
	return NULL;
}

/* They were collected from the last to the first. */
static void order_holders(struct lease_answer *a)
{
	for (unsigned i = 1; i < a->n; i++)
		for (unsigned k = i; k && a->holder[k].from <= a->holder[k - 1].from; k--) {
			struct lease_holder h = a->holder[k];

			a->holder[k] = a->holder[k - 1];
			a->holder[k - 1] = h;
		}
}

void lease_ask(const struct lease_index *x, const struct lease_addr *addr, const char *tenant, int64_t t,
	       struct lease_answer *ret)
{
	const struct lease_erasure *erased = erasure_of(x, t, t);

	collect(x, addr, tenant, t, t, ret);
	order_holders(ret);
	if (ret->n > 1)
		ret->result = LEASE_TWO;
	else if (ret->n)
		ret->result = LEASE_CUSTOMER;
	else if (erased)
		ret->result = LEASE_TAKEN_OUT;
	else
		ret->result = recorded(x, t, t) ? LEASE_NO_LEASE : LEASE_NO_RECORD;
	ret->erased = erased ? erased->time : TIME_NONE;
}

/* Whether one customer's leases leave no second from..to without. */
static bool covers(const struct lease_index *x, const struct lease_addr *addr, const char *tenant, int64_t from,
		   int64_t to)
{
	struct lease_answer a;

	while (from <= to) {
		collect(x, addr, tenant, from, from, &a);
		if (!a.n)
			return false;
		if (a.holder[0].to >= to)
			return true;
		from = a.holder[0].to + 1;
	}
	return true;
}

bool lease_same(const struct lease_index *x, const struct lease_addr *addr, const char *tenant, int64_t from,
		int64_t to, const struct lease_answer *a)
{
	struct lease_answer around;

	collect(x, addr, tenant, from, to, &around);
	if (a->result == LEASE_CUSTOMER)
		return around.n == 1 && !around.more && same_customer(&around.holder[0], &a->holder[0]) &&
		       covers(x, addr, tenant, from, to);
	if (a->result == LEASE_NO_LEASE)
		return !around.n && recorded(x, from, to) && !erasure_of(x, from, to);
	if (a->result == LEASE_TAKEN_OUT)
		return !around.n && erasure_of(x, from, from) && erasure_of(x, from, from) == erasure_of(x, to, to);
	return a->result == LEASE_NO_RECORD && !around.n && unrecorded(x, from, to);
}
