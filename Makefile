# Everything made lies under build/.
#
#   make                the library and the command      make demo    see it work
#   make check          quick tests, one Python          make test    all tests, every Python
#   make lint  format  bench  fuzz  hunt  pythons  install  uninstall  clean
#   make check-cpython  CPython's own tests with and without us, TESTS=all or names
#
# CC=clang  SAN=address|undefined|thread|valgrind  PYTHON=/path/to/python3  PREFIX=/usr/local  DESTDIR=
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX ?= /usr/local
ROOT = $(DESTDIR)$(PREFIX)
FUZZ_SECONDS ?= 20
B := build$(if $(SAN),/san-$(SAN))
O := $(B)/obj

CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
SANITIZE := $(if $(SAN),$(if $(filter valgrind,$(SAN)),-DUNDER_VALGRIND,-fsanitize=$(SAN)) -DHEAP_LIBC)
COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE -iquote libprof $(WARN) $(CFLAGS) -fno-omit-frame-pointer \
	$(SANITIZE) -pthread -MMD -MP
LIBRARY_FLAGS := -fPIC -fvisibility=hidden -ftls-model=initial-exec -ffunction-sections \
	-fdata-sections -fstack-usage
LINK_LIBRARY := -shared -Wl,--exclude-libs,ALL -Wl,-z,defs -Wl,-z,now -Wl,-z,relro \
	-Wl,--gc-sections -Wl,-O1
ZLIB := -l:libz.a

LIB := $(patsubst %.c,$(O)/%.o,$(wildcard libprof/*.c collectors/*.c exporters/*.c))
PAGE := $(O)/exporters/flamegraph/page
LIB += $(PAGE).o
JEMALLOC := $(if $(SAN),,$(O)/jemalloc.o)
CLI := $(patsubst %.c,$(O)/%.o,$(wildcard cli/*.c))
UNIT := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
PLAIN := $(filter thread valgrind,$(SAN))
E2E := $(if $(PLAIN),,$(patsubst %.c,$(B)/%,$(wildcard tests/e2e/test_*.c)))
TOOLS := $(patsubst tests/tools/%.c,$(B)/tests/%,$(wildcard tests/tools/*.c))
# Debian's, or another; without one its tests are skipped.
GO := $(firstword $(wildcard /usr/lib/go-*/bin/go) $(shell command -v go))
TOOLS += $(if $(GO),$(if $(SAN),,$(B)/tests/go_library.so))
FUZZ := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/*.c))
MAN := $(patsubst %.in,$(B)/%,$(wildcard man/*.in))

all: $(B)/libmonprof.so $(if $(wildcard cli/*.c),$(B)/monprof)
tests: all $(B)/libprof.a $(UNIT) $(E2E) $(TOOLS)
man: $(MAN)

$(B)/libmonprof.so: $(LIB) $(JEMALLOC)
	$(CC) $(SANITIZE) $(LINK_LIBRARY) -o $@ $^ $(ZLIB)
# Names of files may be the same in two directories: members are appended, none replaced.
$(B)/libprof.a: $(filter-out $(O)/libprof/preload%,$(LIB)) $(JEMALLOC)
	rm -f $@ && ar qcs $@ $^
# The command links the cold half only: what it needs of the archive, which comes after libc, so that
# what we interpose in others is not interposed here.
$(B)/monprof: $(CLI) $(B)/libprof.a
	$(CC) $(SANITIZE) -Wl,--gc-sections -o $@ $(CLI) -lc $(B)/libprof.a $(ZLIB)
$(O)/jemalloc.o: libprof/jemalloc.sh
	@mkdir -p $(@D)
	sh $< $(CC) $@
$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) $(LIBRARY_FLAGS) -c -o $@ $<
$(PAGE).o: $(wildcard exporters/flamegraph/*)
	@mkdir -p $(@D)
	sh exporters/flamegraph/assemble.sh exporters/flamegraph $(PAGE)
	$(CC) -c -Wa,-I$(@D) -o $@ exporters/flamegraph/page.S
# What a directory of tests shares is every file that is not itself a test.  A test that defines
# __wrap_NAME gets its own NAME: ld --wrap.
SHARED = $(patsubst %.c,$(O)/%.o,$(filter-out $(1)/test_%,$(wildcard $(1)/*.c)))
WRAPS = $(shell sed -n 's/.*\<__wrap_\([a-z0-9_]*\).*/-Wl,--wrap=\1/p' $< | sort -u)
LINK_TEST = $(COMPILE) -MF $@.d -o $@ $(filter %.c %.o,$^) $(WRAPS) \
	$(if $(PLAIN),-Itests/tools/plain,-lcriterion)
$(B)/tests/unit/%: tests/unit/%.c $(call SHARED,tests/unit) $(B)/libprof.a
	@mkdir -p $(@D)
	$(LINK_TEST) $(B)/libprof.a $(ZLIB)
$(B)/tests/unit/test_progress: $(O)/cli/progress.o
$(B)/tests/unit/test_pprof_profile: $(O)/cli/pprof_profile.o
$(B)/tests/e2e/%: tests/e2e/%.c $(call SHARED,tests/e2e) $(B)/libprof.a
	@mkdir -p $(@D)
	$(LINK_TEST) -lc $(B)/libprof.a $(ZLIB)
$(B)/tests/go_library.so: tests/programs/go_library.go
	@mkdir -p $(@D)
	GO111MODULE=off GOCACHE=$(CURDIR)/build/tools/go-cache $(GO) build -buildmode=c-shared -o $@ $<
$(B)/tests/%: tests/tools/%.c
	@mkdir -p $(@D)
	$(COMPILE) -MF $@.d -o $@ $<
$(B)/tests/%.so: tests/tools/%.so.c $(B)/libprof.a
	@mkdir -p $(@D)
	$(COMPILE) -MF $@.d -fPIC -fvisibility=hidden -shared -o $@ $(filter %.c %.a,$^) $(ZLIB)
$(B)/tests/fuzz/%: tests/fuzz/%.c $(B)/libprof.a
	@mkdir -p $(@D)
	$(COMPILE) -MF $@.d -fsanitize=fuzzer,address -o $@ $< $(WRAPS) -lc $(B)/libprof.a $(ZLIB)
$(B)/man/%: man/%.in $(B)/monprof
	@mkdir -p $(@D)
	$(B)/monprof help --mdoc >$@.options
	sed -e '/^@OPTIONS@$$/{r $@.options' -e 'd}' $< >$@

check: ; B=$(B) sh tests/run quick
test: ; B=$(B) sh tests/run full
check-cpython: all $(B)/tests/enter
	"$$(sh tests/pythons list | sed -n '1s/.*	//p')" tests/cpython --library $(B)/libmonprof.so $(TESTS)
lint: tests man ; sh tests/lint/run
format: ; find libprof collectors exporters cli tests bench -name '*.[ch]' | xargs clang-format -i
pythons: $(B)/tests/enter ; sh tests/install pythons && sh tests/pythons fetch && sh tests/pythons list
demo: ; sh tests/demo
bench: tests ; bench/run
fuzz: ; $(MAKE) B=build/fuzz SAN=fuzzer-no-link,address CC=clang fuzz-run
fuzz-run: $(FUZZ) ; set -e; for fuzz in $^; do echo $$fuzz; mkdir -p $$fuzz.corpus; $$fuzz -verbosity=0 \
	-max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1500 -malloc_limit_mb=64 -artifact_prefix=$$fuzz- \
	$$fuzz.corpus; done
hunt: tests ; B=$(B) PYTHON=$(PYTHON) RUNS=$(RUNS) SECONDS=$(SECONDS) SEED=$(SEED) FIRST=$(FIRST) tests/hunt
install: all man
	install -D -m 755 $(B)/libmonprof.so $(ROOT)/lib/libmonprof.so
	install -D -m 755 $(B)/monprof $(ROOT)/bin/monprof
	for page in $(MAN); do install -D -m 644 -t $(ROOT)/share/man/man$${page##*.} $$page; done
uninstall:
	rm -f $(ROOT)/lib/libmonprof.so $(ROOT)/bin/monprof \
		$(foreach page,$(notdir $(MAN)),$(ROOT)/share/man/man*/$(page))
clean: ; rm -rf $(filter-out build/pythons build/tools,$(wildcard build/*))
.PHONY: all tests man check check-cpython test lint format pythons demo bench fuzz fuzz-run hunt install uninstall clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(B) -path build/pythons -prune -o -name '*.d' -print 2>/dev/null)
