/*
 * pyapi.c - every CPython symbol that we use, found once by dlsym.
 *
 * pyapi.def is expanded twice: into the members of struct pyapi, and here into a table of (name,
 * place in the struct, needed).  Loading is a loop over the table.  The version is read first, from
 * the data symbol Py_Version (since 3.11), so that an old CPython gets a sentence about its age and
 * not about the first symbol that it lacks.
 */
#include "pyapi.h"

#include "log.h"

#include <dlfcn.h>
#include <string.h>

static struct {
	uint32_t version;
	bool loaded;
	char error[96];
} state;

struct pyapi py;

struct row {
	const char *name;
	size_t offset;
	bool needed;
};

static const struct row rows[] = {
#define PYAPI(result, name, arguments) { #name, offsetof(struct pyapi, name), true },
#define PYAPI_MAYBE(result, name, arguments) { #name, offsetof(struct pyapi, name), false },
#define PYDATA(type, name) { #name, offsetof(struct pyapi, name), true },
#include "pyapi.def"
#undef PYAPI
#undef PYAPI_MAYBE
#undef PYDATA
};

static errmsg check_version(void *handle);

errmsg pyapi_load(void *handle)
{
	struct pyapi found = { 0 };
	errmsg error = check_version(handle);
	if (error)
		return error;
	for (size_t i = 0; i < PROF_COUNT(rows); i++) {
		void *address = dlsym(handle, rows[i].name);
		if (!address && rows[i].needed) {
			log_format(state.error, sizeof(state.error),
				   "this CPython has no %s: not profiled", rows[i].name);
			return state.error;
		}
		/* ISO C has no conversion from void * to a function pointer; POSIX has one */
		memcpy((char *)&found + rows[i].offset, &address, sizeof(address));
	}
	py = found;
	state.loaded = true;
	return NULL;
}

bool pyapi_loaded(void)
{
	return state.loaded;
}

uint32_t pyapi_version(void)
{
	return state.version;
}

static errmsg check_version(void *handle)
{
	const unsigned long *version = dlsym(handle, "Py_Version");
	if (!version)
		return "this CPython is older than 3.12: not profiled";
	state.version = (uint32_t)*version;
	if (state.version >= PYAPI_OLDEST)
		return NULL;
	log_format(state.error, sizeof(state.error),
		   "CPython %u.%u is older than 3.12: not profiled", state.version >> 24,
		   state.version >> 16 & 0xff);
	return state.error;
}
