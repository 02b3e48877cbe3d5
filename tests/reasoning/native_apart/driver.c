/* The kernels in a process of their own: for a processor that is emulated, and for sanitizers.
 *
 * Whoever holds the other ends of its pipes has memory made here, filled, read and freed, and functions called with it.
 * A request is always of the same size; the bytes to write follow it. Numbers lie as the processor has them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "linear.h"

enum { MAKE, WRITE, READ, FREE, PROCESSOR, POOL, FORMAT, BLOCK_BYTES, PACK, LINEAR, NORM, GATE, QUANTISE, KEEP, ATTEND, STEP };

typedef struct {
    int64_t what, a[8];
    double real;
} Request;

const char *descant_processor(void);
Pool *descant_pool(int threads);
void descant_pool_free(Pool *pool);
int descant_format(int kind);
size_t descant_block_bytes(int format, int columns);
void descant_pack(Pool *pool, int kind, const uint8_t *raw, int rows, int columns, const int64_t *order, uint8_t *out);
int descant_linear(Pool *pool, const Matrix *parts, int count, const float *bias, const float *x, int rows, float *y);
void descant_norm(const float *x, const float *weight, int size, float epsilon, float *out);
void descant_gate(float *gate, const float *up, int count);
void descant_quantise(const float *x, int columns, Group *out);
void descant_write(const Heads *heads, const Block *block, int position, const float *k, const float *v);
int descant_attend(Pool *pool, const Heads *heads, const Read *reads, int count, const Pair *pairs, const float *q,
                   int rows, float *out);
int descant_step(Pool *pool, const void *model, const void *step);

static Pool *pools[16];
static int pool_count;

static void *at(int64_t address) { return (void *)(intptr_t)address; }

/* Of exactly that size, so that a sanitizer sees every byte beyond. */
static int64_t make(int64_t size) {
    void *made;
    if (posix_memalign(&made, 64, (size_t)size)) exit(3);
    return (intptr_t)made;
}

static int64_t new_pool(int threads) {
    if (pool_count == sizeof pools / sizeof *pools) exit(4);
    pools[pool_count] = descant_pool(threads);
    return (intptr_t)pools[pool_count++];
}

static int64_t answer(const Request *r) {
    const int64_t *a = r->a;
    switch (r->what) {
        case MAKE: return make(a[0]);
        case WRITE: return (int64_t)fread(at(a[0]), 1, (size_t)a[1], stdin);
        case READ: return a[1];
        case FREE: return free(at(a[0])), 0;
        case PROCESSOR: return (intptr_t)descant_processor();
        case POOL: return new_pool((int)a[0]);
        case FORMAT: return descant_format((int)a[0]);
        case BLOCK_BYTES: return (int64_t)descant_block_bytes((int)a[0], (int)a[1]);
        case PACK: return descant_pack(at(a[0]), (int)a[1], at(a[2]), (int)a[3], (int)a[4], at(a[5]), at(a[6])), 0;
        case LINEAR: return descant_linear(at(a[0]), at(a[1]), (int)a[2], at(a[3]), at(a[4]), (int)a[5], at(a[6]));
        case NORM: return descant_norm(at(a[0]), at(a[1]), (int)a[2], (float)r->real, at(a[3])), 0;
        case GATE: return descant_gate(at(a[0]), at(a[1]), (int)a[2]), 0;
        case QUANTISE: return descant_quantise(at(a[0]), (int)a[1], at(a[2])), 0;
        case KEEP: return descant_write(at(a[0]), at(a[1]), (int)a[2], at(a[3]), at(a[4])), 0;
        case ATTEND:
            return descant_attend(at(a[0]), at(a[1]), at(a[2]), (int)a[3], at(a[4]), at(a[5]), (int)a[6], at(a[7]));
        case STEP: return descant_step(at(a[0]), at(a[1]), at(a[2]));
        default: exit(2);
    }
}

int main(void) {
    Request request;
    while (fread(&request, sizeof request, 1, stdin) == 1) {
        int64_t told = answer(&request);
        fwrite(&told, sizeof told, 1, stdout);
        if (request.what == READ) fwrite(at(request.a[0]), 1, (size_t)request.a[1], stdout);
        if (fflush(stdout)) return 1;
    }
    for (int i = 0; i < pool_count; i++) descant_pool_free(pools[i]);
    return 0;
}
