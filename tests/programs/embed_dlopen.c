/*
 * embed_dlopen.c - a C program that finds out late that it wants Python:
 * embed_dlopen LIBRARY local|global CODE.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	void (*initialize)(void);
	int (*run)(const char *code, void *flags);
	int (*finalize)(void);
	void *library;

	if (argc != 4)
		return 2;
	library =
		dlopen(argv[1], RTLD_NOW | (strcmp(argv[2], "global") ? RTLD_LOCAL : RTLD_GLOBAL));
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	*(void **)&initialize = dlsym(library, "Py_Initialize");
	*(void **)&run = dlsym(library, "PyRun_SimpleStringFlags");
	*(void **)&finalize = dlsym(library, "Py_FinalizeEx");
	if (!initialize || !run || !finalize)
		return 1;
	initialize();
	if (run(argv[3], NULL))
		return 1;
	return finalize();
}
