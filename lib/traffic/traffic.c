// SPDX-License-Identifier: BSD-2-Clause
/* Recognises the format of a file and reads its lines, with memory for one of them. */
#include "traffic/traffic.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/base.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "traffic/reader.h"

#define BLOCK (1U << 16)

static const struct reader *const readers[] = { &reader_nat_events, &reader_nfdump_csv, &reader_conntrack,
						&reader_sessions,   &reader_routeros,	&reader_neutral };

/* Files of other kinds, by their first octets. */
static const struct {
	const char *magic;
	size_t size;
	const char *text;
} foreign[] = {
	{ "\x1f\x8b", 2, "is compressed: zcat FILE | detnatctl plan --traffic -" },
	{ "\xfd\x37zXZ", 5, "is compressed: xzcat FILE | detnatctl plan --traffic -" },
	{ "\x28\xb5\x2f\xfd", 4, "is compressed: zstdcat FILE | detnatctl plan --traffic -" },
	{ "\x0a\x0d\x0d\x0a", 4, "is a pcapng capture: editcap -F pcap FILE OTHER" },
	{ "\x0c\xa5", 2, "is a file of nfcapd: nfdump -r FILE -o csv" },
	{ "\xa5\x0c", 2, "is a file of nfcapd: nfdump -r FILE -o csv" },
};

void reading_garbage(struct traffic_notes *n, uint64_t number, const char *line, size_t size)
{
	if (n->garbage < TRAFFIC_NAMED) {
		n->named[n->garbage].line = number;
		text_quote(n->named[n->garbage].text, sizeof(n->named[0].text), line, size);
	}
	n->garbage++;
}

static ssize_t read_some(int fd, char *to, size_t size)
{
	ssize_t n;

	do
		n = read(fd, to, size);
	while (n < 0 && errno == EINTR);
	return n;
}

/* The reader that a line of the beginning fits, or NULL. The text is changed, and restored. */
static const struct reader *recognise(char *text, size_t size)
{
	const struct reader *found = NULL;

	for (size_t from = 0; from < size && !found;) {
		char *end = memchr(text + from, '\n', size - from);
		size_t n = end ? (size_t)(end - text) - from : size - from;
		char last = text[from + n];

		text[from + n] = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(readers) && !found; i++)
			if ((n < TRAFFIC_LINE || readers[i]->in_pieces) && readers[i]->fits(text + from))
				found = readers[i];
		text[from + n] = last;
		from += n + 1;
	}
	return found;
}

/* Reads a line, or a piece of one. 0, or -errno with err unless the taker has failed. */
static int read_line(struct reading *r, char *line, size_t size, const char *name, struct error *err)
{
	struct traffic_notes *n = r->notes;
	enum line_is is = LINE_GARBAGE;
	char behind;

	if (size && line[size - 1] == '\r')
		size--;
	behind = line[size];
	line[size] = '\0';
	if (!memchr(line, '\0', size) && size < TRAFFIC_LINE)
		is = r->reader->line(r, line);
	line[size] = behind;
	n->other += is == LINE_OTHER;
	if (is == LINE_GARBAGE)
		reading_garbage(n, n->lines, line, size);
	if (is == LINE_SAMPLED)
		return error_set(
			err, -EINVAL,
			"%s:%llu: these flows are sampled: of most sessions there is none, so they say nothing about "
			"ports; export unsampled flows, or use a connection table",
			name, (unsigned long long)n->lines);
	return is == LINE_FAILED ? r->error : 0;
}

struct lines {
	char *text; /* BLOCK + 1 octets */
	size_t size;
	bool skip;  /* the rest of a line that is too long */
	bool piece; /* a piece of this line has been read */
};

/* Reads the whole lines of the block, and keeps the rest. */
static int read_block(struct reading *r, struct lines *l, bool last, const char *name, struct error *err)
{
	size_t from = 0;

	while (from < l->size) {
		char *end = memchr(l->text + from, '\n', l->size - from);
		size_t n = (end ? (size_t)(end - l->text) : l->size) - from;
		int e;

		if (!end && !last && n < TRAFFIC_LINE)
			break;
		if (r->reader->in_pieces && n >= TRAFFIC_LINE) {
			n = TRAFFIC_LINE - 1;
			end = NULL;
		}
		r->notes->lines += !l->skip && !l->piece;
		if (l->skip) {
			l->skip = !end;
		} else {
			e = read_line(r, l->text + from, n, name, err);
			if (e)
				return e;
			l->skip = !end && !last && !r->reader->in_pieces;
		}
		l->piece = !end;
		from += n + (end != NULL);
	}
	l->size -= from;
	memmove(l->text, l->text + from, l->size);
	return 0;
}

static int read_lines(int fd, struct reading *r, struct lines *l, const char *name, struct error *err)
{
	int e = read_block(r, l, false, name, err);

	while (!e) {
		ssize_t n = read_some(fd, l->text + l->size, BLOCK - l->size);

		if (n < 0)
			return error_set(err, -errno, "%s: %s", name, strerror(errno));
		r->notes->octets += (size_t)n;
		l->size += (size_t)n;
		e = read_block(r, l, !n, name, err);
		if (!n)
			break;
	}
	if (!e && r->reader->end) {
		enum line_is is = r->reader->end(r);

		r->notes->other += is == LINE_OTHER;
		e = is == LINE_FAILED ? r->error : 0;
	}
	return e;
}

static int refuse_unknown(const char *text, size_t size, const char *name, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (size >= foreign[i].size && !memcmp(text, foreign[i].magic, foreign[i].size))
			return error_set(err, -EINVAL, "%s %s", name, foreign[i].text);
	if (!size)
		return error_set(err, -EINVAL, "%s is empty", name);
	return error_set(
		err, -EINVAL,
		"%s: the format is not known; read are conntrack -L, RouterOS' connection list, nfdump -o csv "
		"and -o nel, pcap, detnatctl --json session list, and lines of TIME PROTO IN:PORT EXT:PORT [END]",
		name);
}

int traffic_read(int fd, const char *name, int64_t taken_ms, traffic_take take, void *arg,
		 struct traffic_notes *ret_notes, struct error *err)
{
	_cleanup_free_ char *text = malloc(BLOCK + 1);
	_cleanup_free_ struct reading *r = calloc(1, sizeof(*r));
	struct lines l = { .text = text };
	struct traffic_notes notes = { 0 };
	int e;

	if (!text || !r)
		return error_set(err, -ENOMEM, "out of memory");
	*r = (struct reading){ .take = take, .arg = arg, .notes = &notes, .taken_ms = taken_ms };
	while (l.size < BLOCK) {
		ssize_t n = read_some(fd, text + l.size, BLOCK - l.size);

		if (n < 0)
			return error_set(err, -errno, "%s: %s", name, strerror(errno));
		if (!n)
			break;
		l.size += (size_t)n;
	}
	notes.octets = l.size;
	if (capture_begins(text, l.size)) {
		e = capture_read(fd, text, l.size, r, name, err);
	} else {
		r->reader = recognise(text, l.size);
		if (!r->reader)
			return refuse_unknown(text, l.size, name, err);
		notes.format = r->reader->name;
		e = read_lines(fd, r, &l, name, err);
	}
	hash_free(&r->events);
	if (!e)
		*ret_notes = notes;
	return e;
}
