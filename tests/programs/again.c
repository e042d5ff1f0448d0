/*
 * again.c - a C program that has Python several times, one after the other, and uses in each life what
 * the library has a part in: again TIMES CODE. In between and at the end it works without Python.
 */
#include <Python.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t signals;

static void count(int number)
{
	(void)number;
	signals++;
}

static void *work(void *unused)
{
	struct timespec now;

	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while (now.tv_nsec < 50000000);
	return unused;
}

/* An interpreter beside the main one, with a GIL of its own. 1: it failed. */
static int beside(const char *code)
{
	PyInterpreterConfig config = {
		.check_multi_interp_extensions = 1,
		.gil = PyInterpreterConfig_OWN_GIL,
	};
	PyThreadState *main_state = PyThreadState_Get(), *state = NULL;
	PyStatus status = Py_NewInterpreterFromConfig(&state, &config);
	int failed;

	if (PyStatus_Exception(status))
		return 1;
	failed = PyRun_SimpleString(code) != 0;
	Py_EndInterpreter(state);
	PyThreadState_Swap(main_state);
	return failed;
}

/* Threads, children and the library's signal, where there is no Python. */
static int without(void)
{
	pthread_t thread;
	int before = signals, status = 1;
	pid_t child;

	signal(SIGURG, count);
	raise(SIGURG);
	if (pthread_create(&thread, NULL, work, NULL) || pthread_join(thread, NULL))
		return 1;
	child = fork();
	if (child == 0)
		_exit(0);
	waitpid(child, &status, 0);
	signal(SIGURG, SIG_DFL);
	return status || signals != before + 1;
}

int main(int argc, char **argv)
{
	int times = argc > 2 ? atoi(argv[1]) : 0;
	int failed = times == 0;

	for (int i = 0; i < times; i++) {
		Py_Initialize();
		failed |= PyRun_SimpleString(argv[2]) != 0;
		failed |= beside("print('beside')");
		failed |= Py_FinalizeEx() != 0;
		failed |= without();
	}
	return failed;
}
