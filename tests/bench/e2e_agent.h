/* SPDX-License-Identifier: BSD-2-Clause */
/* The real agent in a gateway's namespace, with a configuration as an operator would write it. */
#ifndef DETNAT_BENCH_E2E_AGENT_H
#define DETNAT_BENCH_E2E_AGENT_H

#include <stdint.h>

struct gateway;
struct world;

/* Starts the agent and waits until it is ready. Ends the program, with the agent's words, where that fails. */
void e2e_agent_start(const struct world *w, struct gateway *g);
void e2e_agent_stop(struct gateway *g);

/* Waits until the agent has read the routes and has nothing more to do. Ends the program where it never has. */
void e2e_agent_settle(const struct gateway *g);

/* Sessions, as `detnatctl status` says. */
uint64_t e2e_agent_sessions(const struct world *w, const struct gateway *g);

#endif
