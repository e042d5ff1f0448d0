/*
 * task.h - the threads of this process as the kernel lists them: who is new, who is gone, what they are
 * called.  The drainer's eyes on /proc/self/task.
 *
 * A thread that is listed and not in our table is adopted when it is seen a second time: one that is
 * just being born through pthread_create gets into the table by itself.
 */
#ifndef TASK_H
#define TASK_H

#include "prof.h"
#include "thread.h"

/* A session begins: the first two scans find the threads that are older than it. drainer */
void task_begin(void);
/* A scan is due at the next task_scan. drainer */
void task_wanted(void);
/* If one is due, look: `adopted` is called for each thread taken in, those that are gone are DEAD
   from here on. drainer */
void task_scan(void (*adopted)(struct thread *thread));
/* Was our own thread the only one that ran, at the last scan? drainer */
bool task_alone(void);
/* Refresh thread->known_name; true if it has changed. drainer */
bool task_name(struct thread *thread);

#endif
