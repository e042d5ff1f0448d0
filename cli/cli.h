/*
 * cli.h - monprof: one file per command, over recordings and profiles.
 *
 * A command gets the arguments from its own name on and returns the exit status: 0, 1 for what went wrong
 * with a file, 2 for what is wrong with the arguments.  Only here stdio is used.
 */
#ifndef CLI_H
#define CLI_H

#include "exporter.h"
#include "options.h"
#include "prof.h"

enum cli_status { CLI_GOOD, CLI_FAILED, CLI_USAGE };

/* Rows of exporters.def, ended by a NULL name. tool */
extern const struct exporter cli_exporters[];

int cli_dump(int argc, char **argv);
int cli_export(int argc, char **argv);
int cli_help(int argc, char **argv);
int cli_report(int argc, char **argv);
int cli_run(int argc, char **argv);

/* One line to stderr; returns CLI_USAGE or CLI_FAILED. tool */
int cli_usage(const char *format, ...) PROF_PRINTF(1, 2);
int cli_fail(const char *file, const char *reason);
/* What has been printed reached stdout: CLI_GOOD, or CLI_FAILED with its line. tool */
int cli_finish(void);

/* --cpu-hz and cpu_hz to the row of CPU_HZ; OPTION_COUNT: there is none. name_bytes of `name` count. tool */
enum option_id cli_option(const char *name, size_t name_bytes);
/* "--cpu-hz" of a row into buffer, which is returned. tool */
const char *cli_option_name(enum option_id id, char *buffer, size_t size_bytes);

#endif
