/* How a thread waits for another: for a moment awake, then asleep until the word changes. */
#ifndef DESCANT_WAITING_H
#define DESCANT_WAITING_H

#include <limits.h>
#include <stdatomic.h>
#include <stdint.h>

#if defined(__x86_64__)
enum { SPIN_TICKS = 120000 /* about 50 µs of time stamp counter: longer than the gap between two phases */ };

static inline uint64_t ticks(void) { return __builtin_ia32_rdtsc(); }

static inline void pause_briefly(void) { __builtin_ia32_pause(); }
#else
#include <time.h>

enum { SPIN_TICKS = 50000 /* ns */ };

static inline uint64_t ticks(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline void pause_briefly(void) {
#if defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
#endif

#if defined(__linux__) && !defined(DESCANT_NO_FUTEX)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline void sleep_on(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static inline void wake_all(_Atomic uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}
#else
#include <pthread.h>

/* One for all words: whoever wakes looks whether it was meant. */
static pthread_mutex_t sleeping = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;

static inline void sleep_on(_Atomic uint32_t *word, uint32_t value) {
    pthread_mutex_lock(&sleeping);
    if (atomic_load(word) == value) pthread_cond_wait(&woken, &sleeping);
    pthread_mutex_unlock(&sleeping);
}

static inline void wake_all(_Atomic uint32_t *word) {
    (void)word;
    pthread_mutex_lock(&sleeping);
    pthread_cond_broadcast(&woken);
    pthread_mutex_unlock(&sleeping);
}
#endif

#endif
