/* SPDX-License-Identifier: BSD-2-Clause */
#include "leases/lease_erase.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/ledger.h"
#include "base/text.h"
#include "leases/accounting.h"
#include "leases/lease_files.h"

struct search {
	const char *customer;
	char mac[MAC_TEXT];	   /* "": it is none */
	struct hash_index session; /* of the customer */
	uint64_t n;		   /* lines of the present file */
};

static uint64_t session_of(const struct lease_line *l)
{
	return HASH_OF(hash_octets(l->session, strlen(l->session)), hash_octets(l->tenant, strlen(l->tenant)));
}

const char *lease_named_by(const struct lease_line *l, const char *customer, const char *mac)
{
	char own[MAC_TEXT];

	if (!strcmp(l->id, customer))
		return "id";
	if (!strcmp(l->circuit, customer))
		return "circuit";
	return *mac && (!strcmp(mac_text(l->mac, own), mac) || !strcmp(mac_text(l->id, own), mac)) ? "mac" : NULL;
}

static bool is_of(const struct search *s, const struct lease_line *l)
{
	return lease_named_by(l, s->customer, s->mac);
}

/* A session's line may name nobody: the number tells whose it is. */
static bool is_picked(const struct search *s, const struct lease_line *l)
{
	bool nameless = !*l->id && !*l->mac && !*l->circuit && *l->session && l->addr.plen;

	return is_of(s, l) || (nameless && hash_set_has(&s->session, session_of(l)));
}

static bool pick(void *arg, const char *line, size_t size)
{
	struct lease_line l;

	return !lease_line_read(line, size, &l, NULL) && is_picked(arg, &l);
}

static int note_session(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct search *s = arg;
	struct lease_line l;

	if (lease_line_read(line, size, &l, NULL) || !*l.session || !is_of(s, &l))
		return 0;
	return hash_set_add(&s->session, session_of(&l));
}

static int count(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct search *s = arg;

	s->n += pick(s, line, size);
	return 0;
}

/* What goes from each file, without names of files from which nothing does. */
static int count_all(struct search *s, int dir, const struct ledger_names *names, struct lease_erased *ret,
		     size_t *ret_n)
{
	size_t torn;
	int r = 0;

	for (size_t i = 0; i < names->n && !r; i++)
		r = chain_read(dir, names->name[i], note_session, s, &torn);
	for (size_t i = 0; i < names->n && !r; i++) {
		s->n = 0;
		r = chain_read(dir, names->name[i], count, s, &torn);
		if (r || !s->n)
			continue;
		memcpy(ret[*ret_n].file, names->name[i], LEDGER_NAME);
		ret[(*ret_n)++].lines = s->n;
	}
	return r;
}

/* Says in today's file what goes. */
static int state(const char *dir, const char *of_case, int64_t now, const struct lease_erased *e, size_t n,
		 struct error *err)
{
	_cleanup_free_ char *bodies = NULL;
	char file[LEDGER_NAME], time[TIME_TEXT];
	size_t size = 0;
	FILE *out = open_memstream(&bodies, &size);

	for (size_t i = 0; out && i < n; i++) {
		fprintf(out, "\"time\":\"%s\",\"event\":\"erased\",\"day\":\"%.10s\",\"lines\":%" PRIu64 ",\"case\":",
			time_format(now, time), e[i].file + strlen("leases-"), e[i].lines);
		if (of_case)
			text_json_string(out, of_case);
		else
			fputs("null", out);
		fputc('\n', out);
	}
	if (!out || fclose(out))
		return error_set(err, -ENOMEM, "out of memory");
	return ledger_append(dir, ledger_file_name(LEDGER_LEASES, now, file), bodies, size, now, err);
}

int lease_erase(const char *dir, const char *customer, const char *of_case, bool dry, int64_t now,
		struct lease_erased **ret, size_t *ret_n, struct error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ struct lease_erased *list = NULL;
	struct search s = { .customer = customer };
	struct ledger_names names = { 0 };
	size_t n = 0;
	int r = ledger_files_list(dir, LEDGER_LEASES, &names, err);

	if (r)
		return r;
	mac_text(customer, s.mac);
	list = calloc(names.n + 1, sizeof(*list));
	r = list ? count_all(&s, fd, &names, list, &n) : -ENOMEM;
	free(names.name);
	if (r)
		r = error_set(err, r, "the leases in %.200s cannot be read: %s", dir, strerror(-r));
	else if (!n)
		r = error_set(err, -ENOENT, "no line of leases in %.200s has the id, the circuit or the MAC %.100s",
			      dir, QUOTED(customer));
	else if (!dry)
		r = state(dir, of_case, now, list, n, err);
	for (size_t i = 0; i < n && !r && !dry; i++)
		r = ledger_erase(dir, list[i].file, pick, &s, now, &list[i].lines, err);
	hash_index_free(&s.session);
	if (r)
		return r;
	*ret = take_pointer(list);
	*ret_n = n;
	return 0;
}
