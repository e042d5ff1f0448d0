/*
 * python.h - the Python under test, and what can be done with it.
 */
#ifndef PYTHON_H
#define PYTHON_H

#include "run.h"

/* Its path: TEST_PYTHON, or python3.12 of PATH. */
const char *python_path(void);
/* 12 for Python 3.12. */
int python_minor(void);
/* What an expression is, as text: python_value("sys.executable"). sys, sysconfig, os are there. */
char *python_value(struct run *run, const char *expression);
/* Compile a C host or library of tests/programs against it into the run's root; NULL: it has no headers,
   or no library to link. `extra` are more compiler options, NULL for none. */
const char *python_host(struct run *run, const char *source, const char *extra);
/* A Python in a tree of its own: no compiler, other files at the same paths. */
bool python_in_chroot(struct run *run);

#endif
