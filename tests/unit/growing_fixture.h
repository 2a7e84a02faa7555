/* SPDX-License-Identifier: BSD-2-Clause */
/* Blocks that grow, over real tables, files and the event loop. */
#ifndef DETNAT_TEST_GROWING_FIXTURE_H
#define DETNAT_TEST_GROWING_FIXTURE_H

#include <criterion/criterion.h>

#include <event2/event.h>

#include "growth/block_growth.h"
#include "recorder/queue.h"
#include "tables/grant_table.h"
#include "tables_fixture.h"

/* 10.0.0.0/25 shares 203.0.113.200: 448 ports each leave 56 blocks of 128 from 58368 on. */
#define FEW    448U
#define SHARED (1024U + 128U * FEW)
#define BLOCK  128U

/* Grants and acts that were told of. */
struct grants_told {
	struct grant grant[1024];
	bool made[1024];
	unsigned n;
	struct grant_act act[1024];
	unsigned n_acts;
};

extern struct growing {
	struct datapath d;
	struct mappings *m;
	struct grants *g;
	struct error err;
	uint32_t out; /* 203.0.113.200 */
	uint32_t in;  /* 10.0.0.3 */
	int number;   /* of the mapping */
	struct event_base *base;
	struct history_queue *q;
	struct growth *growth;
	bool alone; /* the configuration has no other gateways */
	struct grants_told told;
} gr;

/* The tables; and the agent's part besides. */
void growing_setup(void);
void growing_teardown(void);
void growing_setup_agent(void);
void growing_teardown_agent(void);

/* The mapping with another size of blocks. */
struct mapping_spec growing_spec(uint16_t block, uint16_t max_blocks);

/* A block of a subscriber, by its number in the shared range. */
struct grant *made(uint32_t in_addr, uint32_t block);

/* The time of one that is closed or rests is up, at the next pass. */
void time_is_up(struct grant *i);

/* Entries of the map. */
bool has_entry(uint32_t addr, uint16_t at, uint8_t direction);
void drop_entry(uint32_t addr, uint16_t at, uint8_t direction);

/* What `check` finds. */
size_t faults(bool repair);

/* Makes the configuration that of the one mapping, with these members besides, and settles. */
void grow_configure(const char *members);
/* The same without a mapping that grows. */
void grow_configure_text(const char *text);

/* The agent ends, and another one takes its tables; it has no configuration yet. */
void agent_starts_again(void);

/* The datapath is removed, and an agent starts with another, which knows of no grants. */
void datapath_is_another(void);

/* Blocks that subscribers have. */
uint32_t owned(void);
void wait_owned(uint32_t n);

/* The subscriber asks for a block, now. */
void ask_block(uint32_t in_addr);
/* The same, and waits for it; the block that is new. */
struct grant *granted(uint32_t in_addr);

/* Passes from now on, until each is over. */
void passes_go_by(unsigned n);
/* Gives a pass, which may have to wait, the time to go by. */
void pass_is_asked_for(void);

/* A session of a subscriber on a port of the address, as the datapath keeps those beyond the slots. */
void put_session(uint32_t in_addr, uint16_t in_port, uint16_t out_port);

/* Lines of the history about grants, oldest first: "+ADDR:PORT" and "-ADDR:PORT". */
const char *grant_lines(void);

#endif
