/*
 * symbol_module.c - which module a file is, from its place on sys.path.
 *
 *   file      made absolute and plain, as os.path.abspath does
 *   on path   under the longest sys.path entry that it lies below: the rest, dots for slashes
 *   else      it and the directories above it that have an __init__.py; looked up once a directory
 *   suffix    .py and .pyc go, and a last __init__: the package itself
 *
 * Names alone decide, so zip files on sys.path and files that are gone are named too.
 */
#include "heap.h"
#include "os.h"
#include "symbol.h"

#include <string.h>
#include <unistd.h>

#define DIRECTORIES_LOG2 8
#define INIT "/__init__.py"
#define SLASHES 3 /* before each of two names, and what ends the text */

/* Where the outermost package that holds a directory begins. */
struct directory {
	char *name;
	size_t root_bytes; /* of name: what is above the package */
};

static struct {
	/* pages of their own: the heap begins in our thread, not while the program waits */
	char **paths; /* absolute, without a slash at the end; what they and cwd point to comes behind */
	size_t path_count, pages_bytes;
	char *cwd;
	/* the drainer's: by hash of the name, the last one that came */
	struct directory directories[1u << DIRECTORIES_LOG2];
} state;

static size_t synthetic_module(const char *file, char *module, size_t module_bytes);
static size_t make_absolute(const char *file, char *absolute, size_t room_bytes);
static size_t below_path(const char *absolute);
static size_t below_package(const char *absolute);
static size_t climb(const char *directory, size_t size_bytes);
static size_t dotted(const char *rest, char *module, size_t module_bytes);

void symbol_set_path(const char *const *paths, size_t count, const char *cwd)
{
	size_t cwd_bytes = strlen(cwd) + 1, texts_bytes = cwd_bytes;
	for (size_t i = 0; i < count; i++)
		texts_bytes += cwd_bytes + strlen(paths[i]) + SLASHES;
	os_pages_unmap(state.paths, state.pages_bytes);
	state.path_count = 0;
	state.cwd = NULL;
	state.pages_bytes = count * sizeof(*state.paths) + texts_bytes;
	state.paths = os_pages_map(state.pages_bytes);
	if (!state.paths)
		return;
	state.cwd = memcpy(state.paths + count, cwd, cwd_bytes);
	char *at = state.cwd + cwd_bytes;
	for (size_t i = 0; i < count; i++) {
		size_t room_bytes = cwd_bytes + strlen(paths[i]) + SLASHES;
		state.paths[state.path_count++] = at;
		at += make_absolute(paths[i], at, room_bytes) + 1;
	}
}

size_t symbol_module(const char *file, char *module, size_t module_bytes, char *absolute,
		     size_t absolute_bytes)
{
	module[0] = absolute[0] = '\0';
	if (file[0] == '<' || !file[0]) {
		size_t bytes = strlen(file);
		bytes = bytes < absolute_bytes ? bytes : absolute_bytes - 1;
		memcpy(absolute, file, bytes);
		absolute[bytes] = '\0';
		return synthetic_module(file, module, module_bytes);
	}
	make_absolute(file, absolute, absolute_bytes);
	size_t root_bytes = below_path(absolute);
	if (!root_bytes)
		root_bytes = below_package(absolute);
	return dotted(absolute + root_bytes, module, module_bytes);
}

/* "<frozen a.b>" is a.b; "<string>" and its like are their own module. */
static size_t synthetic_module(const char *file, char *module, size_t module_bytes)
{
	static const char frozen[] = "<frozen ";
	size_t bytes = strlen(file), skipped = sizeof(frozen) - 1;
	if (bytes > skipped + 1 && memcmp(file, frozen, skipped) == 0 && file[bytes - 1] == '>') {
		file += skipped;
		bytes -= skipped + 1;
	}
	bytes = bytes < module_bytes ? bytes : module_bytes - 1;
	memcpy(module, file, bytes);
	module[bytes] = '\0';
	return bytes;
}

/* Absolute, without empty, "." and ".." parts; symbolic links are left as they are. */
static size_t make_absolute(const char *file, char *absolute, size_t room_bytes)
{
	const char *sources[] = { file[0] == '/' || !state.cwd ? "" : state.cwd, file };
	size_t used = 0;
	for (size_t i = 0; i < PROF_COUNT(sources); i++) {
		for (const char *part = sources[i]; *part;) {
			size_t bytes = strcspn(part, "/");
			bool up = bytes == 2 && part[0] == '.' && part[1] == '.';
			bool stay = bytes == 0 || (bytes == 1 && part[0] == '.');
			while (up && used && absolute[--used] != '/')
				;
			if (used + 1 + bytes >= room_bytes)
				break;
			if (!up && !stay) {
				absolute[used] = '/';
				memcpy(absolute + used + 1, part, bytes);
				used += 1 + bytes;
			}
			part += bytes + (part[bytes] == '/');
		}
	}
	if (!used)
		absolute[used++] = '/';
	absolute[used] = '\0';
	return used;
}

/* Bytes of the longest sys.path entry above the file, with its slash; 0: none. */
static size_t below_path(const char *absolute)
{
	size_t longest = 0;
	for (size_t i = 0; i < state.path_count; i++) {
		const char *path = state.paths[i];
		size_t bytes = path[1] ? strlen(path) : 0;
		if (bytes >= longest && strncmp(absolute, path, bytes) == 0 &&
		    absolute[bytes] == '/')
			longest = bytes + 1;
	}
	return longest;
}

static size_t below_package(const char *absolute)
{
	size_t bytes = (size_t)(strrchr(absolute, '/') - absolute);
	uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ (unsigned char)absolute[i]) * 0x100000001b3u;
	struct directory *known = &state.directories[hash >> (64 - DIRECTORIES_LOG2)];
	if (!known->name || strlen(known->name) != bytes ||
	    memcmp(known->name, absolute, bytes) != 0) {
		heap_free(known->name);
		known->root_bytes = climb(absolute, bytes);
		known->name = heap_alloc(bytes + 1);
		if (known->name) {
			memcpy(known->name, absolute, bytes);
			known->name[bytes] = '\0';
		}
	}
	return known->root_bytes;
}

/* Up from a directory while it is a package: bytes of what is above, with its slash. */
static size_t climb(const char *directory, size_t size_bytes)
{
	char init[4096];
	while (size_bytes && size_bytes + sizeof(INIT) <= sizeof(init)) {
		memcpy(init, directory, size_bytes);
		memcpy(init + size_bytes, INIT, sizeof(INIT));
		if (access(init, F_OK) != 0)
			break;
		while (size_bytes && directory[--size_bytes] != '/')
			;
	}
	return size_bytes + 1;
}

/* "a/b/__init__.py" is a.b. */
static size_t dotted(const char *rest, char *module, size_t module_bytes)
{
	static const char *const endings[] = { ".pyc", ".py", "/__init__" };
	size_t bytes = strlen(rest);
	for (size_t i = 0; i < PROF_COUNT(endings); i++) {
		size_t ending_bytes = strlen(endings[i]);
		if (bytes > ending_bytes &&
		    memcmp(rest + bytes - ending_bytes, endings[i], ending_bytes) == 0)
			bytes -= ending_bytes;
	}
	bytes = bytes < module_bytes ? bytes : module_bytes - 1;
	for (size_t i = 0; i < bytes; i++)
		module[i] = rest[i] == '/' ? '.' : rest[i];
	module[bytes] = '\0';
	return bytes;
}
