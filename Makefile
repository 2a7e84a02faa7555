# SPDX-License-Identifier: BSD-2-Clause
# `make help` lists the targets.

BUILD      ?= build
# CROSS=aarch64-linux-gnu builds for arm64, into a directory of its own: Debian's cross compiler and the libraries in SYSROOT,
# which deploy/sysroot.sh unpacks.
ifneq ($(CROSS),)
BUILD      := build/$(CROSS)
SYSROOT    := $(abspath build/sysroot-$(CROSS))
CC         := $(CROSS)-gcc --sysroot=$(SYSROOT)
AR         := $(CROSS)-ar
LD         := $(CROSS)-ld
OBJCOPY    := $(CROSS)-objcopy
PKG_CONFIG := $(SYSROOT)/pkg-config
endif
CLANG      ?= clang
OBJCOPY    ?= objcopy
BPFTOOL    ?= $(firstword $(shell command -v bpftool 2>/dev/null) /usr/sbin/bpftool)
PKG_CONFIG ?= pkg-config
PYTHON     ?= /usr/bin/python3
# Runs tests of Criterion: anew where the runner waits for nobody.
CRITERION   = $(PYTHON) tests/criterion.py

# Where `make install` puts things, below DESTDIR. The configuration is always /etc/detnat/detnat.json.
PREFIX        ?= /usr
BINDIR        ?= $(PREFIX)/bin
SBINDIR       ?= $(PREFIX)/sbin
DATADIR       ?= $(PREFIX)/share
MANDIR        ?= $(DATADIR)/man
DOCDIR        ?= $(DATADIR)/doc/detnat
COMPLETIONDIR ?= $(DATADIR)/bash-completion/completions
UNITDIR       ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR   ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR   ?= $(PREFIX)/lib/tmpfiles.d
# Here every iproute2 looks: the one of Debian 12 reads nothing below /usr/share.
RTPROTOSDIR   ?= /etc/iproute2/rt_protos.d

# Builds run a job for each core, unless make was given -j.
JOBS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
# End-to-end test files run side by side: they spend more time waiting than computing.
E2E_WORKERS ?= 4
# The directory of headers for the processor: clang since 16 has no -print-multiarch, and its triplet has a vendor.
MULTIARCH := $(subst -unknown-,-,$(subst -pc-,-,$(shell $(CC) -dumpmachine 2>/dev/null)))
# The processor that is built for, as libbpf names it.
TARGET := $(patsubst x86_64,x86,$(patsubst aarch64,arm64,$(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))))

# The BPF objects are the same in every build for a processor: whether barriers are needed depends on it (include/detnat/order.h).
SKEL := $(BUILD)/skel
ifeq ($(SANITIZE),1)
BUILD     := build/asan
SANITIZER := -fsanitize=address,undefined -fno-omit-frame-pointer
else ifeq ($(SANITIZE),thread)
BUILD     := build/tsan
SANITIZER := -fsanitize=thread --param tsan-distinguish-volatile=1
endif
ifneq ($(V),1)
Q := @
SAY = @printf '  %-8s %s\n'
else
SAY = @:
endif

# Warnings are errors for those who change the code, and in CI: a stranger's compiler may be newer, and warn of more.
WERROR   ?= $(if $(filter true 1,$(CI)),1)
FATAL    := $(if $(filter 1,$(WERROR)),-Werror)
WARNINGS := -Wall -Wextra $(FATAL) -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Wvla -Wno-unused-parameter \
	-Wno-missing-field-initializers
# gcc's own manual: the instructions that a sanitizer adds make variables look uninitialised that are not. The plain build warns of them. clang
# does not have that warning, gcc not the one about unknown ones.
MAYBE_UNINITIALIZED := -Wno-unknown-warning-option -Wno-maybe-uninitialized
WARNINGS += $(if $(SANITIZER),$(MAYBE_UNINITIALIZED))
CFLAGS   ?= $(if $(SANITIZER),-O1 -g1,-O2 -g)
# Two builds in two directories are the same: the compilers note the working directory by the name that it has in PWD.
HERE     := PWD=/proc/self/cwd
PATHS    := $(if $(filter /%,$(BUILD)),-ffile-prefix-map=$(BUILD)=build)
# What a package's own flags, which come after these, may change.
HARDENED := -fPIE -fstack-protector-strong
ifeq ($(SANITIZER),)
ifeq ($(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),)
HARDENED += $(if $(filter -O1 -O2 -O3 -Os,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif
endif
# By their names for pkg-config; deploy/missing.sh checks for the same.
AGENT_PACKAGES := libbpf libevent libcjson libmnl libnftnl nettle libcap-ng
CLI_PACKAGES   := libcjson nettle
HELPER_PACKAGES := libxdp libbpf libcap-ng
DESK_PACKAGES  := libcjson nettle libmicrohttpd
libraries = $(shell $(PKG_CONFIG) --libs $(1) 2>/dev/null)
ALL_CFLAGS := -std=gnu17 $(HARDENED) $(PATHS) $(CPPFLAGS) $(CFLAGS) $(WARNINGS) $(SANITIZER) -D_GNU_SOURCE -Iinclude -Ilib -I$(SKEL) -MMD -MP $(shell $(PKG_CONFIG) --cflags $(AGENT_PACKAGES) 2>/dev/null)
LINK       := $(CC) $(SANITIZER) -pie -Wl,-z,relro,-z,now $(CFLAGS) $(LDFLAGS)
BPF_CFLAGS := -O2 -g $(PATHS) -fdebug-compilation-dir=. -mcpu=v3 -target bpf -D__TARGET_ARCH_$(TARGET) -Wall -Wextra $(FATAL) -Wno-unused-parameter \
              -Ibpf -Iinclude -I$(SYSROOT)/usr/include/$(MULTIARCH) -MMD -MP

AGENT_LIBS = $(call libraries,$(AGENT_PACKAGES))
CLI_LIBS   = $(call libraries,$(CLI_PACKAGES)) -lm
HELPER_LIBS = $(call libraries,$(HELPER_PACKAGES))
DESK_LIBS  = $(call libraries,$(DESK_PACKAGES))

BPF_SOURCES   := $(wildcard bpf/programs/*.bpf.c)
SKELETONS     := $(BPF_SOURCES:bpf/programs/%.bpf.c=$(SKEL)/%.skel.h)
LIB_SOURCES   := $(wildcard lib/*/*.c)
LIB_OBJECTS   := $(LIB_SOURCES:%.c=$(BUILD)/%.o)
AGENT_SOURCES := $(filter-out agent/service/main.c,$(wildcard agent/*/*.c))
AGENT_OBJECTS := $(AGENT_SOURCES:%.c=$(BUILD)/%.o)
CLI_OBJECTS   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard cli/*.c))
# What detnatctl has of the agent: the reading of a configuration's text, without its file.
CHECK_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(filter-out agent/config/load.c,$(wildcard agent/config/*.c)))
HELPER_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard xdp/*.c))
DESK_OBJECTS  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard desk/*.c))
LEASES_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard leases/*.c))
UNIT_OBJECTS  := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/*.c))
FURTHER_OBJECTS := $(patsubst lib/history/%.c,$(BUILD)/tests/unit/further/%.o,$(wildcard lib/history/*.c)) $(BUILD)/tests/unit/further/test_history_further.o
BPFT_OBJECTS  := $(patsubst %.c,$(BUILD)/%.o,$(filter-out %.bpf.c,$(wildcard tests/bpf/*.c)))
BENCH_SOURCES := $(filter-out %.bpf.c tests/bench/e2e% tests/bench/agent%,$(wildcard tests/bench/*.c))
BENCH_OBJECTS := $(BENCH_SOURCES:%.c=$(BUILD)/%.o)
SCALE_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/scale/*.c))
BPFT_BPF      := $(patsubst tests/bpf/%.bpf.c,$(SKEL)/%.skel.h,$(wildcard tests/bpf/*.bpf.c))
BENCH_BPF     := $(patsubst tests/bench/%.bpf.c,$(SKEL)/%.skel.h,$(wildcard tests/bench/*.bpf.c))
E2E_SOURCES   := $(filter-out %.bpf.c,$(wildcard tests/bench/e2e*.c)) tests/bench/internet.c
PROGRAMS      := $(BUILD)/detnat-agent $(BUILD)/detnatctl $(BUILD)/detnat-xdp $(BUILD)/detnat-desk $(BUILD)/detnat-leases
C_FILES       := $(wildcard include/detnat/*.h bpf/*/*.[ch] lib/*/*.[ch] agent/*/*.[ch] cli/*.[ch] desk/*.[ch] leases/*.[ch] xdp/*.[ch] tests/unit/*.[ch] tests/unit/further/*.[ch] tests/tsan/*.[ch] tests/tsan/*/*.[ch] tests/bpf/*.[ch] tests/bench/*.[ch] tests/bench/agent/*.[ch] tests/fuzz/*.[ch] tests/scale/*.[ch] tests/vm/*.[ch])

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all install-docs deps deps-bench deps-demo deps-test deps-package demo test test-unit test-tsan test-clang test-fuzz test-bpf test-e2e test-kills test-vm test-vm-systemd deb deb-build soak bench bench-agent bench-full fuzz format lint install uninstall clean help compile_commands.json

all: $(if $(CROSS),sysroot) ## build the programs into build/; installs nothing
	@PKG_CONFIG="$(PKG_CONFIG)" CC="$(CC)" CLANG="$(CLANG)" BPFTOOL="$(BPFTOOL)" deploy/missing.sh
	@$(MAKE) --no-print-directory $(JOBS) programs
.PHONY: programs skeletons tests-built
programs: $(PROGRAMS)
skeletons: $(SKELETONS)
	@:

# Said before anything is installed or built.
.PHONY: as-root
as-root:
	@[ "$$(id -u)" = 0 ] || { echo "$(or $(MAKECMDGOALS),make): needs root to create network namespaces and load BPF programs: sudo make $(MAKECMDGOALS)" >&2; exit 1; }

# These install missing packages, and print nothing when there are none.
deps: ## install the Debian packages that a build needs; needs root
	@deploy/install-deps.sh build
deps-demo:
	@deploy/install-deps.sh build demo
deps-bench:
	@deploy/install-deps.sh build bench
deps-test:
	@deploy/install-deps.sh build demo test
deps-arm64:
	@deploy/install-deps.sh build arm64
.PHONY: sysroot deps-arm64
sysroot:
	@deploy/sysroot.sh $(SYSROOT)
deps-package:
	@deploy/install-deps.sh build demo package

$(SKEL)/%.bpf.o: bpf/programs/%.bpf.c
	@mkdir -p $(@D)
	$(SAY) BPF $<
	$(Q)$(HERE) $(CLANG) $(BPF_CFLAGS) -c $< -o $@
$(SKEL)/%.bpf.o: tests/bench/%.bpf.c
	@mkdir -p $(@D)
	$(SAY) BPF $<
	$(Q)$(HERE) $(CLANG) $(BPF_CFLAGS) -c $< -o $@
$(SKEL)/%.bpf.o: tests/bpf/%.bpf.c
	@mkdir -p $(@D)
	$(SAY) BPF $<
	$(Q)$(HERE) $(CLANG) $(BPF_CFLAGS) -c $< -o $@
# Of these alone, so that a build directory of before does not ask for what is gone.
$(SKELETONS) $(BENCH_BPF) $(BPFT_BPF): $(SKEL)/%.skel.h: $(SKEL)/%.bpf.o
	$(SAY) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name $* > $@

$(BUILD)/agent/%.o: agent/%.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(HERE) $(CC) $(ALL_CFLAGS) -Iagent -c $< -o $@
$(BUILD)/lib/%.o: lib/%.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(HERE) $(CC) $(ALL_CFLAGS) -c $< -o $@
$(BUILD)/cli/%.o: cli/%.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(HERE) $(CC) $(ALL_CFLAGS) -Iagent -c $< -o $@
$(BUILD)/leases/%.o: leases/%.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(HERE) $(CC) $(ALL_CFLAGS) -Iagent -c $< -o $@
$(BUILD)/desk/%.o: desk/%.c
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(HERE) $(CC) $(ALL_CFLAGS) -DDESK_CTL='"$(BINDIR)/detnatctl"' -c $< -o $@
# The assembler puts them into the object.
$(BUILD)/desk/assets.o: $(wildcard desk/www/*) docs/reference/openapi.json
# ccache does not see the files that the assembler includes.
$(BUILD)/desk/assets.o: export CCACHE_DISABLE := 1
$(BUILD)/xdp/%.o: xdp/%.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(HERE) $(CC) $(ALL_CFLAGS) -c $< -o $@
# In half the time; what they test is optimised.
$(BUILD)/tests/unit/%.o $(BUILD)/tests/bpf/%.o: TEST_CFLAGS := $(if $(filter -O2,$(CFLAGS)),-O1 -g1 $(MAYBE_UNINITIALIZED))
$(BUILD)/tests/%.o: tests/%.c | $(SKELETONS) $(BENCH_BPF) $(BPFT_BPF)
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(HERE) $(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) -Wno-missing-prototypes -Wno-missing-field-initializers -Iagent -Icli -Idesk -Ileases -c $< -o $@
# The room of the history once more, with a kind of fact that a test has: none of its names is seen outside.
$(BUILD)/tests/unit/further/%.o: TEST_CFLAGS += -fvisibility=hidden -include tests/unit/further/further_kind.h
$(BUILD)/tests/unit/further/%.o: lib/history/%.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(SAY) CC $@
	$(Q)$(HERE) $(CC) $(ALL_CFLAGS) $(TEST_CFLAGS) -c $< -o $@
$(BUILD)/tests/unit/further.o: $(FURTHER_OBJECTS)
	$(Q)$(LD) -r $^ -o $@ && $(OBJCOPY) --localize-hidden $@

# Appended, not replaced: files of one name stand in several rooms.
$(BUILD)/libdetnat.a: $(LIB_OBJECTS)
	$(SAY) AR $@
	$(Q)rm -f $@ && $(AR) qcs $@ $^
$(BUILD)/libagent.a: $(AGENT_OBJECTS) $(LIB_OBJECTS)
	$(SAY) AR $@
	$(Q)rm -f $@ && $(AR) qcs $@ $^
$(BUILD)/detnat-agent: $(BUILD)/agent/service/main.o $(BUILD)/libagent.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ $(AGENT_LIBS)
$(BUILD)/detnatctl: $(CLI_OBJECTS) $(CHECK_OBJECTS) $(BUILD)/libdetnat.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ $(CLI_LIBS)
$(BUILD)/detnat-xdp: $(HELPER_OBJECTS) $(BUILD)/libdetnat.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ $(HELPER_LIBS)
$(BUILD)/detnat-leases: $(LEASES_OBJECTS) $(BUILD)/libagent.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ $(AGENT_LIBS)
$(BUILD)/detnat-desk: $(DESK_OBJECTS) $(BUILD)/libdetnat.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ $(DESK_LIBS) -lpthread
$(BUILD)/tests/unit/run: $(UNIT_OBJECTS) $(BUILD)/tests/unit/further.o $(BUILD)/tests/bench/judge.o $(filter-out %/main.o,$(CLI_OBJECTS) $(DESK_OBJECTS) $(LEASES_OBJECTS)) $(filter-out %/simulate.o,$(SCALE_OBJECTS)) $(BUILD)/libagent.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ $(call libraries,criterion libmicrohttpd) -lpthread -lm $(AGENT_LIBS)
$(BUILD)/tests/scale/simulate: $(SCALE_OBJECTS)
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ -lm
# The tests of which several threads work on the same things, with a stand-in for Criterion.
TSAN_TESTS   := accounts background history_queue mappings mappings_extents mappings_restart output sessions_race slots cached_hop
TSAN_OBJECTS := $(BUILD)/tests/tsan/run.o $(TSAN_TESTS:%=$(BUILD)/tests/tsan/test_%.o) $(patsubst tests/unit/%.c,$(BUILD)/tests/tsan/%.o,$(wildcard tests/unit/*_fixture.c))
$(TSAN_OBJECTS): ALL_CFLAGS := -Itests/tsan -Itests/unit $(ALL_CFLAGS)
$(BUILD)/tests/tsan/%.o: tests/unit/%.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(SAY) CC $<
	$(Q)$(HERE) $(CC) $(ALL_CFLAGS) -Wno-missing-prototypes -Wno-missing-field-initializers -Wno-format-zero-length -Iagent -Icli -c $< -o $@
$(BUILD)/tests/tsan/run: $(TSAN_OBJECTS) $(BUILD)/libagent.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ -lpthread $(AGENT_LIBS)
$(BUILD)/tests/bpf/run: $(BPFT_OBJECTS) $(BUILD)/libagent.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ -Wl,--wrap=build_load_tc,--wrap=bpf_object__load,--wrap=bpf_program__fd,--wrap=bpf_program__autoload,--wrap=bpf_map_create,--wrap=bpf_object__open_skeleton $(call libraries,criterion) -lpthread $(AGENT_LIBS)
$(BUILD)/tests/bench/run: $(BENCH_OBJECTS) $(BUILD)/libagent.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ -lpthread -lm $(AGENT_LIBS)
$(BUILD)/tests/bench/agent/%: $(BUILD)/tests/bench/agent/%.o
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ $(AGENT_LIBS) -lpthread
$(BUILD)/tests/bench/agent/fill $(BUILD)/tests/bench/agent/guard $(BUILD)/tests/bench/agent/copies: $(BUILD)/libagent.a
AGENT_BENCH := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/agent/*.c))
tests-run: $(PROGRAMS) $(BUILD)/tests/unit/run $(BUILD)/tests/bpf/run
tests-built: tests-run $(BUILD)/tests/bench/run $(BUILD)/tests/bench/e2e $(AGENT_BENCH)
.PHONY: tests-run

demo: as-root deps-demo ## subscribers reach an internet through detnat, in namespaces (KEEP=1 leaves it running)
	@$(MAKE) --no-print-directory $(JOBS) programs
	@KEEP=$(KEEP) BUILD=$(BUILD) deploy/demo.sh

# What a newcomer runs, on an ordinary build and this kernel. A step: name|seconds on two cores|target|what it is.
define TEST_STEPS
'build|80|tests-run -j$(shell nproc)|the programs and their tests are built' \
'+lint-quick|60|lint-quick|formatting, names, layers and documents' \
'+unit|180|test-unit ROUNDS=8|modules of the agent and the command line' \
'+complaints|2|test-complaints|681 complaints, and the questions in them' \
'bpf|200|test-bpf ROUNDS=30|the datapath, packet by packet' \
'+world|100|test-world|five worlds of fixed seeds' \
'e2e|200|test-e2e E2E_TESTS=quick E2E_WORKERS=6|agent and command line with real traffic'
endef
# SHARE=2/6: of the long steps of test-rest a sixth, so that CI ends in time on a slow machine; without it, everything.
SHARE ?=
# Of the virtual machines, the parts that load every program; the others are minutes of emulation.
TEST_VM_PARTS ?= reachable $(if $(filter-out 1/6 4/6,$(SHARE)),,tc)
# What CI runs besides.
define REST_STEPS
'build|20|tests-built -j$(shell nproc)|the benchmarks are built, too' \
'lint|105|lint|formatting and static checks' \
'stacks|60|test-stacks CLANGS=clang-19|the stack that kernel 6.1 gives what Debian 13 compiles' \
'site|10|site|the documents as a site, without dead links' \
'alerts|5|test-alerts|the rules for Prometheus' \
'rounds|40|test-unit-rounds|random histories, kills and races in all their rounds' \
'tsan|75|test-tsan|threads that race, under ThreadSanitizer' \
'bpf-passes|$(if $(SHARE),70,280)|test-bpf-passes|the datapath with padding, in two stages, and traced' \
'e2e-sanitized|$(if $(SHARE),200,900)|test-e2e SANITIZE=1|agent and command line under AddressSanitizer' \
'fuzz|$(if $(SHARE),80,150)|test-fuzz|each fuzzer from its seeds' \
'vm|$(if $(SHARE),250,330)|test-vm "VM_PARTS=$(TEST_VM_PARTS)"|kernels 6.1 and 6.12'
endef
# What neither of them runs, so that no documented target rots (`deploy/lint.sh targets`). CI runs as many as it has time for, and
# the commit says with which it begins. HASH, the commit's as a number, chooses a seed, and one part and kernel of the virtual machines.
HASH ?= 0
CLANG_OF_HASH = $(word $(shell echo $$(($(HASH) % 5 + 1))),clang-14 clang-15 clang-16 clang-19 clang-22)
VM_ALL_PARTS := guard plain copies vlan bond vrf tenants libxdp routing ppp systemd cards
define DOCUMENTED_STEPS
'build|30|tests-built -j$(shell nproc)|the programs, their tests and benchmarks are built' \
'targets|60|test-targets|the targets that write into the tree, on a copy of it' \
'demo|40|demo|the demo' \
'bench|600|bench|the datapath, end to end, the agent and offline work, with their goals' \
'bench-full|700|bench-full "ROWS=h1024-* portmap-* beyond-h1024* granted-h1024*"|rows that make bench leaves out' \
'bench-path|20|bench-path|instructions of a packet' \
'bench-nic|740|test-vm VM_PARTS=benchnic SERIES=6.12|bench-nic, between two guests' \
'soak|110|soak MINUTES=1|everything at once for a minute' \
'drill|60|drill|a gateway that is lost, and what is put back elsewhere' \
'world|80|world SECONDS=60 SEED=$(HASH)|a world of the seed that the commit says' \
'world-trio|110|world GATEWAYS=3 PROFILE=trio SECONDS=60 SEED=$(HASH)|three gateways that are lost and come back' \
'upgrades|230|test-upgrades|upgrades from real builds of 1.0.0, and back' \
'kills|400|test-kills KILLS=8|eight kills in each phase of the agent' \
'long|400|test-long SHARE=$(shell echo $$(($(HASH) % 12 + 1)))/12|a share of the tests before a release' \
'arm64|900|test-arm64 SERIES=6.12 BPF=datapath/*|unit and datapath on an emulated arm64 machine' \
'deb|900|deb "PACKAGE_TESTS=$(word $(shell echo $$(($(HASH) % 5 + 1))),network spec rpm container machine)"|Debian packages, made twice, and a share of their tests' \
'clang|300|test-clang ROUNDS=30 CLANGS=$(CLANG_OF_HASH)|the datapath on objects of another clang' \
'cc|240|test-cc CCS=$(CLANG_OF_HASH)|the sources by another compiler' \
'vm-clang|900|test-vm-clang CLANGS=$(CLANG_OF_HASH) BPF=$(shell echo $$(($(HASH) % 40 + 1)))/40|its objects on kernels 6.1 and 6.12' \
'debian12|600|test-debian12 "STEPS=$(word $(shell echo $$(($(HASH) % 5 + 1))),demo unit bpf world e2e)"|Debian 12 in a chroot' \
'debian13|600|test-debian13 "STEPS=$(word $(shell echo $$(($(HASH) % 8 + 1))),demo unit bpf world e2e clang-18 gcc-13 gcc-14)"|Debian 13 in a chroot' \
'vm-systemd|300|test-vm-systemd|the units under systemd' \
'release|60|release RELEASE_DEB=no DEBFULLNAME=Nobody DEBEMAIL=nobody@detnat.example|the files of a release' \
'pictures|120|pictures PICTURES=$(BUILD)/pictures|the pictures of the documents' \
'flowtable|60|bench-flowtable|instructions beside nftables with its flowtable'
endef
test: as-root deps-test ## shows that everything works, on an ordinary build: unit, datapath, end to end; needs root
	@MAKE="$(MAKE)" tests/steps.sh $(BUILD)/test $(TEST_STEPS)
test-rest: as-root deps-test ## what CI runs besides: lint, sanitizers, the datapath's other passes, fuzzers, kernels 6.1 and 6.12 (SHARE=1/6)
	@MAKE="$(MAKE)" SHARE=$(SHARE) tests/steps.sh $(BUILD)/test $(REST_STEPS)
test-documented: as-root deps-test ## documented targets that neither runs: benchmarks, demo, soak, kills, packages … (FIRST=N of them, BUDGET=SECONDS)
	@MAKE="$(MAKE)" tests/steps.sh $(BUILD)/test $(DOCUMENTED_STEPS)
.PHONY: test-documented test-targets
test-targets: deps-test
	@BUILD=$(abspath $(BUILD)) tests/targets.sh
test-all: as-root ## test and test-rest
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory test-rest
.PHONY: test-rest test-all
.PHONY: test-long
test-long: as-root deps-test ## before a release: the end-to-end tests marked long, all parts of the virtual machines (SHARE=1/12)
	@$(MAKE) --no-print-directory test-e2e SANITIZE=1 E2E_TESTS=long
	@$(MAKE) --no-print-directory test-vm $(if $(SHARE),"VM_PARTS=$(word $(SHARE:%/12=%),$(VM_ALL_PARTS))" SERIES=$(if $(filter 1 3 5 7 9 11,$(SHARE:%/12=%)),6.12,6.1))
# Of the rounds of a test that has many (tests/unit/rounds.h), in percent; of random packets and of the seconds of a race, too.
ROUNDS ?= 100
test-unit: deps-test ## modules of the agent and the command line (ROUNDS=100 percent); without root some are skipped
	@$(MAKE) --no-print-directory $(JOBS) $(BUILD)/tests/unit/run
	DETNAT_ROUNDS=$(ROUNDS) $(CRITERION) $(BUILD)/tests/unit/run
# The suites that include tests/unit/rounds.h: in all their rounds, where `make test` has a twelfth.
.PHONY: test-unit-rounds
test-unit-rounds: deps-test
	@$(MAKE) --no-print-directory $(JOBS) $(BUILD)/tests/unit/run
	$(CRITERION) $(BUILD)/tests/unit/run --filter '@(config_part|copying_churn|history_grants_model|history_model|history_portmaps|history_time|history_walk|import_agree|killed_agents|lease_days_model|lease_index|mappings_nested|overlapping_changes|sessions_under_traffic|slots)/*'
# Without random addresses, which ThreadSanitizer's map of memory does not know on every kernel.
test-tsan: deps-test ## the unit tests whose threads race, under ThreadSanitizer
	@$(MAKE) --no-print-directory $(JOBS) SANITIZE=thread build/tsan/tests/tsan/run
	setarch -R build/tsan/tests/tsan/run $(ARGS)
# Those of Debian 12 and 13 and Ubuntu 24.04. BPF: some of the datapath's tests.
CLANGS ?= clang-14 clang-15 clang-16 clang-17 clang-18 clang-19 clang-22
test-clang: as-root deps-test ## the datapath's suite on objects of each clang that apt has (CLANGS; BPF='datapath/*' of it); needs root
	@deploy/install-deps.sh $(CLANGS)
	@for clang in $(CLANGS); do \
	    command -v $$clang >/dev/null || { echo "SKIP $$clang: apt does not have it"; continue; }; \
	    $(MAKE) --no-print-directory $(JOBS) WERROR=1 BUILD=build/$$clang CLANG=$$clang build/$$clang/tests/bpf/run && \
	    $(PYTHON) tests/bpf/stacks.py build/$$clang/skel/detnat_*.bpf.o && \
	    EVERY_PROGRAM=1 DETNAT_ROUNDS=$(ROUNDS) $(CRITERION) build/$$clang/tests/bpf/run $(BPF_JOBS) $(if $(BPF),--filter '$(BPF)') && echo "ok $$clang" || exit 1; \
	done
# Without loading them, as every kernel but 6.1 gives programs more: a chain of calls that just fits by one clang may not by another.
.PHONY: skeletons test-stacks
skeletons: $(SKELETONS)
test-stacks: deps-test ## that the objects of each clang that apt has need no more stack than kernel 6.1 gives (CLANGS)
	@deploy/install-deps.sh $(CLANGS)
	@for clang in $(CLANGS); do \
	    command -v $$clang >/dev/null || { echo "SKIP $$clang: apt does not have it"; continue; }; \
	    $(MAKE) --no-print-directory $(JOBS) WERROR=1 BUILD=build/$$clang CLANG=$$clang skeletons && \
	    $(PYTHON) tests/bpf/stacks.py build/$$clang/skel/detnat_*.bpf.o && echo "ok $$clang" || exit 1; \
	done
# Each clang's objects in build/CLANG, where one guest of each kernel takes them from.
test-vm-clang: as-root deps-test ## on kernels 6.1 and 6.12, every program of the objects of each clang, and some of the datapath's tests (CLANGS; BPF='fib/*' or a share, 3/40; ROUNDS); needs root
	@deploy/install-deps.sh $(CLANGS)
	@builds=; for clang in $(CLANGS); do \
	    command -v $$clang >/dev/null || { echo "SKIP $$clang: apt does not have it"; continue; }; \
	    $(MAKE) --no-print-directory $(JOBS) WERROR=1 BUILD=build/$$clang CLANG=$$clang build/$$clang/tests/bpf/run || exit 1; \
	    builds="$$builds build/$$clang"; \
	done; \
	$(MAKE) --no-print-directory $(JOBS) programs && \
	BUILD=$(abspath $(BUILD)) VM_PARTS=datapath VM_BUILDS="$$builds" DETNAT_ROUNDS=$(if $(filter 100,$(ROUNDS)),1,$(ROUNDS)) tests/vm/run.sh
# As those of the machine, in directories of their own.
CCS ?= gcc-12 gcc-13 gcc-14 clang-14 clang-15 clang-16 clang-17 clang-18 clang-19 clang-22
test-cc: deps-test ## programs, tests and benchmarks without a warning by each compiler of C that apt has (CCS)
	@deploy/install-deps.sh $(CCS)
	@for cc in $(CCS); do \
	    command -v $$cc >/dev/null || { echo "SKIP $$cc: apt does not have it"; continue; }; \
	    $(MAKE) --no-print-directory $(JOBS) WERROR=1 BUILD=build/cc-$$cc CC=$$cc tests-built && echo "ok $$cc" || exit 1; \
	done
# In a chroot without anything else: what a newcomer with that release has. STEPS: test, or words of tests/debian.sh.
test-debian12: SUITE = bookworm
test-debian13: SUITE = trixie
test-debian12: as-root deps-debian ## a bare Debian 12 in a chroot, from nothing: make demo, units and datapath (STEPS); needs root
	@BUILD=$(abspath $(BUILD)) SUITE=$(SUITE) tests/debian.sh $(or $(STEPS),demo unit bpf)
test-debian13: as-root deps-debian ## the same of Debian 13
	@BUILD=$(abspath $(BUILD)) SUITE=$(SUITE) tests/debian.sh $(or $(STEPS),demo unit bpf)
deps-debian:
	@deploy/install-deps.sh debian
.PHONY: test-vm-clang test-cc test-debian12 test-debian13 deps-debian
# More at a time than cores: a test waits for the kernel half of its time.
BPF_JOBS ?= -j3
test-bpf: as-root deps-test ## the datapath packet by packet; needs root
	@$(MAKE) --no-print-directory $(JOBS) $(BUILD)/tests/bpf/run
	$(PYTHON) tests/bpf/stacks.py $(SKEL)/detnat_*.bpf.o
	DETNAT_ROUNDS=$(ROUNDS) $(CRITERION) $(BUILD)/tests/bpf/run $(BPF_JOBS)
# All random packets and races, and the suites where padded frames, two stages, the tracing build and tc make a difference.
BPF_PASSES := rounds padded stages traced redirect
BPF_PASSES_OF_SHARES := $(BPF_PASSES) rounds
.PHONY: test-bpf-passes $(BPF_PASSES:%=test-bpf-%)
test-bpf-passes: as-root deps-test ## all random packets and races, and the same with padded frames, in two stages, by the tracing build and by tc's programs that send by themselves, where they differ
	@$(MAKE) --no-print-directory $(JOBS) $(BUILD)/tests/bpf/run
	@for pass in $(if $(SHARE),$(word $(SHARE:%/6=%),$(BPF_PASSES_OF_SHARES)),$(BPF_PASSES)); do \
	    $(MAKE) --no-print-directory test-bpf-$$pass || exit 1; \
	done
test-bpf-rounds:
	EVERY_PROGRAM=1 $(CRITERION) $(BUILD)/tests/bpf/run $(BPF_JOBS) --filter '@(every_program|property|race|tenants_random|tenants_shared_random)/*'
test-bpf-padded:
	PADDED=1 $(CRITERION) $(BUILD)/tests/bpf/run $(BPF_JOBS) --filter '@(egress_in|fib|fragments|icmp_in|in2out|lengths|out2in|property|sources)/*'
test-bpf-stages:
	PADDED=1 STAGES=2 $(CRITERION) $(BUILD)/tests/bpf/run $(BPF_JOBS) --filter '@(exceptions|fib|in2out|out2in|beyond_owner|portmap|property|sources|unsolicited)/*'
test-bpf-traced:
	TRACED=1 $(CRITERION) $(BUILD)/tests/bpf/run $(BPF_JOBS) --filter '@(hairpin|icmp_in|mss|options|property|protocols|vlan)/*'
test-bpf-redirect:
	REDIRECT_TC=1 PADDED=1 $(CRITERION) $(BUILD)/tests/bpf/run $(BPF_JOBS) --filter '@(egress_in|exceptions|fib|fragments|grants|hairpin|icmp_in|icmp_out|in2out|inbound|lengths|mss|options|out2in|beyond_owner|portmap|property|protocols|routed|six_errors|six_extents|six_fast|six_fragments|six_hairpins|six_paths|six_refusals|sources|unsolicited)/*'
# With SANITIZE=1 a report of AddressSanitizer or UndefinedBehaviorSanitizer fails the test it came in.
E2E_TESTS   ?= most
E2E_SELECTED := $(if $(filter quick,$(E2E_TESTS)),not long and not slow,$(if $(filter long,$(E2E_TESTS)),long,not long))
# pytest compiles the tests in five seconds of a processor: once for all workers and runs.
COMPILED := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(abspath $(BUILD))/pycache
test-e2e: as-root deps-test ## agent and command line with real traffic in namespaces (SANITIZE=1; E2E_TESTS=quick, most, long); needs root
	@$(MAKE) --no-print-directory $(JOBS) programs
	@[ -d $(BUILD)/pycache ] || { cd tests/e2e && $(COMPILED) BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q --collect-only >/dev/null || :; }
	cd tests/e2e && $(COMPILED) BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -n $(E2E_WORKERS) --dist loadfile $(or $(ARGS),$(if $(SHARE),--share $(SHARE)) -m "$(E2E_SELECTED)")
test-upgrades: deps-test ## upgrades from real builds of 1.0.0, made from the history, under traffic, and back; needs root
	@$(MAKE) --no-print-directory $(JOBS) programs
	cd tests/e2e && BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q -n 2 -m upgrades $(ARGS)
.PHONY: test-upgrades
KILLS ?= all
test-kills: as-root deps-test ## SIGKILL at each system call of start, reload, change and stop that changes anything; an hour or more, needs root (KILLS=8 of each phase)
	@$(MAKE) --no-print-directory $(JOBS) SANITIZE=1 programs
	cd tests/e2e && KILLS=$(KILLS) BUILD=$(abspath build/asan) $(PYTHON) -m pytest -q -s -n $(E2E_WORKERS) test_kills.py $(ARGS)
PROMTOOL = $(firstword $(wildcard /usr/bin/promtool /usr/local/bin/promtool build/prometheus/usr/bin/promtool) promtool)
test-alerts: deps-test ## the alert rules, by promtool: each where it is due, and none where all is well
	$(PROMTOOL) check rules deploy/prometheus/detnat.rules.yml
	$(PROMTOOL) test rules deploy/prometheus/detnat.rules.test.yml
.PHONY: test-alerts
MINUTES ?= 10
soak: as-root deps-test ## everything at once for MINUTES=10, then what must hold is looked at; needs root
	@$(MAKE) --no-print-directory $(JOBS) programs
	cd tests/e2e && BUILD=$(abspath $(BUILD)) $(PYTHON) soak.py --minutes $(MINUTES) $(ARGS)
drill: as-root deps-test ## a gateway is lost: what was installed and two directories, put back elsewhere, answer 10,000 questions as before; needs root
	@$(MAKE) --no-print-directory $(JOBS) programs
	@rm -rf $(BUILD)/drill && $(MAKE) --no-print-directory install DESTDIR=$(abspath $(BUILD))/drill >/dev/null
	cd tests/e2e && DRILL=$(abspath $(BUILD))/drill BUILD=$(abspath $(BUILD)) $(PYTHON) -m pytest -q test_drill.py $(ARGS)
.PHONY: drill
# REPLAY: a file that a failing run wrote (ARGS='--write FILE'). The programs are plain, as the world preloads a clock.
SECONDS ?= 60
SEED ?= 1
world: as-root deps-test ## a gateway in a world of subscribers, operator and faults, SECONDS=60 of SEED=1 (MODE, GATEWAYS, PROFILE, REPLAY); needs root
	@$(MAKE) --no-print-directory $(JOBS) programs
	$(PYTHON) tests/world/world.py --build $(abspath $(BUILD)) --seconds $(SECONDS) --seed $(SEED) $(MODE:%=--mode %) $(GATEWAYS:%=--gateways %) $(PROFILE:%=--profile %) $(REPLAY:%=--replay %) $(ARGS)
.PHONY: test-complaints
test-complaints: ## how many of 681 complaints are read right, refused though definite, and wrong
	@$(MAKE) --no-print-directory $(JOBS) programs
	$(PYTHON) tests/complaints/check.py
	$(PYTHON) tests/complaints/score.py $(abspath $(BUILD))
test-world: as-root deps-test ## a minute of five worlds of fixed seeds, side by side; needs root
	@$(MAKE) --no-print-directory $(JOBS) programs
	$(PYTHON) tests/world/world.py --build $(abspath $(BUILD)) --minute
.PHONY: world test-world
test-vm: as-root deps-test ## load, attach and translate on Debian's 6.1 and 6.12 kernels
	@$(MAKE) --no-print-directory $(JOBS) programs
	BUILD=$(abspath $(BUILD)) tests/vm/run.sh
test-vm-systemd: as-root deps-test ## the units in a virtual machine with systemd: boot, restart, kill, reload, leaks
	@$(MAKE) --no-print-directory $(JOBS) programs
	BUILD=$(abspath $(BUILD)) VM_PARTS=systemd SERIES=6.1 tests/vm/run.sh

test-arm64: as-root deps-arm64 ## unit, datapath and traffic on arm64, in emulated machines with Debian's kernels 6.1 and 6.12; needs root
	@$(MAKE) --no-print-directory CROSS=aarch64-linux-gnu sysroot
	@$(MAKE) --no-print-directory $(JOBS) CROSS=aarch64-linux-gnu tests-run
	$(PYTHON) tests/bpf/barriers.py build/aarch64-linux-gnu/skel/detnat_*.bpf.o
	tests/vm/arm64.sh
.PHONY: test-arm64

# REF: a tag or commit instead of the files of the tree. DEB_BEFORE: the package that the upgrade begins with.
deb: as-root deb-build ## Debian packages in build/deb/, made twice in clean chroots and tested; needs root (half an hour; PACKAGE_TESTS=rpm)
	BUILD=$(abspath $(BUILD)) tests/package/run.sh
deb-build: deps-package ## the packages alone
	BUILD=$(abspath $(BUILD)) deploy/deb.sh $(REF)

PICTURES ?= docs/pictures
pictures: as-root deps-test ## the pictures of README: the demo recorded, top, explain and the desk in its network, the chart, the dashboard; needs root (PICTURES=docs/pictures)
	@$(MAKE) --no-print-directory $(JOBS) programs
	@mkdir -p $(PICTURES)
	$(PYTHON) deploy/pictures/terminal.py -o $(PICTURES)/demo.svg --title 'sudo make demo' -- env BUILD=$(BUILD) deploy/demo.sh
	@KEEP=1 BUILD=$(BUILD) deploy/demo.sh >/dev/null
	$(PYTHON) deploy/pictures/terminal.py --still -o $(PICTURES)/explain.svg --title 'an operator looks at a subscriber' --columns 128 -- env BUILD=$(BUILD) deploy/pictures/look.sh
	$(PYTHON) deploy/pictures/desk.py $(PICTURES)
	@deploy/demo.sh clean
	$(PYTHON) deploy/pictures/chart.py $(PICTURES)/speed.svg
	BUILD=$(abspath $(BUILD)) $(PYTHON) deploy/pictures/dashboard.py $(PICTURES)/dashboard.svg
release: as-root ## the files of a release of the commit, byte-identical in each run (DEBFULLNAME, DEBEMAIL, PROJECT_URL; RELEASE_DEB=no); needs root
	@deploy/install-deps.sh build demo package
	BUILD=$(abspath $(BUILD)) deploy/release.sh
.PHONY: pictures release

BENCH_RESULTS = $(BUILD)/bench/results.json $(BUILD)/bench/results-e2e.json $(BUILD)/bench/results-agent.json $(BUILD)/bench/results-offline.json
bench: as-root deps-demo ## nanoseconds a packet against the parse-and-rewrite floor, and the goals; needs root (some minutes)
	@$(MAKE) --no-print-directory $(JOBS) $(BUILD)/tests/bench/run
	@mkdir -p $(BUILD)/bench
	$(BUILD)/tests/bench/run --output $(BUILD)/bench/results.json $(ROWS)
	$(if $(ROWS),,@$(MAKE) --no-print-directory bench-e2e)
	$(if $(ROWS),,@$(MAKE) --no-print-directory bench-agent ARGS=)
	$(if $(ROWS),,@$(MAKE) --no-print-directory bench-offline ARGS=)
	$(if $(ROWS),,@$(PYTHON) tests/bench/met.py $(BENCH_RESULTS))
bench-full: as-root deps-demo ## the same, every row (ROWS='h1024-* …' picks some of them for either)
	@$(MAKE) --no-print-directory $(JOBS) $(BUILD)/tests/bench/run
	@mkdir -p $(BUILD)/bench
	$(BUILD)/tests/bench/run --full --output $(BUILD)/bench/results.json $(ROWS)
	$(if $(ROWS),,@$(MAKE) --no-print-directory bench-e2e FULL=1)
	$(if $(ROWS),,@$(MAKE) --no-print-directory bench-agent ARGS=)
	$(if $(ROWS),,@$(MAKE) --no-print-directory bench-offline ARGS=)
	$(if $(ROWS),,@$(PYTHON) tests/bench/met.py $(BENCH_RESULTS))

# End to end: live frames over veth, against the kernel's forwarding and nft SNAT.
$(BUILD)/tests/bench/e2e: $(E2E_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/libagent.a
	$(SAY) LD $@
	$(Q)$(LINK) $^ -o $@ $(call libraries,libbpf libcjson libmnl) -lm
.PHONY: bench-e2e
bench-e2e: as-root deps-bench ## detnat against nft SNAT and kernel forwarding, frames over veth; needs root (FULL=1: all rows)
	@$(MAKE) --no-print-directory $(JOBS) programs $(BUILD)/tests/bench/e2e
	@mkdir -p $(BUILD)/bench
	$(BUILD)/tests/bench/e2e $(if $(FULL),--full) -o $(BUILD)/bench/results-e2e.json
.PHONY: bench-flowtable
bench-flowtable: as-root deps-test ## instructions of a packet beside nftables with its flowtable, on a kernel that has one (6.1, in a virtual machine); needs root
	@$(MAKE) --no-print-directory $(JOBS) programs $(BUILD)/tests/bench/e2e
	BUILD=$(abspath $(BUILD)) VM_PARTS=flowtable SERIES=6.1 tests/vm/run.sh
.PHONY: bench-nic
bench-nic: as-root deps-bench ## two real cards of this machine, IN=eth1 OUT=eth0, with another machine that sends; needs root
	@$(if $(and $(IN),$(OUT)),,echo "usage: make bench-nic IN=CARD OUT=CARD, two cards of this machine" >&2; exit 2)
	@$(MAKE) --no-print-directory $(JOBS) programs
	@BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/nic.py $(IN) $(OUT)
bench-agent: as-root deps-test ## the agent at 16.5 million sessions: what its own work costs, and how long others wait (ARGS: rows)
	@$(MAKE) --no-print-directory $(JOBS) programs $(AGENT_BENCH)
	BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/agent.py $(ARGS)
.PHONY: bench-offline
bench-offline: ## imports of large plans and the planner, without an agent (ARGS: rows)
	@$(MAKE) --no-print-directory $(JOBS) programs
	@BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/offline.py $(ARGS)
.PHONY: bench-path
bench-path: ## instructions and cache lines of a packet, in one stage, in two and at tc (ARGS=-v: by table); the same on every machine
	@$(MAKE) --no-print-directory $(JOBS) programs $(BUILD)/tests/bench/agent/path_tables
	@BUILD=$(abspath $(BUILD)) $(PYTHON) tests/bench/path.py $(ARGS)

.PHONY: simulate
simulate: ## what failures cost a country's subscribers, and what it takes in machines (ARGS='--help'); see docs/evidence/SCALE.md
	@$(MAKE) --no-print-directory $(JOBS) $(BUILD)/tests/scale/simulate
	@$(BUILD)/tests/scale/simulate $(ARGS)

FUZZ_SECONDS ?= 60
FUZZERS      := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_CFLAGS  := -std=gnu17 -O1 -g1 -D_GNU_SOURCE -Iinclude -Ilib -Iagent -I$(SKEL) -MMD -MP -fsanitize=address,undefined
# A formula of a line would else make millions of rows.
FUZZ_CFLAGS  += -DIMPORT_MAX_ROWS=4096U
# The datapath's headers read what is not aligned, and take their helpers from a header of the fuzzer's.
$(BUILD)/fuzz/tests/fuzz/fuzz_packet.o: FUZZ_CFLAGS += -Ibpf -Itests/fuzz/shim -fno-sanitize=alignment
$(BUILD)/fuzz/%.o: %.c | $(SKELETONS)
	@mkdir -p $(@D)
	$(SAY) CLANG $<
	$(Q)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -c $< -o $@
$(BUILD)/fuzz/libagent.a: $(patsubst %.c,$(BUILD)/fuzz/%.o,$(AGENT_SOURCES) $(LIB_SOURCES))
	$(SAY) AR $@
	$(Q)rm -f $@ && $(AR) qcs $@ $^
# The kernel's answers are the fuzzer's.
comma := ,
$(BUILD)/fuzz/fuzz_replies: private FUZZ_LINK := $(addprefix -Wl$(comma)--wrap=,netlink_call netlink_dump)
# The desk's forms and what reads RADIUS are programs', not the library's.
$(BUILD)/fuzz/tests/fuzz/fuzz_radius.o $(BUILD)/fuzz/tests/fuzz/fuzz_spool.o: FUZZ_CFLAGS += -Ileases
$(BUILD)/fuzz/fuzz_radius: $(BUILD)/fuzz/leases/radius.o
$(BUILD)/fuzz/fuzz_spool: $(BUILD)/fuzz/leases/request_spool.o
$(BUILD)/fuzz/tests/fuzz/fuzz_desk.o: FUZZ_CFLAGS += -Idesk
$(BUILD)/fuzz/fuzz_desk: $(BUILD)/fuzz/desk/forms.o
$(BUILD)/fuzz/fuzz_%: $(BUILD)/fuzz/tests/fuzz/fuzz_%.o $(BUILD)/fuzz/libagent.a
	$(SAY) LD $@
	$(Q)$(CLANG) $(FUZZ_CFLAGS) $(FUZZ_LINK) -fsanitize=fuzzer $(filter %.o,$^) $(filter %.a,$^) -o $@ $(AGENT_LIBS)
# In `make test-rest`: so short that all of them together take no more than two minutes.
test-fuzz: deps-test ## each fuzzer from its seeds, for TEST_FUZZ_SECONDS=5, two at a time
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=$(TEST_FUZZ_SECONDS) FUZZ_JOBS=2
TEST_FUZZ_SECONDS ?= $(if $(SHARE),2,5)
FUZZ_JOBS    ?= 1
fuzz: deps-test ## what comes from outside, on any octets (FUZZ_SECONDS=60 each, FUZZ_JOBS=1 at a time)
	@$(MAKE) --no-print-directory $(JOBS) $(FUZZERS)
	@BUILD=$(BUILD) SECONDS_EACH=$(FUZZ_SECONDS) JOBS=$(FUZZ_JOBS) tests/fuzz/run.sh $(FUZZERS)

format: deps-test ## clang-format all C
	clang-format -i $(C_FILES)
lint: deps-test ## formatting and static checks, warnings as errors
	@$(MAKE) --no-print-directory $(JOBS) skeletons $(PROGRAMS)
	@BUILD=$(BUILD) deploy/lint.sh
.PHONY: lint-quick
lint-quick: deps-test
	@$(MAKE) --no-print-directory $(JOBS) $(PROGRAMS)
	@BUILD=$(BUILD) deploy/lint.sh quick

.PHONY: docs
docs: deps-test ## docs/reference from the manual pages and the source, and the prose of all documents wrapped
	@$(PYTHON) deploy/reference.py --write
	@$(PYTHON) deploy/wrap.py --write

.PHONY: site
site: ## the documents and manual pages as a web site in build/site/html; a dead link is an error
	@deploy/install-deps.sh site
	@deploy/site/site.sh

MONITORING := prometheus/prometheus.yml prometheus/detnat.rules.yml grafana/detnat.json
GUIDES     := $(notdir $(wildcard docs/guide/*.md))
SERVICES   := detnat.service detnat-guard.service detnat-xdp@.service detnat-desk.service detnat-leases.service
SOCKETS    := detnat-metrics.socket detnat-xdp.socket detnat-desk.socket detnat-leases.socket
PAGES      := $(wildcard docs/man/*.[1-8])
ROUTING    := $(wildcard deploy/routing/*/*)
PROXIES    := $(wildcard deploy/desk/*)
install: all install-docs ## install below DESTDIR: PREFIX=/usr, or BINDIR, SBINDIR, MANDIR, UNITDIR ... one by one
	install -D -m 755 $(BUILD)/detnat-agent $(DESTDIR)$(SBINDIR)/detnat-agent
	install -D -m 755 $(BUILD)/detnatctl $(DESTDIR)$(BINDIR)/detnatctl
	install -D -m 755 $(BUILD)/detnat-xdp $(DESTDIR)$(SBINDIR)/detnat-xdp
	install -D -m 755 $(BUILD)/detnat-desk $(DESTDIR)$(SBINDIR)/detnat-desk
	install -D -m 755 $(BUILD)/detnat-leases $(DESTDIR)$(SBINDIR)/detnat-leases
	install -d -m 755 $(DESTDIR)$(UNITDIR)
	install -d -m 2775 $(DESTDIR)/etc/detnat
	[ -n "$(DESTDIR)" ] || ! getent group detnat-admin >/dev/null || chgrp detnat-admin /etc/detnat
	for unit in $(SERVICES); do \
	    sed 's,/usr/sbin/detnat-,$(SBINDIR)/detnat-,' deploy/$$unit > $(BUILD)/$$unit && \
	    install -m 644 $(BUILD)/$$unit $(DESTDIR)$(UNITDIR)/$$unit || exit 1; \
	done
	install -m 644 $(SOCKETS:%=deploy/%) $(DESTDIR)$(UNITDIR)/
	install -D -m 644 deploy/sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/detnat.conf
	install -D -m 644 deploy/tmpfiles.conf $(DESTDIR)$(TMPFILESDIR)/detnat.conf
	install -D -m 644 deploy/rt_protos.conf $(DESTDIR)$(RTPROTOSDIR)/detnat.conf
	install -D -m 644 deploy/completion/detnatctl.bash $(DESTDIR)$(COMPLETIONDIR)/detnatctl
	install -D -m 644 deploy/completion/_detnatctl $(DESTDIR)$(DATADIR)/zsh/site-functions/_detnatctl
	install -D -m 644 deploy/completion/detnatctl.fish $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/detnatctl.fish
# What documents link to beyond those that are installed beside them is in the package detnat-doc. `make lint` looks for dead links.
install-docs:
	install -D -m 644 docs/reference/detnat.schema.json $(DESTDIR)$(DOCDIR)/detnat.schema.json
	install -D -m 644 docs/reference/openapi.json $(DESTDIR)$(DOCDIR)/openapi.json
	install -D -m 644 deploy/detnat.json $(DESTDIR)$(DOCDIR)/detnat.json
	for file in $(GUIDES); do \
	    sed -E 's,\]\(\.\./([A-Za-z]),](../detnat-doc/docs/\1,g; s,\]\(\.\./\.\./,](../detnat-doc/,g' docs/guide/$$file > $(DESTDIR)$(DOCDIR)/$$file && \
	    chmod 644 $(DESTDIR)$(DOCDIR)/$$file || exit 1; \
	done
	for file in $(ROUTING) $(PROXIES); do install -D -m 644 $$file $(DESTDIR)$(DOCDIR)/$${file#deploy/} || exit 1; done
	for file in $(MONITORING); do install -D -m 644 deploy/$$file $(DESTDIR)$(DOCDIR)/$$file || exit 1; done
	for page in $(PAGES); do install -D -m 644 $$page $(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/} || exit 1; done
uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(SBINDIR)/detnat-agent $(DESTDIR)$(SBINDIR)/detnat-xdp $(DESTDIR)$(SBINDIR)/detnat-desk $(DESTDIR)$(SBINDIR)/detnat-leases \
	      $(DESTDIR)$(BINDIR)/detnatctl $(DESTDIR)$(COMPLETIONDIR)/detnatctl \
	      $(DESTDIR)$(DATADIR)/zsh/site-functions/_detnatctl $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/detnatctl.fish \
	      $(DESTDIR)$(DOCDIR)/detnat.schema.json $(DESTDIR)$(DOCDIR)/openapi.json \
	      $(addprefix $(DESTDIR)$(UNITDIR)/,$(SERVICES) $(SOCKETS)) \
	      $(addsuffix /detnat.conf,$(addprefix $(DESTDIR),$(SYSUSERSDIR) $(TMPFILESDIR) $(RTPROTOSDIR))) \
	      $(addprefix $(DESTDIR)$(DOCDIR)/,detnat.json $(GUIDES) $(MONITORING) $(ROUTING:deploy/%=%) $(PROXIES:deploy/%=%)) \
	      $(foreach page,$(PAGES),$(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(page)))/$(notdir $(page)))

# From a dry run: the commands are those that the rules above would run.
compile_commands.json: skeletons ## for clangd and other tools
	$(SAY) GEN $@
	$(Q)$(MAKE) --no-print-directory --always-make --dry-run programs $(BUILD)/tests/unit/run $(BUILD)/tests/bpf/run $(BUILD)/tests/bench/run | \
	    $(PYTHON) deploy/compile_commands.py > $@
clean: ## remove build/
	rm -rf build compile_commands.json
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9_.-]+:.*## / {printf "  make %-21s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# A source that has moved since a build directory was made: it is compiled from where it is now.
bpf/%.bpf.c: ;

-include $(shell find $(BUILD) $(SKEL) \( -name vm -o -name deb -o -name debian \) -prune -o -type f -name '*.d' -print 2>/dev/null)
