// SPDX-License-Identifier: BSD-2-Clause
#include "leases/lease_line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/text.h"
#include "base/virtual6.h"

static const char *const words[] = {
#define X(constant, word) [constant] = (word),
	LEASE_EVENTS(X)
#undef X
};

const char *lease_event_word(enum lease_event event)
{
	return words[event];
}

bool lease_event_of_session(enum lease_event event)
{
	return event == LEASE_START || event == LEASE_INTERIM || event == LEASE_STOP || event == LEASE_OPEN;
}

int64_t lease_line_early(const struct lease_line *l)
{
	int64_t moment = l->event == LEASE_OPEN ? l->early : l->time;

	return l->early != TIME_NONE && l->early < moment ? l->early : moment;
}

int64_t lease_line_late(const struct lease_line *l)
{
	int64_t late = most(l->time, l->late);

	if (l->event == LEASE_OPEN)
		return most(l->early, l->late);
	return l->event == LEASE_STOP && l->to != TIME_OPEN ? most(l->to, late) : late;
}

bool lease_ends_session(const struct lease_line *l)
{
	const char *slash = strchr(l->session, '/');

	return l->event == LEASE_STOP && !l->addr.plen && slash && slash[1];
}

bool lease_of_stranger(const struct lease_line *l)
{
	return l->event == LEASE_STOP && l->addr.plen && !*l->session && !*l->id && !*l->mac;
}

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

struct lease_addr lease_addr_of(uint32_t addr)
{
	struct lease_addr a = { .plen = 128 };
	struct prefixes6 six;

	if (virtual6_prefixes((struct prefix){ addr, 32, 0 }, &six)) {
		six.hi = be64_number(six.hi);
		memcpy(a.octet, &six.hi, sizeof(six.hi));
		a.plen = six.plen;
		return a;
	}
	memcpy(a.octet, mapped, sizeof(mapped));
	addr = htonl(addr);
	memcpy(a.octet + 12, &addr, sizeof(addr));
	return a;
}

bool lease_addr_is_ipv4(const struct lease_addr *a, uint32_t *ret)
{
	uint32_t be;

	if (a->plen != 128 || memcmp(a->octet, mapped, sizeof(mapped)) != 0)
		return false;
	memcpy(&be, a->octet + 12, sizeof(be));
	*ret = ntohl(be);
	return true;
}

bool lease_addr_inside(const struct lease_addr *a, size_t *at, uint32_t *ret)
{
	struct address6 first = { 0 };
	struct lease_addr own;

	if (lease_addr_is_ipv4(a, ret))
		return !(*at)++;
	memcpy(&first.hi, a->octet, sizeof(first.hi));
	first.hi = be64_number(first.hi);
	while (virtual6_next(&first, at, ret)) {
		own = lease_addr_of(*ret);
		if (!memcmp(&own, a, sizeof(own)))
			return true;
	}
	return false;
}

/* Reads "56" after the slash of a prefix; 0: it is no length. */
static unsigned parse_length(const char *text)
{
	unsigned n = 0;

	if (!*text || strlen(text) > 3 || text[strspn(text, "0123456789")])
		return 0;
	for (; *text; text++)
		n = n * 10 + (unsigned)(*text - '0');
	return n <= 128 ? n : 0;
}

void lease_addr_clear_host(struct lease_addr *a)
{
	for (unsigned bit = a->plen; bit < 128; bit++)
		a->octet[bit / 8] &= (uint8_t) ~(0x80U >> bit % 8);
}

int lease_addr_parse(const char *text, struct lease_addr *ret)
{
	struct lease_addr a = { .plen = 128 };
	char address[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t size = slash ? (size_t)(slash - text) : strlen(text);
	uint32_t v4;

	if (!strchr(text, ':')) {
		if (addr_parse(text, &v4))
			return -EINVAL;
		*ret = lease_addr_of(v4);
		return 0;
	}
	if (size >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, size);
	address[size] = '\0';
	a.plen = slash ? (uint8_t)parse_length(slash + 1) : 128;
	if (!a.plen || inet_pton(AF_INET6, address, a.octet) != 1)
		return -EINVAL;
	lease_addr_clear_host(&a);
	*ret = a;
	return 0;
}

const char *lease_addr_format(const struct lease_addr *a, char text[static LEASE_ADDR_TEXT])
{
	uint32_t v4;

	if (lease_addr_is_ipv4(a, &v4))
		return addr_format(v4, text);
	if (!inet_ntop(AF_INET6, a->octet, text, LEASE_ADDR_TEXT))
		text[0] = '\0';
	if (a->plen < 128)
		snprintf(text + strlen(text), LEASE_ADDR_TEXT - strlen(text), "/%u", a->plen);
	return text;
}

void lease_line_init(struct lease_line *l, int64_t time, enum lease_event event)
{
	l->time = time;
	l->event = event;
	l->addr = (struct lease_addr){ 0 };
	l->from = TIME_NONE;
	l->to = TIME_OPEN;
	l->early = l->late = TIME_NONE;
	l->broken = false;
	l->packet = 0;
	l->tenant[0] = l->id[0] = l->mac[0] = l->circuit[0] = l->session[0] = '\0';
}

/* The texts of a line, as they are written, "" left out. */
#define TEXT(member)                                                                                      \
	{                                                                                                 \
#member, offsetof(struct lease_line, member), sizeof(((struct lease_line *)NULL)->member) \
	}
static const struct {
	const char *key;
	size_t at, room;
} texts[] = { TEXT(tenant), TEXT(id), TEXT(mac), TEXT(circuit), TEXT(session) };

static void write_text(FILE *out, const char *key, const char *text)
{
	if (!*text)
		return;
	fprintf(out, ",\"%s\":", key);
	text_json_string(out, text);
}

static void write_time(FILE *out, const char *key, int64_t t)
{
	char text[TIME_TEXT];

	if (t == TIME_NONE || t == TIME_OPEN)
		fprintf(out, ",\"%s\":null", key);
	else
		fprintf(out, ",\"%s\":\"%s\"", key, time_format(t, text));
}

void lease_line_write(FILE *out, const struct lease_line *l)
{
	char text[TIME_TEXT], addr[LEASE_ADDR_TEXT];

	fprintf(out, "\"time\":\"%s\",\"event\":\"%s\"", time_format(l->time, text), words[l->event]);
	/* What versions before did not know. */
	if (l->event == LEASE_STEP || l->event == LEASE_OPEN || l->late != TIME_NONE || lease_ends_session(l))
		fputs(",\"format\":2", out);
	if (l->addr.plen)
		fprintf(out, ",\"in_addr\":\"%s\"", lease_addr_format(&l->addr, addr));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		write_text(out, texts[i].key, (const char *)l + texts[i].at);
	write_time(out, "from", l->from);
	write_time(out, "to", l->to);
	if (l->early != TIME_NONE)
		write_time(out, l->event == LEASE_OPEN ? "seen" : "early", l->early);
	if (l->late != TIME_NONE)
		write_time(out, "late", l->late);
	if (l->packet)
		fprintf(out, ",\"packet\":\"%016" PRIx64 "\"", l->packet);
	if (l->broken)
		fputs(",\"broken\":true", out);
}

char *lease_line_text(const struct lease_line *l, size_t *ret_size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_size);

	if (!out)
		return NULL;
	fputc('{', out);
	lease_line_write(out, l);
	fputc('}', out);
	if (!fclose(out))
		return text;
	free(text);
	return NULL;
}

static uint64_t hash_text(const char *text)
{
	return hash_octets(text, strlen(text));
}

uint64_t lease_texts_hash(const struct lease_line *l)
{
	return HASH_OF(hash_text(l->id), hash_text(l->mac), hash_text(l->circuit), hash_text(l->session));
}

/* What remains to be read of a line. */
struct scan {
	const char *at, *end;
};

static bool take(struct scan *s, char c)
{
	if (s->at == s->end || *s->at != c)
		return false;
	s->at++;
	return true;
}

/* Characters of a string that stand for themselves. */
static size_t plain_run(const struct scan *s)
{
	const char *at = s->at;

	while (at < s->end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
		at++;
	return (size_t)(at - s->at);
}

/* Reads a string that has room. Escapes other than of a quote and of a backslash are not written here. */
static bool scan_string(struct scan *s, char *text, size_t room)
{
	size_t n = 0, run;

	if (!take(s, '"'))
		return false;
	for (;;) {
		run = plain_run(s);
		if (n + run >= room)
			return false;
		memcpy(text + n, s->at, run);
		n += run;
		s->at += run;
		if (!take(s, '\\'))
			break;
		if (s->at == s->end || (*s->at != '"' && *s->at != '\\') || n + 1 >= room)
			return false;
		text[n++] = *s->at++;
	}
	text[n] = '\0';
	return take(s, '"');
}

/* Skips a number or a word. */
static bool scan_plain(struct scan *s)
{
	const char *begin = s->at;

	while (s->at < s->end && *s->at != ',' && *s->at != '}')
		s->at++;
	return s->at > begin;
}

static bool set_time(const char *text, int64_t *ret)
{
	return !time_parse(text, ret);
}

static bool set_event(const char *text, enum lease_event *ret)
{
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i], text) != 0)
			continue;
		*ret = (enum lease_event)i;
		return true;
	}
	return false;
}

/* Keys that are unknown are of a later version, and skipped. */
static bool set_member(struct lease_line *l, const char *key, const char *text)
{
	if (!strcmp(key, "time"))
		return set_time(text, &l->time);
	if (!strcmp(key, "event"))
		return set_event(text, &l->event);
	if (!strcmp(key, "in_addr"))
		return !lease_addr_parse(text, &l->addr);
	if (!strcmp(key, "from"))
		return set_time(text, &l->from);
	if (!strcmp(key, "early") || !strcmp(key, "seen"))
		return set_time(text, &l->early);
	if (!strcmp(key, "late"))
		return set_time(text, &l->late);
	if (!strcmp(key, "day")) {
		l->to = set_time(text, &l->from) ? l->from + DAY_S : TIME_OPEN;
		return l->to != TIME_OPEN;
	}
	if (!strcmp(key, "packet"))
		return sscanf(text, "%16" SCNx64, &l->packet) == 1;
	return strcmp(key, "to") != 0 || set_time(text, &l->to);
}

static bool scan_member(struct scan *s, struct lease_line *l)
{
	char key[16], other[LEASE_SESSION], *text;

	if (!scan_string(s, key, sizeof(key)) || !take(s, ':'))
		return false;
	if (s->at < s->end && *s->at != '"') {
		l->broken |= !strcmp(key, "broken") && s->at < s->end && *s->at == 't';
		return scan_plain(s);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		text = (char *)l + texts[i].at;
		if (!strcmp(key, texts[i].key))
			return scan_string(s, text, texts[i].room) && text_printable(text);
	}
	return scan_string(s, other, sizeof(other)) && set_member(l, key, other);
}

/* Whether an event has what it needs. */
static bool complete(const struct lease_line *l)
{
	bool lease = lease_event_of_session(l->event) && !lease_ends_session(l);

	if (l->event == LEASE_STEP && (l->from == TIME_NONE || l->to == TIME_OPEN))
		return false;
	if (l->event == LEASE_OPEN && l->early == TIME_NONE)
		return false;
	if (l->time == TIME_NONE || (lease && !l->addr.plen) || (l->event == LEASE_ERASED && l->to == TIME_OPEN))
		return false;
	return l->event != LEASE_OFF || strchr(l->session, '/');
}

int lease_line_read(const char *line, size_t size, struct lease_line *ret, struct error *err)
{
	struct scan s = { line, line + size };
	bool good = size <= LEASE_LINE_MAX && take(&s, '{');

	lease_line_init(ret, TIME_NONE, LEASE_MARK);
	do
		good = good && scan_member(&s, ret);
	while (good && take(&s, ','));
	if (!good || !take(&s, '}') || s.at != s.end || !complete(ret))
		return error_set(err, -EINVAL, "is no line of leases");
	return 0;
}
