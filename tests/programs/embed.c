/*
 * embed.c - a C program with Python inside: embed TIMES CODE runs CODE in so many interpreters, one
 * after the other.
 */
#include <Python.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	int times = argc > 2 ? atoi(argv[1]) : 0;
	int failed = times == 0;

	for (int i = 0; i < times; i++) {
		Py_Initialize();
		failed |= PyRun_SimpleString(argv[2]) != 0;
		failed |= Py_FinalizeEx() != 0;
	}
	return failed;
}
