/*
 * watch.c - the one error of watch.h.
 */
#include "watch.h"

const char WATCH_STOPPED[] = "stopped";
