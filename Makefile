# Everything made lies under build/.  What to type: make help
#   CC=clang   SAN=address|undefined|thread   PYTHON=/path/to/python3   PREFIX=   DESTDIR=
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 20
B := build$(if $(SAN),/san-$(SAN))
O := $(B)/obj

OPTIMIZE ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef
SANITIZE := $(if $(SAN),-fsanitize=$(SAN) -DHEAP_LIBC)
COMPILE = $(CC) -std=gnu11 -D_GNU_SOURCE -Ilibprof $(OPTIMIZE) -fno-omit-frame-pointer $(WARN) \
	$(SANITIZE) -pthread -MMD -MP $(CFLAGS)
LIBRARY_FLAGS := -fPIC -fvisibility=hidden -ftls-model=initial-exec -ffunction-sections \
	-fdata-sections -fstack-usage
LINK_LIBRARY := -shared -Wl,--exclude-libs,ALL -Wl,-z,defs -Wl,-z,now -Wl,-z,relro \
	-Wl,--gc-sections -Wl,-O1
ZLIB := -l:libz.a

LIB := $(patsubst %.c,$(O)/%.o,$(wildcard libprof/*.c collectors/*.c exporters/*.c))
JEMALLOC := $(if $(SAN),,$(O)/jemalloc.o)
CLI := $(patsubst %.c,$(O)/%.o,$(wildcard cli/*.c))
UNIT := $(patsubst %.c,$(B)/%,$(wildcard tests/unit/test_*.c))
E2E := $(patsubst %.c,$(B)/%,$(wildcard tests/e2e/test_*.c))
TOOLS := $(patsubst tests/tools/%.c,$(B)/tests/%,$(wildcard tests/tools/*.c))
FUZZ := $(patsubst %.c,$(B)/%,$(wildcard tests/fuzz/*.c))
MAN := $(patsubst %.in,$(B)/%,$(wildcard man/*.in))

all: $(B)/libmonprof.so $(if $(wildcard cli/*.c),$(B)/monprof)
tests: all $(B)/libprof.a $(UNIT) $(E2E) $(TOOLS)
man: $(MAN)

$(B)/libmonprof.so: $(LIB) $(JEMALLOC)
	$(CC) $(SANITIZE) $(LINK_LIBRARY) -o $@ $^ $(ZLIB)
$(B)/libprof.a: $(filter-out %/preload.o,$(LIB)) $(JEMALLOC)
	rm -f $@ && ar rcs $@ $^
# The command links the cold half only: what it needs of the archive.
$(B)/monprof: $(CLI) $(B)/libprof.a
	$(CC) $(SANITIZE) -Wl,--gc-sections -o $@ $^ $(ZLIB)
$(O)/jemalloc.o: libprof/jemalloc.sh
	@mkdir -p $(@D)
	sh $< $(CC) $@
$(O)/%.o: %.c
	@mkdir -p $(@D)
	$(COMPILE) $(LIBRARY_FLAGS) -c -o $@ $<

# What a directory of tests shares is every file that is not itself a test.  A test that defines
# __wrap_NAME gets its own NAME: ld --wrap.
SHARED = $(patsubst %.c,$(O)/%.o,$(filter-out $(1)/test_%,$(wildcard $(1)/*.c)))
WRAPS = $(shell sed -n 's/.*\<__wrap_\([a-z0-9_]*\).*/-Wl,--wrap=\1/p' $< | sort -u)
LINK_TEST = $(COMPILE) -MF $@.d -o $@ $(filter %.c %.o %.a,$^) $(WRAPS) $(ZLIB) -lcriterion
$(B)/tests/unit/%: tests/unit/%.c $(call SHARED,tests/unit) $(B)/libprof.a
	@mkdir -p $(@D)
	$(LINK_TEST)
$(B)/tests/e2e/%: tests/e2e/%.c $(call SHARED,tests/e2e) $(B)/libprof.a
	@mkdir -p $(@D)
	$(LINK_TEST)
$(B)/tests/%: tests/tools/%.c
	@mkdir -p $(@D)
	$(COMPILE) -MF $@.d -o $@ $<
$(B)/tests/%.so: tests/tools/%.so.c $(B)/libprof.a
	@mkdir -p $(@D)
	$(COMPILE) -MF $@.d -fPIC -fvisibility=hidden -shared -o $@ $(filter %.c %.a,$^) $(ZLIB)
$(B)/tests/fuzz/%: tests/fuzz/%.c $(B)/libprof.a
	@mkdir -p $(@D)
	$(COMPILE) -MF $@.d -fsanitize=fuzzer,address -o $@ $< $(B)/libprof.a $(ZLIB)

$(B)/man/%: man/%.in $(B)/monprof
	@mkdir -p $(@D)
	$(B)/monprof help --mdoc >$@.options
	sed -e '/^@OPTIONS@$$/{r $@.options' -e 'd}' $< >$@

check: ; sh tests/run quick
test: ; sh tests/run full
lint: all man ; sh tests/lint/run
pythons: ; sh tests/pythons fetch
demo: ; sh tests/demo
bench: tests ; sh bench/run
fuzz: ; $(MAKE) SAN=fuzzer-no-link,address B=build/fuzz CC=clang FUZZ_SECONDS=$(FUZZ_SECONDS) fuzz-run
fuzz-run: $(FUZZ) ; sh tests/fuzz/run $(FUZZ_SECONDS) $(FUZZ)
install: all man ; sh tests/tools/install "$(DESTDIR)$(PREFIX)" $(B)
uninstall: ; sh tests/tools/install -u "$(DESTDIR)$(PREFIX)"
clean: ; rm -rf $(filter-out build/pythons build/tools,$(wildcard build/*))
.PHONY: all tests man check test lint pythons demo bench fuzz fuzz-run install uninstall clean
.DELETE_ON_ERROR:
.SECONDARY:
-include $(shell find $(B) -name '*.d' -not -path '*/pythons/*' 2>/dev/null)
