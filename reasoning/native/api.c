/* What Python calls. Every call gives the interpreter lock away, so other threads run on. */
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "kernels.h"
#include "linear.h"

Pool *descant_pool(int threads) { return pool_new(threads); }

void descant_pool_free(Pool *pool) { pool_free(pool); }

int descant_pool_threads(const Pool *pool) { return pool_threads(pool); }

size_t descant_block_bytes(int format, int columns) { return block_bytes(format, columns); }

typedef struct {
    const float *x;
    int columns;
    Group *out;
} Quantising;

static void quantise_row(void *job, int row, int worker) {
    (void)worker;
    const Quantising *q = job;
    quantise(q->x + (size_t)row * (size_t)q->columns, q->columns, q->out + (size_t)row * (size_t)padded_groups(q->columns));
}

/* y [rows, outputs] = x [rows, columns] times the parts, whose outputs lie side by side. 0, or -1 without memory. */
int descant_linear(Pool *pool, const Matrix *parts, int count, const float *bias, const float *x, int rows, float *y) {
    int columns = parts[0].columns;
    size_t stride = 0, groups = (size_t)padded_groups(columns);
    for (int i = 0; i < count; i++) stride += (size_t)parts[i].rows;
    Group *panel = aligned_alloc(64, ((size_t)rows * groups * sizeof(Group) + 63) / 64 * 64);
    if (!panel) return -1;
    Quantising job = {x, columns, panel};
    Product product = {parts, count, bias, panel, rows, y, stride, REPLACE};
    pool_enter(pool);
    pool_run(pool, quantise_row, &job, rows);
    multiply(pool, &product);
    pool_leave(pool);
    free(panel);
    return 0;
}

/* --- the other kernels one at a time, to be checked --- */

void descant_norm(const float *x, const float *weight, int size, float epsilon, float *out) {
    normed(x, weight, size, epsilon, out);
}

void descant_gate(float *gate, const float *up, int count) { gated(gate, up, count); }

void descant_quantise(const float *x, int columns, Group *out) { quantise(x, columns, out); }

/* Keys and values [kv heads, head size] of one position of a block with a single layer. */
void descant_write(const Heads *heads, const Block *block, int position, const float *k, const float *v) {
    write_row(heads, block, 0, position, k, v);
}

/* out [rows, heads, head size] = attention of q, which is alike, over blocks with a single layer. 0, or -1 without
 * memory. */
int descant_attend(Pool *pool, const Heads *heads, const Read *reads, int count, const Pair *pairs, const float *q,
                   int rows, float *out) {
    size_t stride = (size_t)heads->heads * (size_t)heads->head_size;
    Attention attention = {.heads = heads, .reads = reads, .pairs = pairs, .read_count = count, .rows = rows,
                           .q = q, .q_stride = stride};
    int failed = attention_plan(&attention, pool_threads(pool));
    if (!failed) {
        pool_enter(pool);
        attend(pool, &attention);
        pool_leave(pool);
        for (int row = 0; row < rows; row++) merge_row(&attention, row, out + (size_t)row * stride);
    }
    attention_free(&attention);
    return failed;
}
