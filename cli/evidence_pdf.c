// SPDX-License-Identifier: BSD-2-Clause
/* The text of evidence as PDF, by the first program of the system that makes one. Without any, there is the text. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "evidence_files.h"

/* A program that takes longer is ended. */
#define PATIENCE_S 4U
#define PDF_MAX	   (16U << 20)

/* Each reads standard input and writes the PDF to standard output. troff: the text goes there as troff's. */
static const struct {
	bool troff;
	const char *argv[8];
} tools[] = {
	{ true, { "groff", "-Tpdf", "-Kutf8", "-dpaper=a4", "-P-pa4" } },
	{ false, { "cupsfilter", "-i", "text/plain", "-m", "application/pdf", "-" } },
	{ false, { "wkhtmltopdf", "-q", "--disable-javascript", "--disable-local-file-access", "-", "-" } },
};

/* Characters of a line; what is longer goes on in the next. */
#define COLUMNS 112U

/* The beginning of a line: never of a request. */
#define LINE "\n\\&"

/*
 * The text for troff: in a typewriter's letters, each line as it is. It has words of strangers, which must not become
 * requests: no line begins with one, and no backslash stays one.
 */
static void write_troff(FILE *out, const char *text)
{
	unsigned column = 0;

	fputs(".pl 29.7c\n.po 2c\n.ll 17c\n.fam C\n.ps 7\n.vs 9\n.nf" LINE, out);
	for (; *text; text++) {
		bool begins = (*text & 0xc0) != 0x80; /* a character of UTF-8 */

		if (*text == '\n' || (begins && column == COLUMNS)) {
			fputs(LINE, out);
			column = 0;
		}
		column += begins && *text != '\n';
		if (*text == '\\')
			fputs("\\(rs", out);
		else if (*text != '\n')
			fputc(*text, out);
	}
	fputc('\n', out);
}

/* A child that stays is ended by a signal of its own clock. */
static void run_child(const char *const *argv, int in, int out)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGALRM, SIG_DFL);
	if (null < 0 || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		_exit(127);
	alarm(PATIENCE_S);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static bool run(const char *const *argv, FILE *in, FILE *out)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid)
		run_child(argv, fileno(in), fileno(out));
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return pid > 0 && !status;
}

/* Reads what a program wrote, if it is a PDF. */
static char *read_pdf(FILE *in, size_t *ret_size)
{
	_cleanup_free_ char *text = malloc(PDF_MAX);

	rewind(in);
	*ret_size = text ? fread(text, 1, PDF_MAX, in) : 0;
	return *ret_size > 5 && *ret_size < PDF_MAX && !memcmp(text, "%PDF-", 5) ? take_pointer(text) : NULL;
}

static char *convert(size_t tool, const char *text, size_t *ret_size)
{
	FILE *in = tmpfile(), *out = tmpfile();
	char *pdf = NULL;

	if (in && out) {
		if (tools[tool].troff)
			write_troff(in, text);
		else
			fputs(text, in);
		fflush(in);
		rewind(in);
		pdf = run(tools[tool].argv, in, out) ? read_pdf(out, ret_size) : NULL;
	}
	if (in)
		fclose(in);
	if (out)
		fclose(out);
	return pdf;
}

int evidence_pdf(const struct evidence *e, const char *file, const char *text, struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		size_t size;
		_cleanup_free_ char *pdf = convert(i, text, &size);

		if (pdf)
			return evidence_write(e, file, pdf, size, err);
	}
	return 0;
}
