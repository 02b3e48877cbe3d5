/* Threads take items from an atomic counter, so a core that is busy with something else does fewer of them, and a
 * phase ends when its items are done, not when every thread has shown up.
 *
 * `ticket` holds the phase in its upper half and the next item in its lower half. An item is taken by compare-exchange
 * on both: a thread that slept through a phase cannot take an item with an old job in its hands. */
#define _GNU_SOURCE
#include "pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "waiting.h"

#define CLOSED 0xffffffffu

typedef struct {
    Pool *pool;
    int number;
    pthread_t thread;
} Worker;

struct Pool {
    _Alignas(64) _Atomic uint64_t ticket;
    _Alignas(64) _Atomic uint32_t done;
    _Atomic uint32_t caller_sleeps;
    _Alignas(64) _Atomic(Work) work;
    _Atomic(void *) job;
    _Atomic uint32_t items;
    _Alignas(64) _Atomic uint32_t wake;
    _Atomic uint32_t sleepers;
    _Atomic int stopping;
    pthread_mutex_t turn;
    pid_t owner;
    int threads;
    Worker workers[];
};

static int has_items(Pool *pool) {
    return (uint32_t)atomic_load(&pool->ticket) < atomic_load(&pool->items);
}

/* Does items until none is left. */
static void take_items(Pool *pool, int worker) {
    for (;;) {
        uint64_t ticket = atomic_load(&pool->ticket);
        uint32_t items = atomic_load(&pool->items);
        Work work = atomic_load(&pool->work);
        void *job = atomic_load(&pool->job);
        if ((uint32_t)ticket >= items) return;
        if (!atomic_compare_exchange_strong(&pool->ticket, &ticket, ticket + 1)) continue;
        work(job, (int)(uint32_t)ticket, worker);
        if (atomic_fetch_add(&pool->done, 1) + 1 == items && atomic_load(&pool->caller_sleeps)) wake_all(&pool->done);
    }
}

static void sleep_until_woken(Pool *pool) {
    uint32_t before = atomic_load(&pool->wake);
    atomic_fetch_add(&pool->sleepers, 1);
    if (!has_items(pool) && !atomic_load(&pool->stopping)) sleep_on(&pool->wake, before);
    atomic_fetch_sub(&pool->sleepers, 1);
}

static void *live(void *argument) {
    Worker *self = argument;
    Pool *pool = self->pool;
    uint64_t idle_since = ticks();
    while (!atomic_load(&pool->stopping)) {
        if (has_items(pool)) {
            take_items(pool, self->number);
            idle_since = ticks();
        } else if (ticks() - idle_since < SPIN_TICKS) {
            pause_briefly();
        } else {
            sleep_until_woken(pool);
            idle_since = ticks();
        }
    }
    return NULL;
}

/* Threads do not survive a fork: the child's first use starts its own. */
static void start_workers(Pool *pool, int threads) {
    pool->owner = getpid();
    atomic_store(&pool->sleepers, 0);
    atomic_store(&pool->ticket, CLOSED);
    pool->threads = 1;
    for (int i = 1; i < threads; i++) {
        pool->workers[i] = (Worker){.pool = pool, .number = i};
        if (pthread_create(&pool->workers[i].thread, NULL, live, &pool->workers[i])) break;
        pool->threads++;
    }
}

Pool *pool_new(int threads) {
    if (threads < 1) threads = 1;
    size_t size = sizeof(Pool) + (size_t)threads * sizeof(Worker);
    Pool *pool = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!pool) return NULL;
    atomic_init(&pool->ticket, CLOSED);
    atomic_init(&pool->done, 0);
    atomic_init(&pool->caller_sleeps, 0);
    atomic_init(&pool->work, NULL);
    atomic_init(&pool->job, NULL);
    atomic_init(&pool->items, 0);
    atomic_init(&pool->wake, 0);
    atomic_init(&pool->sleepers, 0);
    atomic_init(&pool->stopping, 0);
    pthread_mutex_init(&pool->turn, NULL);
    start_workers(pool, threads);
    return pool;
}

void pool_free(Pool *pool) {
    if (!pool) return;
    if (pool->owner == getpid()) {
        atomic_store(&pool->stopping, 1);
        atomic_fetch_add(&pool->wake, 1);
        wake_all(&pool->wake);
        for (int i = 1; i < pool->threads; i++) pthread_join(pool->workers[i].thread, NULL);
    }
    pthread_mutex_destroy(&pool->turn);
    free(pool);
}

int pool_threads(const Pool *pool) { return pool->threads; }

void pool_enter(Pool *pool) {
    if (pool->owner != getpid()) {
        pthread_mutex_init(&pool->turn, NULL);
        start_workers(pool, pool->threads);
    }
    pthread_mutex_lock(&pool->turn);
}

void pool_leave(Pool *pool) { pthread_mutex_unlock(&pool->turn); }

static void wait_for_last(Pool *pool, uint32_t items) {
    uint64_t since = ticks();
    uint32_t done;
    while ((done = atomic_load(&pool->done)) != items) {
        if (ticks() - since < SPIN_TICKS) {
            pause_briefly();
            continue;
        }
        /* The last item's thread has lost its core: sleeping may give it this one. */
        atomic_store(&pool->caller_sleeps, 1);
        if ((done = atomic_load(&pool->done)) != items) sleep_on(&pool->done, done);
        atomic_store(&pool->caller_sleeps, 0);
    }
}

void pool_run(Pool *pool, Work work, void *job, int items) {
    if (items <= 0) return;
    if (items == 1 || pool->threads == 1) {
        for (int i = 0; i < items; i++) work(job, i, 0);
        return;
    }
    uint64_t phase = (atomic_load(&pool->ticket) >> 32) + 1;
    /* Closed first: whoever still holds the last phase's ticket must not read the new job with it. */
    atomic_store(&pool->ticket, phase << 32 | CLOSED);
    atomic_store(&pool->work, work);
    atomic_store(&pool->job, job);
    atomic_store(&pool->done, 0);
    atomic_store(&pool->items, (uint32_t)items);
    atomic_store(&pool->ticket, (phase + 1) << 32);
    if (atomic_load(&pool->sleepers)) {
        atomic_fetch_add(&pool->wake, 1);
        wake_all(&pool->wake);
    }
    take_items(pool, 0);
    wait_for_last(pool, (uint32_t)items);
}
