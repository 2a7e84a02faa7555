// SPDX-License-Identifier: BSD-2-Clause
#include "evidence_check_leases.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/json_scan.h"
#include "base/clock.h"
#include "base/ledger_lines.h"
#include "base/withheld.h"
#include "evidence_guard.h"
#include "faults.h"
#include "json_get.h"
#include "leases/lease_evidence.h"
#include "leases/lease_line.h"

struct chain_of_leases {
	bool whole;
	cJSON *faults;
	struct evidence_leases n;
	char file[LEDGER_NAME], hash[HASH_TEXT];
	int64_t begin; /* of the file's day */
	uint64_t entry, line;
};

static void __attribute__((format(printf, 2, 3))) fault(const struct chain_of_leases *x, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fault_addv(x->faults, LEASE_EVIDENCE_FILE, x->entry, format, ap);
	va_end(ap);
}

/* Lines of a damaged file may be missing: the one behind them is damaged. */
static void check_place(const struct chain_of_leases *x, const char *previous, uint64_t number, bool damaged)
{
	if (x->whole)
		return;
	if (strcmp(previous, x->hash) != 0)
		fault(x, "does not follow from the one before: something was taken out");
	else if (number && number != x->line + 1 && (number <= x->line || !damaged))
		fault(x, "is line %" PRIu64 " of %s, and %" PRIu64 " belongs here", number, x->file, x->line + 1);
}

static bool in_day(const struct chain_of_leases *x, int64_t t)
{
	return t == TIME_NONE || (t >= x->begin && t < x->begin + DAY_S);
}

/* What others wrote has no checksums, and may be of any day. */
static bool is_of_day(const struct chain_of_leases *x, const struct withheld *w)
{
	return !strcmp(w->hash, HASH_NONE) || (in_day(x, w->from) && in_day(x, w->to));
}

/* What stands for a line of somebody else is such a line, with words that stand for names. */
static bool says_a_line(const struct chain_of_leases *x, const struct withheld *w)
{
	_cleanup_free_ char *text = NULL;
	struct lease_line l;
	size_t size;

	if (w->lines != 1 || w->from != TIME_NONE || w->to != TIME_NONE ||
	    lease_line_read(w->says, w->says_size, &l, NULL) || (strcmp(w->hash, HASH_NONE) != 0 && !in_day(x, l.time)))
		return false;
	text = lease_line_text(&l, &size);
	return text && size == w->says_size && !memcmp(text, w->says, size) && !*l.mac && !*l.circuit &&
	       !strncmp(l.id, "withheld-", 9) && strstr(l.session, *l.session ? "withheld-" : "");
}

static void check_withheld(const struct chain_of_leases *x, const struct withheld *w)
{
	if (w->set_back || (w->says ? !says_a_line(x, w) : !is_of_day(x, w) || (w->damaged && w->lines != 1)))
		fault(x, "says what no line of that day can say");
}

/* Lines without checksums stand before all that have one, if others wrote in the file before detnat. */
static void check_unchained(const struct chain_of_leases *x, const char *line, size_t size)
{
	const char *end = line;
	_cleanup_json_ cJSON *json = cJSON_ParseWithLengthOpts(line, size, &end, false);

	if (!json || end != line + size || strcmp(x->hash, HASH_NONE) != 0 || json_get(json, "hash"))
		fault(x, "has no checksum");
}

static int check_entry(void *arg, const char *file, const char *previous, const char *line, size_t size)
{
	struct chain_of_leases *x = arg;
	struct withheld w;
	char hash[HASH_TEXT] = HASH_NONE;
	uint64_t number;
	int r;

	x->entry++;
	if (strcmp(file, x->file) != 0) {
		if (strcmp(file, x->file) < 0)
			fault(x, "is of an earlier day than the one before");
		snprintf(x->file, sizeof(x->file), "%s", file);
		ledger_file_begin(LEDGER_LEASES, file, &x->begin);
		memcpy(x->hash, HASH_NONE, HASH_TEXT);
		x->line = 0;
	}
	if (withheld_read(line, size, &w)) {
		check_place(x, previous, w.line, w.damaged);
		check_withheld(x, &w);
		memcpy(x->hash, w.hash, HASH_TEXT);
		x->line = (w.line ? w.line : x->line + 1) + w.lines - 1;
		x->n.withheld += w.lines;
		return 0;
	}
	r = chain_check(line, size, previous, hash);
	number = chain_number(line, size);
	check_place(x, previous, number, chain_erased(line, size));
	/* What others wrote in a directory before detnat has no checksums. */
	if (r == -EBADMSG && !chain_erased(line, size))
		fault(x, "was changed: its checksum is wrong");
	if (r == -EINVAL)
		check_unchained(x, line, size);
	memcpy(x->hash, hash, HASH_TEXT);
	x->line = number ? number : x->line + 1;
	x->n.lines++;
	x->n.unchained += r == -EINVAL;
	return 0;
}

struct evidence_leases evidence_check_leases(const char *dir, bool whole, cJSON *faults)
{
	struct chain_of_leases x = { .whole = whole, .faults = faults, .hash = HASH_NONE };
	size_t size;
	_cleanup_free_ char *text = evidence_read_text(dir, LEASE_EVIDENCE_FILE, EVIDENCE_FILE_MAX, &size);

	if (!text && errno != ENOENT)
		fault(&x, "cannot be read: %s", strerror(errno));
	if (text && ledger_lines_read(LEDGER_LEASES, text, size, check_entry, &x, &x.entry))
		fault(&x, "is no line of leases");
	return x.n;
}
