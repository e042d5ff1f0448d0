/*
 * profile_origin.c - whose code a function is, by the place of its file alone.
 *
 *   kind NATIVE, without a file                  C, known by name
 *   kind NATIVE, with a file                     native code of an executable or a library
 *   .../site-packages/..., dist-packages         installed by pip or a distribution
 *   .../lib(64)/python3.N[t]/..., python3N.zip   the standard library (sysconfig's scheme, and its zip)
 *   <frozen name>                                the standard library's, frozen into the interpreter
 *   everything else, <string> and its like too   the program
 *
 * A virtual environment's packages lie in its own lib/python3.N/site-packages, so packages are looked for
 * first.  Nothing is asked of the file system: a recording is read where its program never was.
 */
#include "profile.h"

#include <string.h>

static enum profile_origin origin_of_path(const char *path);
static bool is_part(const char *part, size_t size_bytes, const char *name);
static bool is_library(const char *part, size_t size_bytes, bool is_in_lib);
static size_t digits(const char *at, const char *end);

enum profile_origin profile_origin(const struct profile *profile,
				   const struct profile_function *function)
{
	static const char frozen[] = "<frozen ";
	const char *file = profile_string(profile, function->file);

	if (function->kind == RECORDING_MARKER)
		return PROFILE_MARKER;
	if (function->kind == RECORDING_NATIVE)
		return *file ? PROFILE_NATIVE : PROFILE_C;
	if (strncmp(file, frozen, sizeof(frozen) - 1) == 0)
		return PROFILE_STANDARD;
	return origin_of_path(file);
}

const char *profile_origin_name(enum profile_origin origin)
{
	static const char *const names[] = {
		[PROFILE_PROGRAM] = "program",	     [PROFILE_STANDARD] = "standard library",
		[PROFILE_PACKAGE] = "site-packages", [PROFILE_C] = "C",
		[PROFILE_NATIVE] = "native code",    [PROFILE_MARKER] = "profiler",
	};

	return names[origin];
}

/* The directories above the file, from the root; its own name is none. */
static enum profile_origin origin_of_path(const char *path)
{
	enum profile_origin origin = PROFILE_PROGRAM;
	bool is_in_lib = false;

	for (const char *slash; (slash = strchr(path, '/')); path = slash + 1) {
		size_t bytes = (size_t)(slash - path);

		if (is_part(path, bytes, "site-packages") || is_part(path, bytes, "dist-packages"))
			return PROFILE_PACKAGE;
		if (is_library(path, bytes, is_in_lib))
			origin = PROFILE_STANDARD;
		is_in_lib = bytes >= 3 && memcmp(path, "lib", 3) == 0;
	}
	return origin;
}

static bool is_part(const char *part, size_t size_bytes, const char *name)
{
	return size_bytes == strlen(name) && memcmp(part, name, size_bytes) == 0;
}

/* "python3.13" or "python3.13t" below lib, "python313.zip" anywhere. */
static bool is_library(const char *part, size_t size_bytes, bool is_in_lib)
{
	static const char python[] = "python3";
	const char *at = part + sizeof(python) - 1, *end = part + size_bytes;
	bool has_point;

	if (size_bytes < sizeof(python) || memcmp(part, python, sizeof(python) - 1) != 0)
		return false;
	has_point = *at == '.';
	at += has_point;
	if (digits(at, end) == 0)
		return false;
	at += digits(at, end);
	if (!has_point)
		return is_part(at, (size_t)(end - at), ".zip");
	return is_in_lib && (at == end || (*at == 't' && at + 1 == end));
}

static size_t digits(const char *at, const char *end)
{
	size_t count = 0;

	while (at + count < end && at[count] >= '0' && at[count] <= '9')
		count++;
	return count;
}
