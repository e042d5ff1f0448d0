/*
 * pprof_reader.c - the command's reader of pprof files, for the tests of the writer.
 */
#include "../../cli/pprof_read.c"
