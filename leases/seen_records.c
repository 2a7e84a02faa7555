/* SPDX-License-Identifier: BSD-2-Clause */
#include "seen_records.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "base/hash.h"
#include "leases/lease_files.h"

#define WAYS 4U

struct seen_place {
	uint64_t key;	  /* 0: free */
	int64_t time;	  /* of the event */
	uint32_t content; /* hash of all that a repetition has, too; of a packet 0 */
	uint32_t noted_s; /* order of age; of the clock of now_s */
	uint32_t group : 31;
	uint32_t passed_on : 1;
};
_Static_assert(sizeof(struct seen_place) == 32, "places of one size");

/* The earliest at which the event may have been, which a repetition has, too. */
static int64_t moment(const struct lease_line *l)
{
	return l->early == TIME_NONE ? l->time : l->early;
}

/* Of a session SERVER/SESSION. */
static size_t server_size(const struct lease_line *l)
{
	const char *slash = strchr(l->session, '/');

	return slash ? (size_t)(slash + 1 - l->session) : 0;
}

static bool has_session(const struct lease_line *l)
{
	size_t n = server_size(l);

	return n && l->session[n];
}

/* Seconds from the beginning of the session to the event, as its server counted; -1: it did not say. */
static int64_t session_time(const struct lease_line *l)
{
	return l->from == TIME_NONE || l->event == LEASE_START ? -1 : l->time - l->from;
}

/* A session has one beginning and one end, and one interim record of a second. */
static uint64_t key_of(const struct lease_line *l, enum lease_event event)
{
	uint64_t addr[2], key;

	memcpy(addr, l->addr.octet, sizeof(addr));
	key = HASH_OF(hash_octets(l->session, strlen(l->session)) ^
			      (*l->tenant ? hash_octets(l->tenant, strlen(l->tenant)) : 0),
		      addr[0], addr[1], l->addr.plen, event, event == LEASE_INTERIM ? (uint64_t)session_time(l) : 0);
	return key + !key;
}

static uint64_t key_of_off(const struct lease_line *l)
{
	struct lease_line off;
	size_t server = server_size(l);

	lease_line_init(&off, l->time, LEASE_OFF);
	memcpy(off.tenant, l->tenant, sizeof(off.tenant));
	memcpy(off.session, l->session, server);
	off.session[server] = '\0';
	return key_of(&off, LEASE_OFF);
}

uint64_t seen_key(const struct seen_record *r)
{
	return r->line ? key_of(r->line, r->line->event) : r->packet + !r->packet;
}

static uint32_t content_of(const struct lease_line *l)
{
	int64_t expected = l->event == LEASE_STOP || l->to == TIME_OPEN ? 0 : l->to - l->time;

	return (uint32_t)HASH_OF(lease_texts_hash(l), (uint64_t)session_time(l), (uint64_t)expected);
}

static struct seen_place *find(const struct seen_records *s, uint64_t key)
{
	struct seen_place *set = s->place ? &s->place[key % SEEN_PLACES / WAYS * WAYS] : NULL;

	for (unsigned i = 0; set && i < WAYS; i++)
		if (set[i].key == key)
			return &set[i];
	return NULL;
}

/* Whether a record of a key is known that is later than this event. */
static bool later(const struct seen_records *s, uint64_t key, int64_t time)
{
	const struct seen_place *p = find(s, key);

	return p && p->time >= time;
}

/* Whether the session of a place's record ended or began anew after it. */
static bool outlived(const struct seen_records *s, const struct lease_line *l, int64_t time)
{
	if (later(s, key_of_off(l), time))
		return true;
	if (l->event == LEASE_START)
		return later(s, key_of(l, LEASE_STOP), time);
	return later(s, key_of(l, LEASE_START), time + 1);
}

static bool same_record(const struct seen_records *s, const struct seen_place *p, const struct lease_line *l)
{
	if (p->content != content_of(l))
		return false;
	if (distance(p->time, moment(l)) <= SEEN_SLACK_S)
		return true;
	return distance(p->time, moment(l)) <= SEEN_S && has_session(l) && !outlived(s, l, p->time) &&
	       (l->event == LEASE_START || session_time(l) >= 0);
}

enum seen seen_ask(const struct seen_records *s, const struct seen_record *r)
{
	const struct seen_place *p = find(s, seen_key(r));

	if (!p)
		return SEEN_NOT;
	if (r->line && !same_record(s, p, r->line))
		return SEEN_NOT;
	return p->group == (s->group & INT32_MAX) ? SEEN_WAITING : SEEN_WRITTEN;
}

static struct seen_place *oldest(const struct seen_records *s, uint64_t key, uint32_t now_s)
{
	struct seen_place *set = &s->place[key % SEEN_PLACES / WAYS * WAYS], *found = set;

	for (unsigned i = 0; i < WAYS && found->key; i++)
		if (!set[i].key || now_s - set[i].noted_s > now_s - found->noted_s)
			found = &set[i];
	return found;
}

void seen_note(struct seen_records *s, const struct seen_record *r, uint64_t now_s)
{
	uint64_t key = seen_key(r);
	struct seen_place *p;

	if (!s->place)
		s->place = calloc(SEEN_PLACES, sizeof(*s->place));
	if (!s->place)
		return;
	p = find(s, key);
	p = p ? p : oldest(s, key, (uint32_t)now_s);
	*p = (struct seen_place){
		.key = key,
		.time = r->line ? moment(r->line) : 0,
		.content = r->line ? content_of(r->line) : 0,
		.noted_s = (uint32_t)now_s,
		.group = s->group & INT32_MAX,
	};
}

void seen_written(struct seen_records *s)
{
	s->group++;
}

void seen_pass_on(struct seen_records *s, uint64_t key)
{
	struct seen_place *p = find(s, key);

	if (p)
		p->passed_on = true;
}

bool seen_passed_on(const struct seen_records *s, uint64_t key)
{
	const struct seen_place *p = find(s, key);

	return p && p->passed_on;
}

static int recall(void *arg, const char *name, uint64_t number, const char *line, size_t size)
{
	struct lease_line l;

	if (lease_line_read(line, size, &l, NULL) || l.event > LEASE_OFF)
		return 0;
	seen_note(arg, &(struct seen_record){ .line = &l }, 0);
	if (l.packet)
		seen_note(arg, &(struct seen_record){ .packet = l.packet }, 0);
	return 0;
}

/* The day before is read if today's lines leave room. */
static void recall_days(struct seen_records *s, int dir, int64_t now, uint64_t room)
{
	char name[LEDGER_NAME];
	struct stat st;
	uint64_t today;

	ledger_file_name(LEDGER_LEASES, now, name);
	today = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) ? 0 : (uint64_t)st.st_size;
	ledger_file_name(LEDGER_LEASES, now - DAY_S, name);
	if (today < room)
		chain_read_last(dir, name, room - today, recall, s);
	ledger_file_name(LEDGER_LEASES, now, name);
	chain_read_last(dir, name, room, recall, s);
}

void seen_recall(struct seen_records *s, const char *dir, int64_t now)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		recall_days(s, fd, now, SEEN_RECALL);
	seen_written(s);
}

void seen_free(struct seen_records *s)
{
	free(s->place);
	s->place = NULL;
}
