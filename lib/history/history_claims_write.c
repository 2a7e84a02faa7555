/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Writes claims. The file is written anew beside the old one and put in its place, so that there is never a part of a
 * claim.
 */
#include "base/chain.h"
#include "base/whole_file.h"
#include "base/rights.h"
#include "base/text.h"
#include "history/history_claims.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* Blocks in a line. */
#define LINE_BLOCKS 64U

static void write_addresses(FILE *out, const char *key, const struct plan_addresses *a)
{
	char text[PLAN_RANGE_TEXT];

	fprintf(out, ",\"%s\":\"", key);
	for (size_t i = 0; i < a->n; i++)
		fprintf(out, "%s%s", i ? "," : "", plan_range_format(a->range[i].first, a->range[i].last, text));
	fputc('"', out);
}

static void write_mapping(FILE *out, const struct plan_mapping *m)
{
	write_addresses(out, "in", &m->in);
	if (!m->out.n) {
		fputs(",\"out\":null", out);
		return;
	}
	write_addresses(out, "out", &m->out);
	fprintf(out, ",\"subscribers_per_address\":%u,\"ports_per_host\":%u,\"first_port\":%u",
		m->subscribers_per_address, m->ports_per_host, m->first_port);
	if (m->block_pitch)
		fprintf(out, ",\"block_pitch\":%u", m->block_pitch);
	fprintf(out, ",\"order\":\"%s\"", m->order == PLAN_NETMAP ? "netmap" : "sequential");
}

/* Those of one outside address, LINE_BLOCKS at most. Returns their number. */
static size_t write_blocks(FILE *out, const struct claim_block *b, size_t n)
{
	char addr[ADDR_TEXT];
	size_t i;

	fprintf(out, ",\"out\":\"%s\",\"blocks\":[", addr_format(b->out, addr));
	for (i = 0; i < n && i < LINE_BLOCKS && b[i].out == b->out; i++)
		fprintf(out, "%s{\"in\":\"%s\",\"port_lo\":%u,\"port_hi\":%u}", i ? "," : "",
			addr_format(b[i].in, addr), b[i].lo, b[i].hi);
	fputc(']', out);
	return i;
}

static void write_origin(FILE *out, const struct claim_origin *o)
{
	char from[TIME_TEXT];

	fprintf(out, ",\"from\":\"%s\",\"source\":", time_format(o->from, from));
	text_json_string(out, o->source);
	fprintf(out, ",\"sha256\":\"%s\"\n", o->sha256);
}

static int make_bodies(const struct claim_origin *origin, const struct claim_plan *plan, char **ret, size_t *ret_size)
{
	FILE *out = open_memstream(ret, ret_size);

	if (!out)
		return -ENOMEM;
	for (size_t i = 0; i < plan->n_mappings; i++) {
		write_mapping(out, &plan->mapping[i]);
		write_origin(out, origin);
	}
	for (size_t i = 0; i < plan->n_blocks;) {
		i += write_blocks(out, plan->block + i, plan->n_blocks - i);
		write_origin(out, origin);
	}
	return fclose(out) ? -ENOMEM : 0;
}

/* Writes each body as a line. */
static int write_lines(FILE *out, const char *bodies, size_t size, const char *id, int64_t time, struct chain_tip *tip)
{
	char when[TIME_TEXT];
	int r = 0;

	time_format(time, when);
	for (const char *at = bodies, *end = bodies + size, *newline; !r && at < end; at = newline + 1) {
		_cleanup_free_ char *body = NULL;
		int n;

		newline = memchr(at, '\n', (size_t)(end - at));
		n = asprintf(&body, "\"time\":\"%s\",\"event\":\"claim\",\"claim\":\"%s\"%.*s", when, id,
			     (int)(newline - at), at);
		if (n < 0)
			body = NULL;
		r = body ? chain_write(out, body, (size_t)n, tip) : -ENOMEM;
	}
	return r;
}

/* Writes what the old file has. */
static int write_old(int dir, FILE *out)
{
	_cleanup_close_ int fd = file_open(dir, CLAIMS_FILE);
	_cleanup_free_ char *text = NULL;
	size_t size = 0;
	int r = fd < 0 ? -errno : file_read(fd, CLAIMS_MAX_SIZE, &text, &size);

	if (!r)
		fwrite(text, 1, size, out);
	return r == -ENOENT ? 0 : r;
}

/* As readable as the history is: to the owner and the group of the directory. */
static int replace(int dir, const char *text, size_t size)
{
	struct stat st;

	if (size > CLAIMS_MAX_SIZE)
		return -EFBIG;
	if (fstat(dir, &st))
		return -errno;
	st.st_mode = 0640;
	return file_replace(dir, CLAIMS_FILE, text, size, &st, true, NULL);
}

static bool has(const struct history_claims *c, const char *id)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->claim[i].id, id))
			return true;
	return false;
}

static int append(int dir, const struct claim_origin *origin, const struct claim_plan *plan,
		  const struct history_claims *old, uint64_t *ret_lines)
{
	_cleanup_free_ char *bodies = NULL, *text = NULL;
	struct chain_tip tip = { .line = old->lines, .hash = HASH_NONE };
	size_t size = 0, n = 0;
	char id[HASH_TEXT];
	int r = make_bodies(origin, plan, &bodies, &size);
	FILE *memory = r ? NULL : open_memstream(&text, &n);

	*ret_lines = 0;
	if (!memory)
		return -ENOMEM;
	if (old->lines)
		memcpy(tip.hash, old->hash, HASH_TEXT);
	/* The same claim has the same name. */
	chain_digest(bodies, size, id);
	id[CLAIM_ID_TEXT - 1] = '\0';
	r = write_old(dir, memory);
	r = r ? r : write_lines(memory, bodies, size, id, origin->time, &tip);
	if (fclose(memory))
		r = -ENOMEM;
	if (r || has(old, id))
		return r;
	r = replace(dir, text, n);
	*ret_lines = r ? 0 : tip.line - old->lines;
	return r;
}

int history_claims_append(const char *dir, const struct claim_origin *origin, const struct claim_plan *plan,
			  uint64_t *ret_lines, struct error *err)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_claims_ struct history_claims old = { 0 };
	int r;

	if (fd < 0)
		return error_set(err, -errno, "%.200s: %s; make the directory, or start the agent once", dir,
				 strerror(errno));

	_cleanup_rights_ struct rights lesser = rights_of(fd);

	if (flock(fd, LOCK_EX))
		return error_set(err, -errno, "%.200s: %s", dir, strerror(errno));
	r = history_claims_read(dir, &old, err);
	if (r)
		return r;
	if (old.damaged)
		return error_set(err, -EBADMSG,
				 "%.200s/" CLAIMS_FILE ": line %" PRIu64
				 " %s: move the file away before you claim more",
				 dir, old.first_damage, old.damage);
	r = append(fd, origin, plan, &old, ret_lines);
	return r ? error_set(err, r, "%.200s/" CLAIMS_FILE ": %s", dir, strerror(-r)) : 0;
}
