#include "command.h"

TestSuite(cli_dump, .fini = remove_scratch);

Test(cli_dump, arguments_that_are_wrong)
{
	check_usage("dump", "PID is missing");
	check_usage("dump -f collapsed", "PID is missing");
	check_usage("dump python", "'python' is not a process id");
	check_usage("dump 1 -1", "-1");
	check_usage("dump 12x", "'12x' is not a process id");
	check_usage("dump ''", "'' is not a process id");
	check_usage("dump 1 +1", "'+1' is not a process id");
	check_usage("dump -f colapsed 1", "colapsed");
	check_usage("dump -f none 1", "none");
	check_usage("dump -f '' 1", "not a list of formats");
	check_usage("dump 1 -f", "'-f'");
	check_usage("dump -w 10 1", "--wait 10");
	check_usage("dump --wait soon 1", "--wait soon");
	check_usage("dump --wait -1s 1", "--wait -1s");
	check_usage("dump --frobnicate 1", "'--frobnicate'");
}

Test(cli_dump, formats_that_are_too_many_to_ask_for)
{
	char arguments[640] = "dump -f ";

	for (unsigned i = 0; i < 60; i++)
		strcat(arguments, "collapsed,");
	strcat(arguments, "json 1");
	check_usage(arguments, "not a list of formats");
}

Test(cli_dump, processes_that_are_not_there)
{
	check_failure("dump 0", "0", "there is no such process");
	check_failure("dump 4294967295", "4294967295", "there is no such process");
	check_failure("dump 123456789012345678901234567890", "123456789012345678901234567890",
		      "there is no such process");
}

/* The test's own: nothing of ours is in it. */
Test(cli_dump, a_process_that_is_not_profiled)
{
	char arguments[64], pid[32];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(arguments, sizeof(arguments), "dump %s", pid);
	check_failure(arguments, pid, "it is not profiled");
}
