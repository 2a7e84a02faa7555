/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Network namespaces without names, and what is run in them. They end with this process and its children, so nothing is
 * left behind, however the benchmark ends. All functions end the program where something fails: without its topology a
 * benchmark has nothing to say.
 */
#ifndef DETNAT_BENCH_E2E_NETNS_H
#define DETNAT_BENCH_E2E_NETNS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Ends the program with a message; r is an errno, of either sign, or 0 where there is none to tell. */
_Noreturn void e2e_die(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * Makes the process one of its own mounts, with an empty directory at /run and a BPF file system, and notes what CPUs
 * its children may use.
 */
void netns_isolate(void);

/* A new namespace with forwarding, without IPv6 and without filters of source addresses; its descriptor. */
int netns_new(void);
void netns_enter(int netns);

/* Runs a shell command in a namespace, without its standard output. */
void netns_command(int netns, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A child process in a namespace, that dies with this one: its pid, and 0 in the child. */
pid_t netns_fork(int netns);

/* Runs a program in a namespace, that dies with this one; its standard output is at *ret_out, its errors go to a file.
 */
pid_t netns_spawn(int netns, const char *errors, char *const argv[], int *ret_out);

/* Reads or writes a number under /proc/sys in a namespace. write: 0 or -errno. */
uint64_t netns_sysctl_read(int netns, const char *name);
int netns_sysctl_write(int netns, const char *name, uint64_t value);

#endif
