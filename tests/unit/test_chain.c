/* SPDX-License-Identifier: BSD-2-Clause */
/* Chained files: torn ends, full disks and kills at each system call of a writer leave what was written, or nothing. */
#include <criterion/criterion.h>

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "base/whole_file.h"
#include "base/ledger.h"
#include "base/ledger_verify.h"
#include "history/history_claims.h"
#include "recorder/file.h"

#define T0    1769860800LL /* 2026-01-31T12:00:00Z */
#define DAY   "leases-2026-01-31.jsonl"
#define DAY_2 "leases-2026-02-01.jsonl"

static const char body[] = "\"a\":1,\"b\":\"some text\"\n\"a\":2\n";

static char dir[64];
static int at;

static void make(void)
{
	snprintf(dir, sizeof(dir), "/dev/shm/detnat-chain.XXXXXX");
	cr_assert(mkdtemp(dir));
	at = open(dir, O_RDONLY | O_DIRECTORY);
}

static void clean(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(chain, .init = make, .fini = clean);

static int add(const char *file)
{
	return ledger_append(dir, file, body, sizeof(body) - 1, T0, NULL);
}

static char *contents(const char *name, size_t *ret_size)
{
	_cleanup_close_ int fd = openat(at, name, O_RDONLY);
	char *text = NULL;

	*ret_size = 0;
	if (fd < 0)
		return strdup("");
	cr_assert_eq(file_read(fd, UINT64_MAX, &text, ret_size), 0);
	text[*ret_size] = '\0';
	return text;
}

static char last[256];

static void note(void *arg, const char *file, uint64_t line, bool erased, const char *text)
{
	if (!erased)
		snprintf(last, sizeof(last), "%s %u %s", file, (unsigned)line, text);
}

static struct ledger_state verified(void)
{
	struct ledger_state state = { 0 };
	struct error err;

	*last = '\0';
	cr_assert_eq(ledger_verify(dir, note, NULL, &state, &err), 0, "%s", err.text);
	return state;
}

/* Lines that begin alike show where each octet of the end is cut. */
Test(chain, an_end_that_is_torn_at_any_octet_is_taken_back)
{
	_cleanup_free_ char *whole = NULL, *lines = NULL;
	struct chain_tip tip = { .hash = HASH_NONE }, before;
	size_t size = 0, n = 0, last_size;

	for (size_t cut = 1;; cut++) {
		_cleanup_free_ char *again = NULL;
		struct chain c;

		cr_assert_eq(chain_open(at, DAY, O_RDWR | O_CREAT, &c), 0);
		cr_assert_eq(chain_find_tip(&c), 0);
		if (!whole) {
			cr_assert_eq(chain_write_all(body, sizeof(body) - 1, &tip, &lines, &n), 0);
			cr_assert_eq(chain_append(&c, lines, n, &tip, true), 0);
			whole = contents(DAY, &size);
		}
		last_size = size - (size_t)(strchr(whole, '\n') + 1 - whole);
		if (cut > last_size)
			break;
		cr_assert_eq(ftruncate(c.fd, (off_t)(size - cut)), 0);
		cr_assert_eq(chain_find_tip(&c), 0);
		cr_assert_eq(c.tip.line, 1, "%zu", cut);
		before = c.tip;
		free(take_pointer(lines));
		cr_assert_eq(chain_write_all("\"a\":2\n", 6, &before, &lines, &n), 0);
		cr_assert_eq(chain_append(&c, lines, n, &before, true), 0);
		again = contents(DAY, &n);
		cr_assert(n == size && !memcmp(again, whole, size), "%zu: %s", cut, again);
		chain_close(&c);
	}
}

Test(chain, a_torn_end_that_is_longer_than_what_is_written_goes)
{
	_cleanup_close_ int fd = -1;
	char torn[4096];

	cr_assert_eq(add(DAY), 0);
	memset(torn, 'x', sizeof(torn));
	fd = openat(at, DAY, O_WRONLY | O_APPEND);
	cr_assert_eq(write(fd, torn, sizeof(torn)), (ssize_t)sizeof(torn));
	cr_assert_eq(add(DAY), 0);
	cr_expect_eq(verified().wrong, 0, "%s", last);
	cr_expect_eq(verified().lines, 4);
}

static void limit(rlim_t octets)
{
	struct rlimit l = { octets, RLIM_INFINITY };

	signal(SIGXFSZ, SIG_IGN);
	cr_assert_eq(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* As of a disk that has room for so many octets of a file, but no more. */
Test(chain, a_write_that_fails_at_any_octet_leaves_files_and_ledger_as_they_were)
{
	size_t n[3], now;

	cr_assert_eq(add(DAY), 0);
	for (rlim_t room = 0;; room++) {
		static const char *const names[] = { DAY, LEDGER_FILE, LEDGER_HEAD_FILE };
		char *was[3];
		int r;

		for (unsigned i = 0; i < 3; i++)
			was[i] = contents(names[i], &n[i]);
		limit(room);
		r = add(DAY);
		limit(RLIM_INFINITY);
		for (unsigned i = 0; i < 3; i++) {
			_cleanup_free_ char *text = contents(names[i], &now);

			/* What was being written may be named by the head. */
			if (r && i < 2)
				cr_assert(now == n[i] && !memcmp(text, was[i], now), "%zu: %s", (size_t)room, names[i]);
			free(was[i]);
		}
		cr_assert_eq(verified().wrong, 0, "%zu: %s", (size_t)room, last);
		if (!r)
			break;
	}
	cr_expect_eq(verified().lines, 4);
}

static bool changes(uint64_t call)
{
	static const int calls[] = { SYS_pwrite64, SYS_write,	 SYS_ftruncate, SYS_fsync,  SYS_renameat,
				     SYS_openat,   SYS_unlinkat, SYS_fchmod,	SYS_fchown, SYS_renameat2 };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		if (call == (uint64_t)calls[i])
			return true;
	return false;
}

/* Runs a writer in a process that is killed before its n-th system call that may change a file; false: it ended. */
static bool killed_at(unsigned n, int (*write_it)(void))
{
	struct __ptrace_syscall_info info;
	pid_t pid = fork();
	int status;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(write_it() ? 1 : 0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
	for (;;) {
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status)) {
			cr_assert_eq(WEXITSTATUS(status), 0);
			return false;
		}
		cr_assert_gt(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info), 0);
		if (info.op == PTRACE_SYSCALL_INFO_ENTRY && changes(info.entry.nr) && !--n)
			break;
	}
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return true;
}

static int add_next(void)
{
	return add(DAY_2);
}

Test(chain, a_kill_at_any_call_leaves_a_batch_or_none_of_it)
{
	unsigned n = 1;

	cr_assert_eq(add(DAY), 0);
	cr_assert_eq(add(DAY_2), 0);
	for (bool killed = true; killed; n++) {
		uint64_t before = verified().lines, after;

		killed = killed_at(n, add_next);
		/* The next writer may write another file. */
		cr_assert_eq(add(n % 2 ? DAY : DAY_2), 0);
		after = verified().lines;
		cr_assert_eq(verified().wrong, 0, "%u: %s", n, last);
		cr_assert(after == before + 2 || after == before + 4, "%u: %zu", n, (size_t)(after - before));
	}
	cr_expect_gt(n, 10);
}

static bool is_odd(void *arg, const char *line, size_t size)
{
	return memmem(line, size, "\"a\":1", 5);
}

static int erase_odd(void)
{
	uint64_t n;

	return ledger_erase(dir, DAY, is_odd, NULL, T0 + 1, &n, NULL);
}

Test(chain, lines_that_are_erased_leave_a_chain_that_verifies)
{
	_cleanup_free_ char *text = NULL;
	struct chain_tip tip;
	uint64_t erased;
	size_t size;

	cr_assert_eq(add(DAY), 0);
	cr_assert_eq(add(DAY), 0);
	cr_assert_eq(ledger_erase(dir, DAY, is_odd, NULL, T0 + 1, &erased, NULL), 0);
	cr_expect_eq(erased, 2);
	cr_expect_eq(verified().wrong, 0, "%s", last);
	cr_expect_eq(verified().erased, 2);
	text = contents(DAY, &size);
	cr_expect_not(strstr(text, "some text"));
	cr_expect(strstr(text, "{\"line\":1,\"event\":\"erased\",\"was\":\""), "%s", text);
	cr_assert_eq(ledger_tip(dir, &tip), 0);
	/* Once more changes nothing, and writers go on. */
	cr_assert_eq(ledger_erase(dir, DAY, is_odd, NULL, T0 + 2, &erased, NULL), 0);
	cr_expect_eq(erased, 0);
	cr_assert_eq(add(DAY), 0);
	cr_expect_eq(verified().wrong, 0, "%s", last);
	cr_expect_eq(verified().lines, 6);
}

Test(chain, an_erasure_that_the_ledger_does_not_have_shows)
{
	_cleanup_free_ char *text = NULL, *other = NULL;
	size_t size, n;
	FILE *out;

	cr_assert_eq(add(DAY), 0);
	text = contents(DAY, &size);
	out = open_memstream(&other, &n);
	cr_assert_eq(chain_erase(out, text, strcspn(text, "\n")), 0);
	fputs(strchr(text, '\n') + 1, out);
	fclose(out);
	cr_assert_eq(file_replace(at, DAY, other, n, NULL, false, NULL), 0);
	cr_expect_eq(verified().wrong, 1);
	cr_expect(strstr(last, "has 1 erased lines, and the ledger says 0"), "%s", last);
}

Test(chain, a_kill_at_any_call_of_an_erasure_leaves_it_to_be_done_again)
{
	for (unsigned n = 1;; n++) {
		bool killed;

		cr_assert_eq(add(DAY), 0);
		killed = killed_at(n, erase_odd);
		cr_assert_eq(erase_odd(), 0);
		cr_assert_eq(verified().wrong, 0, "%u: %s", n, last);
		cr_assert_eq(verified().erased, n);
		if (!killed)
			break;
	}
}

Test(chain, lines_that_no_writer_entered_are_never_vouched_for)
{
	_cleanup_free_ char *lines = NULL;
	struct chain c;
	struct chain_tip tip;
	size_t n;

	cr_assert_eq(add(DAY), 0);
	cr_assert_eq(chain_open(at, DAY, O_RDWR | O_CREAT, &c), 0);
	cr_assert_eq(chain_find_tip(&c), 0);
	tip = c.tip;
	cr_assert_eq(chain_write_all("\"forged\":1\n", 11, &tip, &lines, &n), 0);
	cr_assert_eq(chain_append(&c, lines, n, &tip, true), 0);
	chain_close(&c);
	for (unsigned i = 0; i < 3; i++) {
		cr_expect_eq(verified().wrong, 1);
		cr_expect(strstr(last, i ? DAY " 3 and what follows to line 3 was added: no writer entered it"
					 : DAY " 3 and what follows is not in the ledger"),
			  "%u: %s", i, last);
		cr_assert_eq(add(DAY), 0);
	}
	/* They go with their file. */
	cr_assert_eq(ledger_remove(dir, DAY, T0, NULL), 0);
	cr_expect_eq(verified().wrong, 0, "%s", last);
}

/* A check beside a writer looks at the files as they are at one moment. */
Test(chain, a_file_that_grows_while_it_is_checked_is_not_taken_for_a_damaged_one)
{
	/* The writer ends once there were so many checks, the checks once it has ended. */
	atomic_uint *shared =
		mmap(NULL, 2 * sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	atomic_uint *checks = &shared[0], *added = &shared[1];
	pid_t pid;
	int status;

	cr_assert_neq(shared, MAP_FAILED);
	pid = fork();
	if (!pid) {
		while (*checks < 20) {
			if (add(*added % 3 ? DAY : DAY_2))
				_exit(1);
			++*added;
		}
		_exit(0);
	}
	while (!waitpid(pid, &status, WNOHANG)) {
		cr_expect_eq(verified().wrong, 0, "%s", last);
		++*checks;
	}
	cr_expect_eq(status, 0);
	cr_expect_eq(verified().lines, 2 * *added);
	munmap(shared, 2 * sizeof(*shared));
}

Test(chain, an_end_that_was_cut_before_more_was_written_shows_for_ever)
{
	_cleanup_free_ char *text = NULL;
	size_t size;

	cr_assert_eq(add(DAY), 0);
	text = contents(DAY, &size);
	cr_assert_eq(add(DAY), 0);
	cr_assert_eq(add(DAY), 0);
	cr_assert_eq(file_replace(at, DAY, text, size, NULL, false, NULL), 0);
	cr_assert_eq(add(DAY), 0);
	cr_expect_eq(verified().wrong, 1);
	cr_expect(strstr(last, "the end was cut off before"), "%s", last);
}

static int claim(void)
{
	struct claim_origin o = { .from = T0, .time = T0, .source = "old.conf" };
	struct claim_block b[] = { { 0x0a010001, 0x01010201, 1024, 2047 }, { 0x0a010002, 0x01010202, 1024, 2047 } };
	uint64_t lines;

	memset(o.sha256, 'a', HASH_TEXT - 1);
	return history_claims_append(dir, &o, &(struct claim_plan){ NULL, 0, b, 2 }, &lines, NULL);
}

Test(chain, a_kill_at_any_call_leaves_a_claim_or_none_of_it)
{
	for (unsigned n = 1;; n++) {
		bool killed = killed_at(n, claim);
		_cleanup_claims_ struct history_claims c = { 0 };

		cr_assert_eq(history_claims_read(dir, &c, NULL), 0);
		cr_assert(!c.damaged && (!c.lines || c.lines == 2), "%u: %zu", n, (size_t)c.lines);
		cr_assert(killed || c.lines == 2);
		if (!killed)
			break;
		unlinkat(at, CLAIMS_FILE, 0);
	}
}

static int record(void)
{
	struct history_record r[] = {
		{ .event = EVENT_START, .time = T0, .since = TIME_NONE, .host = "gw" },
		{ .event = EVENT_STOP, .time = T0 },
	};
	struct history_file f;
	int ret = history_file_open(dir, &f, NULL);

	ret = ret ? ret : history_file_append(&f, r, 2, true, NULL);
	ret = ret ? ret
		  : history_file_mark(&f, T0, (struct clock_reading){ T0 * 1000000000, 5000000000, 0 },
				      (struct clock_state){ 0 }, false);
	history_file_close(&f);
	return ret;
}

Test(chain, a_kill_at_any_call_leaves_a_history_that_goes_on)
{
	for (unsigned n = 1;; n++) {
		bool killed = killed_at(n, record);
		struct history_files files;
		struct error err = { 0 };

		cr_assert_eq(record(), 0);
		cr_assert_eq(history_files_read(dir, &files, &err), 0, "%s", err.text);
		cr_assert(!files.index.n_damages && !files.torn && files.end == END_AGREES, "%u", n);
		cr_assert(files.index.lines % 2 == 0, "%u: %zu", n, (size_t)files.index.lines);
		history_files_free(&files);
		if (!killed)
			break;
	}
}
