// SPDX-License-Identifier: BSD-2-Clause
/* import: the plan of another carrier-grade NAT as a configuration, with the proof that every subscriber keeps his. */
#include <inttypes.h>
#include <net/if.h>
#include <nettle/sha2.h>
#include <string.h>

#include "base/json_scan.h"
#include "command.h"
#include "config/config.h"
#include "import_agree.h"
#include "import_check.h"
#include "import_claim.h"
#include "import_notes.h"
#include "import/import.h"
#include "import/import_prove.h"
#include "json_get.h"
#include "message.h"

/* Reads a file, or standard input, as a whole. 0 or -errno. */
static int read_all(FILE *in, char **ret, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, room = 0;

	for (;;) {
		size_t n;

		if (size == room) {
			size_t more = room ? 2 * room : 65536;
			char *larger = size > IMPORT_MAX_FILE ? NULL : realloc(text, more);

			if (!larger)
				return size > IMPORT_MAX_FILE ? -EFBIG : -ENOMEM;
			text = larger;
			room = more;
		}
		n = fread(text + size, 1, room - size, in);
		if (!n)
			break;
		size += n;
	}
	if (ferror(in))
		return errno_or(EIO);
	*ret_size = size;
	*ret = take_pointer(text);
	return 0;
}

static int read_file(const char *path, char **ret, size_t *ret_size, struct error *err)
{
	FILE *in = strcmp(path, "-") ? fopen(path, "re") : stdin;
	int r = in ? read_all(in, ret, ret_size) : errno_or(EIO);

	if (in && in != stdin)
		fclose(in);
	return r ? error_set(err, r, "%.200s: cannot be read: %s", path, strerror(-r)) : 0;
}

static void warn_of_names(const struct import_names *list, const char *side)
{
	for (size_t i = 0; i < list->n; i++) {
		if (strlen(list->name[i]) < IF_NAMESIZE && if_nametoindex(list->name[i]))
			continue;
		message_warn("%s interface %s is not on this machine: put its name here in its place", side,
			     QUOTED(list->name[i]));
	}
	if (!list->n)
		message_warn("the %s interface is not named: add it to interfaces", side);
}

static const char *verdict(const struct import *m, const struct import_proof *p, char text[static 256])
{
	int n = snprintf(text, 256, "%" PRIu64 " subscriber%s: %" PRIu64 " keep%s address and ports", p->subscribers,
			 p->subscribers == 1 ? "" : "s", p->kept, p->kept == 1 ? "s" : "");

	if (p->shrunk)
		n += snprintf(text + n, 256 - (size_t)n,
			      ", %" PRIu64 " keep their address and fewer ports: %u of %u to %u", p->shrunk,
			      m->shrunk_to, m->irregular_lo, m->irregular_hi);
	else if (m->n_irregular && m->shrunk_to)
		n += snprintf(text + n, 256 - (size_t)n,
			      ", blocks are irregular; --shrink: %" PRIu64 " keep %u of %u to %u", m->n_irregular,
			      m->shrunk_to, m->irregular_lo, m->irregular_hi);
	if (m->n_lost && n > 0 && n < 256)
		snprintf(text + n, 256 - (size_t)n, "; %zu statement%s not kept", (size_t)m->n_lost,
			 m->n_lost == 1 ? " is" : "s are");
	return text;
}

/* Private addresses (RFC 1918), and those shared by gateways like this one (RFC 6598). */
static bool is_private(uint32_t addr)
{
	static const struct prefix prefixes[] = {
		{ 0x0a000000, 8 }, { 0x64400000, 10 }, { 0xac100000, 12 }, { 0xc0a80000, 16 }
	};

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (prefix_holds(prefixes[i], addr))
			return true;
	return false;
}

/* The sides of a statement are told by their order in several formats: whoever changed them finds no subscriber kept.
 */
static void warn_of_sides(const struct import *m)
{
	for (size_t i = 0; i < m->n_rows; i++)
		if (is_private(m->row[i].in) || !is_private(m->row[i].out))
			return;
	if (m->n_rows)
		message_warn(
			"the outside addresses are private or shared and the inside ones public: are the sides right?");
}

static void print_table(struct writer *w, const struct import *m)
{
	writer_line(w, "# %-15s %-15s %5s %5s", "INSIDE", "OUTSIDE", "FIRST", "LAST");
	for (size_t i = 0; i < m->n_rows && !w->failed; i++) {
		char in[ADDR_TEXT], out[ADDR_TEXT];

		writer_line(w, "%-15s %-15s %5u %5u", addr_format(m->row[i].in, in), addr_format(m->row[i].out, out),
			    m->row[i].lo, m->row[i].hi);
	}
}

static void print_json(struct writer *w, const struct import *m, const struct import_proof *p, const char *config)
{
	_cleanup_json_ cJSON *all = cJSON_CreateObject();
	cJSON *notes = cJSON_CreateArray();
	char *text;

	cJSON_AddItemToObject(all, "configuration", config ? cJSON_Parse(config) : cJSON_CreateNull());
	cJSON_AddStringToObject(all, "format", word_text(import_format_words, m->format));
	cJSON_AddNumberToObject(all, "subscribers", (double)p->subscribers);
	cJSON_AddNumberToObject(all, "kept", (double)p->kept);
	cJSON_AddNumberToObject(all, "shrunk", (double)p->shrunk);
	cJSON_AddItemToObject(all, "notes", notes);
	for (size_t i = 0; i < m->n_notes; i++) {
		cJSON *n = cJSON_CreateObject();

		if (m->note[i].line)
			cJSON_AddNumberToObject(n, "line", m->note[i].line);
		cJSON_AddStringToObject(n, "kind", import_note_word(m->note[i].kind));
		cJSON_AddBoolToObject(n, "lost", import_note_lost(m->note[i].kind));
		cJSON_AddStringToObject(n, "text", m->note[i].text);
		cJSON_AddItemToArray(notes, n);
	}
	text = cJSON_PrintUnformatted(all);
	if (text)
		writer_json(w, text, strlen(text));
	cJSON_free(text);
}

/* The name of the file, and its hash. */
static void make_origin(const char *path, const char *text, size_t size, struct claim_origin *ret)
{
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	uint8_t digest[SHA256_DIGEST_SIZE];
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, size, (const uint8_t *)text);
	sha256_digest(&sha, sizeof(digest), digest);
	*ret = (struct claim_origin){ .time = time(NULL) };
	name = strcmp(name, "-") ? name : "standard input";
	text_keep(ret->source, sizeof(ret->source), name, strlen(name));
	for (unsigned i = 0; i < sizeof(digest); i++)
		snprintf(ret->sha256 + (size_t)2 * i, 3, "%02x", digest[i]);
}

/* Reads the file once more, as the parts of a configuration are not those of the other system. */
static int claim(const struct claim_origin *origin, const char *text, size_t size, const struct import *read,
		 const struct import_options *options, const cJSON *args, struct error *err)
{
	_cleanup_import_ struct import *m = NULL;
	struct claim_origin since = *origin;
	char now[TIME_TEXT];

	if (time_parse(json_text(args, "since", ""), &since.from))
		return error_set(err, EXIT_USAGE, "--since: is no time");
	if (since.from > since.time)
		return error_set(err, EXIT_USAGE, "--since is later than now, %s: nothing was in force since then",
				 time_format(since.time, now));
	if (import_read(read->format, text, size, read->name, options, &m, err) ||
	    import_claim(m, json_text(args, "state_dir", ""), &since, err))
		return EXIT_USAGE;
	return EXIT_DONE;
}

static bool loses(const struct import *m, const struct import_proof *p, bool differs)
{
	return m->n_lost || p->kept != p->subscribers || differs;
}

/* Whether --strict forbids a configuration. */
static bool refused(const struct import *m, const struct import_proof *p, const cJSON *args, bool differs)
{
	return cJSON_IsTrue(json_get(args, "strict")) && loses(m, p, differs);
}

static int show(const struct import *m, const struct import_proof *p, const cJSON *args, const char *comment,
		bool differs, struct writer *w, struct error *err)
{
	bool lost = loses(m, p, differs), strict = refused(m, p, args, differs);
	_cleanup_free_ char *config = strict ? NULL : import_write(m, comment);
	char text[256];

	if (!config && !strict)
		return error_set(err, EXIT_USAGE, "out of memory");
	if (w->json) {
		print_json(w, m, p, config);
	} else {
		if (import_notes_show(m))
			return error_set(err, EXIT_USAGE, "out of memory");
		if (cJSON_IsTrue(json_get(args, "table")))
			print_table(w, m);
		else if (config)
			writer_json(w, config, strlen(config) - 1);
		if (!cJSON_IsTrue(json_get(args, "table")) && config) {
			warn_of_names(&m->inside, "inside");
			warn_of_names(&m->outside, "outside");
		}
		warn_of_sides(m);
		writer_flush(w);
		message_line("%s", verdict(m, p, text));
	}
	return lost ? EXIT_REFUSED : EXIT_DONE;
}

static int import_run(const char *socket, const cJSON *args, struct writer *w, struct error *err)
{
	const char *path = json_text(args, "file", "-"), *sessions = json_text(args, "check", "");
	struct import_checked checked = {};
	struct import_options options = { .junos_pool_boundaries = -1 };
	_cleanup_import_ struct import *m = NULL;
	_cleanup_free_ char *text = NULL;
	_cleanup_plan_ struct plan plan = { 0 };
	struct import_proof proof;
	uint32_t format = IMPORT_AUTO;
	struct claim_origin origin;
	char comment[257];
	size_t size = 0;

	if (!json_get(args, "since") != !json_get(args, "state_dir"))
		return error_set(err, EXIT_USAGE,
				 "--since TIME and --state-dir DIR go together: who then answers from DIR for the time "
				 "from TIME to the switch");
	if (cJSON_IsTrue(json_get(args, "inside_first")) && cJSON_IsTrue(json_get(args, "outside_first")))
		return error_set(err, EXIT_USAGE, "--inside-first and --outside-first exclude each other");
	if (cJSON_IsTrue(json_get(args, "inside_first")))
		options.first_side = IMPORT_INSIDE_FIRST;
	else if (cJSON_IsTrue(json_get(args, "outside_first")))
		options.first_side = IMPORT_OUTSIDE_FIRST;
	if (json_get(args, "junos_pool_boundaries"))
		options.junos_pool_boundaries = !strcmp(json_text(args, "junos_pool_boundaries", "no"), "yes");
	word_number(import_format_words, json_text(args, "format", "auto"), &format);
	if (read_file(path, &text, &size, err) ||
	    import_read(format, text, size, strcmp(path, "-") ? path : "standard input", &options, &m, err))
		return EXIT_USAGE;
	if (import_fit(m, cJSON_IsTrue(json_get(args, "shrink"))))
		return error_set(err, EXIT_USAGE, "out of memory");
	if (m->n_parts + m->untranslated.n > CONFIG_MAX_MAPPINGS)
		return error_set(
			err, EXIT_REFUSED,
			"the plan takes %zu mappings, and a configuration has at most %u; divide it among several "
			"gateways",
			m->n_parts + m->untranslated.n, CONFIG_MAX_MAPPINGS);
	if (import_agree(m, err))
		return EXIT_USAGE;
	if (import_plan(m, &plan, err) || import_prove(m, &plan, &proof))
		return *err->text ? EXIT_USAGE : error_set(err, EXIT_USAGE, "out of memory");
	if (proof.foreign) {
		char addr[ADDR_TEXT];

		return error_set(err, EXIT_USAGE,
				 "%s would get ports of others: nothing is printed; this is a fault of "
				 "detnatctl, please report it",
				 addr_format(proof.wrong.in, addr));
	}
	if (*sessions && import_check(m, sessions, &checked, err))
		return EXIT_USAGE;
	make_origin(path, text, size, &origin);
	snprintf(comment, sizeof(comment), "imported from %s, sha256 %s", origin.source, origin.sha256);
	if (json_get(args, "since") && !refused(m, &proof, args, checked.differ) &&
	    claim(&origin, text, size, m, &options, args, err))
		return EXIT_USAGE;
	return show(m, &proof, args, comment, checked.differ, w, err);
}

const struct view view_import = { .run = import_run };
