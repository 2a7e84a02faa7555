/* SPDX-License-Identifier: BSD-2-Clause */
/* Evidence: its page, and its files, which have no names before all of them are written. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "evidence_files.h"

static const struct {
	const char *text, *body;
} rows[] = {
	{ "plain\n", "plain\n" },
	{ "a \"alice\" b\n", "a &quot;<bdi>alice</bdi>&quot; b\n" },
	{ "\"a\\\"b\", MAC \"\\\\\"", "&quot;<bdi>a\\&quot;b</bdi>&quot;, MAC &quot;<bdi>\\\\</bdi>&quot;" },
	{ "\"<script>&amp;'\"", "&quot;<bdi>&lt;script&gt;&amp;amp;&#39;</bdi>&quot;" },
	{ "\"</bdi></pre>\"", "&quot;<bdi>&lt;/bdi&gt;&lt;/pre&gt;</bdi>&quot;" },
	{ "\"\xd9\x85\xd8\xb1\"", "&quot;<bdi>\xd9\x85\xd8\xb1</bdi>&quot;" },
	/* No text has these: nothing is left open. */
	{ "\"a\nb\n", "&quot;<bdi>a</bdi>\nb\n" },
	{ "\"a\\\nb", "&quot;<bdi>a\\</bdi>\nb" },
	{ "\"a\\", "&quot;<bdi>a\\</bdi>" },
	{ "\"", "&quot;<bdi></bdi>" },
};

Test(cli_evidence, the_page_has_the_text_and_what_is_quoted_stands_apart)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *page = NULL;
		size_t size;
		FILE *out = open_memstream(&page, &size);
		char *body, *end;

		evidence_html(out, "Case <1>", rows[i].text);
		fclose(out);
		cr_expect(strstr(page, "<title>Case &lt;1&gt;</title>"));
		cr_expect(strstr(page, "content=\"default-src 'none'; style-src 'unsafe-inline'\""));
		body = strstr(page, "<body><pre>");
		end = strstr(page, "</pre></body></html>");
		cr_assert(body && end && !end[strlen("</pre></body></html>")]);
		*end = '\0';
		cr_expect_str_eq(body + strlen("<body><pre>"), rows[i].body);
	}
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	for (const struct dirent *entry; (entry = readdir(dir));)
		n += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(dir);
	return n;
}

static void read_file(const char *dir, const char *name, char text[static 256])
{
	char path[64];
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	in = fopen(path, "r");
	cr_assert(in, "%s", path);
	text[fread(text, 1, 255, in)] = '\0';
	fclose(in);
	cr_expect_eq(unlink(path), 0);
}

Test(cli_evidence, no_file_has_a_name_before_all_are_written)
{
	char dir[] = "/dev/shm/detnat-evidence-XXXXXX", place[64], text[256];
	struct evidence e = { 0 };
	struct error err;

	cr_assert(mkdtemp(dir));
	snprintf(place, sizeof(place), "%s/case", dir);
	cr_assert_eq(evidence_begin(&e, dir, "case", &err), 0);
	cr_expect_eq(evidence_write(&e, "b", "two\n", 4, &err), 0);
	cr_expect_eq(evidence_write(&e, "a", "one\n", 4, &err), 0);
	cr_expect_eq(evidence_sign(&e, NULL, &err), 0);
	cr_expect_eq(entries(dir), 0);
	cr_assert_eq(evidence_finish(&e, &err), 0, "%s", err.text);
	evidence_close(&e);
	cr_expect_eq(entries(dir), 1);
	cr_expect_eq(entries(place), 3);
	read_file(place, "a", text);
	cr_expect_str_eq(text, "one\n");
	read_file(place, "b", text);
	cr_expect_str_eq(text, "two\n");
	read_file(place, "SHA256SUMS", text);
	cr_expect_str_eq(text, "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806  a\n"
			       "27dd8ed44a83ff94d557f9fd0412ed5a8cbca69ea04922d88c01184a07300a5a  b\n");
	cr_expect_eq(rmdir(place), 0);
	cr_expect_eq(rmdir(dir), 0);
}

Test(cli_evidence, what_cannot_be_put_in_its_place_leaves_nothing)
{
	char dir[] = "/dev/shm/detnat-evidence-XXXXXX", place[64], taken[80];
	struct evidence e = { 0 }, again = { 0 };
	struct error err;

	cr_assert(mkdtemp(dir));
	snprintf(place, sizeof(place), "%s/case", dir);
	snprintf(taken, sizeof(taken), "%s/file", place);
	cr_assert_eq(evidence_begin(&e, dir, "case", &err), 0);
	cr_expect_eq(evidence_write(&e, "a", "one\n", 4, &err), 0);
	cr_assert_eq(mkdir(place, 0700), 0);
	cr_assert_eq(mkdir(taken, 0700), 0);
	cr_expect_lt(evidence_finish(&e, &err), 0);
	evidence_close(&e);
	cr_expect_eq(entries(dir), 1);
	cr_expect_eq(evidence_begin(&again, dir, "case", &err), -EEXIST);
	evidence_close(&again);
	cr_expect(!rmdir(taken) && !rmdir(place) && !rmdir(dir));
}

/* Another user, whose directory it is, lays a link in its way meanwhile. */
Test(cli_evidence, it_is_made_in_the_directory_that_it_began_in)
{
	char dir[] = "/dev/shm/detnat-evidence-XXXXXX", theirs[64], moved[64], roots[64], place[80];
	struct evidence e = { 0 };
	struct error err;

	cr_assert(mkdtemp(dir));
	snprintf(theirs, sizeof(theirs), "%s/theirs", dir);
	snprintf(moved, sizeof(moved), "%s/moved", dir);
	snprintf(roots, sizeof(roots), "%s/roots", dir);
	snprintf(place, sizeof(place), "%s/case", moved);
	cr_assert(!mkdir(theirs, 0700) && !mkdir(roots, 0700));
	cr_assert_eq(evidence_begin(&e, theirs, "case", &err), 0);
	cr_expect_eq(evidence_write(&e, "a", "one\n", 4, &err), 0);
	cr_assert(!rename(theirs, moved) && !symlink("roots", theirs));
	cr_expect_eq(evidence_finish(&e, &err), 0, "%s", err.text);
	evidence_close(&e);
	cr_expect_eq(entries(roots), 0);
	cr_expect_eq(entries(moved), 1);
	cr_expect_eq(entries(place), 1);
	snprintf(place, sizeof(place), "rm -r %s", dir);
	cr_expect_eq(system(place), 0);
}
