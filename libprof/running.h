/*
 * running.h - the collectors that run: each hook of each of them, in order of their rows.
 *
 * What collector.h says of a hook holds for the function of its name here.  Where a hook answers, the answers
 * are summed up as the function's comment says.
 */
#ifndef RUNNING_H
#define RUNNING_H

#include "collector.h"

/* Mask of rows. setup */
void running_select(uint32_t mask);

void running_thread_begin(struct thread *thread);
void running_thread_end(struct thread *thread);
void running_thread_gone(struct thread *thread);
void running_drainer_begin(bool own_descriptors);
void running_drainer_end(void);
void running_pass(uint64_t time_ns);
void running_write(const struct collector_writer *writer);
void running_interpreter_begin(unsigned interpreter);
void running_interpreter_end(unsigned interpreter);
void running_burst_asked(unsigned interpreter);
void running_burst(unsigned interpreter);
void running_flush(uint64_t time_ns, collector_note *note);
void running_renew(uint64_t time_ns);
void running_stop(void);
void running_leave(void);
void running_after_fork(void);

/* The first that takes it. signal */
bool running_tick(const siginfo_t *info, void *context);
/* Is it so for any? drainer */
bool running_wants_burst(unsigned interpreter);
/* The earliest. drainer */
uint64_t running_due_ns(void);
uint64_t running_holds_ns(void);
/* Does any follow? drainer */
bool running_rate(double factor);
/* Of those that did not, the last time. drainer */
uint64_t running_kept_cost_ns(void);
/* The sum. drainer */
uint64_t running_cost_ns(void);
uint64_t running_remainder(enum metric metric, uint64_t own_ns);

#endif
