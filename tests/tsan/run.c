/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the tests of the files that it is linked with, each in a process of its own: run [SUITE[/TEST]]... A report of
 * ThreadSanitizer ends a test at once, with status 66.
 */
#include <criterion/criterion.h>

#include <stdarg.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FAILED	 1
#define REPORTED 66
#define SKIPPED	 77

static struct tsan_test *all;
static bool failed; /* in a test's process */

/* For libtsan, which asks by this name. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "halt_on_error=1 exitcode=66 second_deadlock_stack=1";
}

/*
 * The datapath's headers load and store what other cores change by volatile, as BPF has no atomic load; the kernel does
 * the same. The compiler calls these for it: such an access races with plain ones alone. That a store adds 0 before
 * changes nothing, and has it taken for an atomic one.
 */
#define VOLATILE(size)                                              \
	void __tsan_volatile_read##size(void *at);                  \
	void __tsan_volatile_write##size(void *at);                 \
	void __tsan_volatile_read##size(void *at)                   \
	{                                                           \
		__atomic_load_##size(at, __ATOMIC_RELAXED);         \
	}                                                           \
	void __tsan_volatile_write##size(void *at)                  \
	{                                                           \
		__atomic_fetch_add_##size(at, 0, __ATOMIC_RELAXED); \
	}
VOLATILE(1)
VOLATILE(2)
VOLATILE(4)
VOLATILE(8)

void tsan_register(struct tsan_test *t)
{
	struct tsan_test **end = &all;

	while (*end)
		end = &(*end)->next;
	*end = t;
}

static void say(const char *file, int line, const char *what, const char *format, va_list ap)
{
	fprintf(stderr, "%s:%d: %s", file, line, what);
	if (*format) {
		fputs(": ", stderr);
		vfprintf(stderr, format, ap);
	}
	fputc('\n', stderr);
}

void tsan_assert_failed(const char *file, int line, const char *what, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(file, line, what, format, ap);
	va_end(ap);
	_exit(FAILED);
}

void tsan_expect_failed(const char *file, int line, const char *what, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say(file, line, what, format, ap);
	va_end(ap);
	__atomic_store_n(&failed, true, __ATOMIC_RELAXED);
}

void tsan_skip(void)
{
	_exit(SKIPPED);
}

static const struct tsan_options *options_of_suite(const struct tsan_test *t)
{
	static const struct tsan_options none;

	for (const struct tsan_test *s = all; s; s = s->next)
		if (!s->name && !strcmp(s->suite, t->suite))
			return &s->options;
	return &none;
}

static void call(void (*own)(void), void (*suites)(void))
{
	if (own)
		own();
	else if (suites)
		suites();
}

static void __attribute__((noreturn)) run_here(const struct tsan_test *t)
{
	const struct tsan_options *suite = options_of_suite(t);

	alarm(t->options.timeout ? t->options.timeout : suite->timeout);
	call(t->options.init, suite->init);
	t->run();
	call(t->options.fini, suite->fini);
	fflush(NULL);
	_exit(__atomic_load_n(&failed, __ATOMIC_RELAXED) ? FAILED : 0);
}

static int run(const struct tsan_test *t)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		run_here(t);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return FAILED;
	if (WIFSIGNALED(status)) {
		if (WTERMSIG(status) == t->options.signal)
			return 0;
		fprintf(stderr, "ended by signal %d\n", WTERMSIG(status));
		return FAILED;
	}
	return WEXITSTATUS(status) == t->options.exit_code ? 0 : WEXITSTATUS(status);
}

static bool is_wanted(const struct tsan_test *t, int argc, char **argv)
{
	if (!t->name || t->options.disabled)
		return false;
	for (int i = 1; i < argc; i++) {
		size_t n = strlen(t->suite);

		if (!strncmp(argv[i], t->suite, n) &&
		    (!argv[i][n] || (argv[i][n] == '/' && !strcmp(argv[i] + n + 1, t->name))))
			return true;
	}
	return argc < 2;
}

int main(int argc, char **argv)
{
	unsigned tested = 0, bad = 0, skipped = 0;
	struct timespec begin, end;

	for (const struct tsan_test *t = all; t; t = t->next) {
		int r;

		if (!is_wanted(t, argc, argv))
			continue;
		clock_gettime(CLOCK_MONOTONIC, &begin);
		r = run(t);
		clock_gettime(CLOCK_MONOTONIC, &end);
		tested++;
		skipped += r == SKIPPED;
		bad += r && r != SKIPPED;
		printf("%-8s %6.2f s  %s/%s\n",
		       !r	       ? "ok"
		       : r == SKIPPED  ? "skipped"
		       : r == REPORTED ? "REPORTED"
				       : "FAILED",
		       (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9, t->suite,
		       t->name);
	}
	printf("ThreadSanitizer: %u tests, %u failed, %u skipped\n", tested, bad, skipped);
	return bad || !tested;
}
