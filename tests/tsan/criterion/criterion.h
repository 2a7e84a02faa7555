/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stands in for Criterion, whose runner crashes under ThreadSanitizer: what the tests that race use of it, for
 * tests/tsan/run.c. Each test is a process of its own, as with Criterion. An operand is shown where a test gives a
 * message.
 */
#ifndef DETNAT_TSAN_CRITERION_H
#define DETNAT_TSAN_CRITERION_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tsan_options {
	void (*init)(void);
	void (*fini)(void);
	unsigned timeout; /* seconds */
	const char *description;
	int signal; /* by which the test ends */
	int exit_code;
	bool disabled;
};

struct tsan_test {
	const char *suite;
	const char *name; /* NULL: these are the options of the suite */
	void (*run)(void);
	struct tsan_options options;
	struct tsan_test *next;
};

void tsan_register(struct tsan_test *t);

/* A check does not hold: the first ends the test. */
void __attribute__((noreturn, format(printf, 4, 5)))
tsan_assert_failed(const char *file, int line, const char *what, const char *format, ...);
void __attribute__((format(printf, 4, 5)))
tsan_expect_failed(const char *file, int line, const char *what, const char *format, ...);
void __attribute__((noreturn)) tsan_skip(void);

#define TSAN_REGISTER(id, ...)                                       \
	static struct tsan_test id##_entry = { __VA_ARGS__ };        \
	static void __attribute__((constructor)) id##_register(void) \
	{                                                            \
		tsan_register(&id##_entry);                          \
	}

#define Test(Suite, Name, ...)                                                                      \
	static void Suite##_##Name##_test(void);                                                    \
	TSAN_REGISTER(Suite##_##Name, .suite = #Suite, .name = #Name, .run = Suite##_##Name##_test, \
		      .options = { __VA_ARGS__ })                                                   \
	static void Suite##_##Name##_test(void)

#define TestSuite(Suite, ...) TSAN_REGISTER(Suite##_suite, .suite = #Suite, .options = { __VA_ARGS__ }) struct tsan_test

#define TSAN_CHECK(kind, holds, what, ...) \
	((holds) ? (void)0 : tsan_##kind##_failed(__FILE__, __LINE__, what, "" __VA_ARGS__))

#define cr_assert(x, ...)	       TSAN_CHECK(assert, x, #x, __VA_ARGS__)
#define cr_assert_not(x, ...)	       TSAN_CHECK(assert, !(x), "!" #x, __VA_ARGS__)
#define cr_assert_null(x, ...)	       TSAN_CHECK(assert, !(x), #x " == NULL", __VA_ARGS__)
#define cr_assert_not_null(x, ...)     TSAN_CHECK(assert, !!(x), #x " != NULL", __VA_ARGS__)
#define cr_assert_eq(a, b, ...)	       TSAN_CHECK(assert, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...)       TSAN_CHECK(assert, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)	       TSAN_CHECK(assert, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...)       TSAN_CHECK(assert, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)	       TSAN_CHECK(assert, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...)       TSAN_CHECK(assert, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)    TSAN_CHECK(assert, !strcmp(a, b), #a " is " #b, __VA_ARGS__)
#define cr_assert_str_empty(a, ...)    TSAN_CHECK(assert, !*(a), #a " is empty", __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) TSAN_CHECK(assert, !memcmp(a, b, n), #a " is " #b, __VA_ARGS__)
#define cr_assert_fail(...)	       TSAN_CHECK(assert, false, "never here", __VA_ARGS__)

#define cr_expect(x, ...)	       TSAN_CHECK(expect, x, #x, __VA_ARGS__)
#define cr_expect_not(x, ...)	       TSAN_CHECK(expect, !(x), "!" #x, __VA_ARGS__)
#define cr_expect_null(x, ...)	       TSAN_CHECK(expect, !(x), #x " == NULL", __VA_ARGS__)
#define cr_expect_not_null(x, ...)     TSAN_CHECK(expect, !!(x), #x " != NULL", __VA_ARGS__)
#define cr_expect_eq(a, b, ...)	       TSAN_CHECK(expect, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)       TSAN_CHECK(expect, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)	       TSAN_CHECK(expect, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)       TSAN_CHECK(expect, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)	       TSAN_CHECK(expect, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)       TSAN_CHECK(expect, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)    TSAN_CHECK(expect, !strcmp(a, b), #a " is " #b, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...)   TSAN_CHECK(expect, !!strcmp(a, b), #a " is not " #b, __VA_ARGS__)
#define cr_expect_str_empty(a, ...)    TSAN_CHECK(expect, !*(a), #a " is empty", __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) TSAN_CHECK(expect, !memcmp(a, b, n), #a " is " #b, __VA_ARGS__)

#define cr_skip_test(...) tsan_skip()

#endif
