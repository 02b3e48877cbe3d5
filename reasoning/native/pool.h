/* A small pool of threads that share the items of one job at a time. */
#ifndef DESCANT_POOL_H
#define DESCANT_POOL_H

typedef struct Pool Pool;
typedef void (*Work)(void *job, int item, int worker);

/* `threads` counts the caller. NULL when memory is short; fewer threads than asked when the system refuses them. */
Pool *pool_new(int threads);
void pool_free(Pool *pool);
int pool_threads(const Pool *pool);

/* One caller at a time holds the pool; inside, any number of `pool_run`. */
void pool_enter(Pool *pool);
void pool_leave(Pool *pool);

/* Does items 0..items-1 and returns when all are done. `worker` is below `pool_threads`. */
void pool_run(Pool *pool, Work work, void *job, int items);

#endif
