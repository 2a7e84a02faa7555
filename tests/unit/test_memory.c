/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is free, where control groups of either version limit it, by files as the kernel has them. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "host/memory.h"

#define MIB (1ULL << 20)

static char root[] = "/tmp/detnat-memory-XXXXXX";

static void put(const char *path, const char *text)
{
	char whole[256];
	FILE *f;

	snprintf(whole, sizeof(whole), "%s/%s", root, path);
	for (char *slash = strchr(whole + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(whole, 0755);
		*slash = '/';
	}
	f = fopen(whole, "w");
	cr_assert(f);
	fputs(text, f);
	fclose(f);
}

static void begin(void)
{
	cr_assert(mkdtemp(root));
	put("proc/meminfo", "MemTotal: 4096000 kB\nMemAvailable:    1024000 kB\n");
}

static void end(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	cr_assert_eq(system(command), 0);
}

TestSuite(memory, .init = begin, .fini = end);

static void version_2(void)
{
	put("proc/self/mounts", "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n");
	put("proc/self/cgroup", "0::/system.slice/detnat.service\n");
}

Test(memory, the_limit_is_the_machines_memory_where_no_group_limits_it)
{
	cr_expect_eq(memory_free(root), 1000 * MIB);
	version_2();
	cr_expect_eq(memory_free(root), 1000 * MIB);
	put("sys/fs/cgroup/system.slice/detnat.service/memory.max", "max\n");
	put("sys/fs/cgroup/system.slice/detnat.service/memory.current", "1000\n");
	cr_expect_eq(memory_free(root), 1000 * MIB);
}

Test(memory, the_limit_is_what_the_own_group_leaves_and_its_cache)
{
	version_2();
	put("sys/fs/cgroup/system.slice/detnat.service/memory.max", "209715200\n");
	put("sys/fs/cgroup/system.slice/detnat.service/memory.current", "104857600\n");
	cr_expect_eq(memory_free(root), 100 * MIB);
	put("sys/fs/cgroup/system.slice/detnat.service/memory.stat", "anon 5\ninactive_file 52428800\nslab 1\n");
	cr_expect_eq(memory_free(root), 150 * MIB);
}

Test(memory, the_least_of_all_groups_above)
{
	version_2();
	put("sys/fs/cgroup/system.slice/detnat.service/memory.max", "209715200\n");
	put("sys/fs/cgroup/system.slice/detnat.service/memory.current", "104857600\n");
	put("sys/fs/cgroup/system.slice/memory.max", "115343360\n");
	put("sys/fs/cgroup/system.slice/memory.current", "104857600\n");
	cr_expect_eq(memory_free(root), 10 * MIB);
	/* A container sees its own group as the root. */
	put("proc/self/cgroup", "0::/\n");
	put("sys/fs/cgroup/memory.max", "110100480\n");
	put("sys/fs/cgroup/memory.current", "104857600\n");
	cr_expect_eq(memory_free(root), 5 * MIB);
}

Test(memory, nothing_where_a_group_has_more_than_it_may)
{
	version_2();
	put("sys/fs/cgroup/system.slice/detnat.service/memory.max", "1048576\n");
	put("sys/fs/cgroup/system.slice/detnat.service/memory.current", "2097152\n");
	cr_expect_eq(memory_free(root), 0);
}

Test(memory, version_1_beside_version_2)
{
	put("proc/self/mounts", "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n"
				"cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n"
				"cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n");
	put("proc/self/cgroup", "5:cpu:/other\n4:memory:/jobs/a\n0::/x\n");
	put("sys/fs/cgroup/memory/jobs/a/memory.limit_in_bytes", "9223372036854771712\n");
	put("sys/fs/cgroup/memory/jobs/a/memory.usage_in_bytes", "52428800\n");
	put("sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", "73400320\n");
	put("sys/fs/cgroup/memory/jobs/memory.usage_in_bytes", "52428800\n");
	put("sys/fs/cgroup/memory/jobs/memory.stat", "inactive_file 5242880\ntotal_inactive_file 10485760\n");
	cr_expect_eq(memory_free(root), 30 * MIB);
}

Test(memory, unknown_where_the_kernel_does_not_say)
{
	end();
	cr_expect_eq(memory_free(root), UINT64_MAX);
	cr_assert_eq(mkdir(root, 0755), 0);
}
