/* Attention of a step's rows over cached blocks. */
#ifndef DESCANT_ATTENTION_H
#define DESCANT_ATTENTION_H

#include <stddef.h>
#include <stdint.h>

#include "pool.h"

/* A block's cache: bfloat16 [layers, kv heads, capacity, head size], the capacity a multiple of 64, in an order of its
 * own inside each head: keys by 16 positions as [tile][pair of elements][position], so that 16 scores come from one
 * load; values as [pair of positions][element][2]. */
typedef struct {
    uint16_t *keys, *values;
    int64_t capacity; /* positions */
} Block;

enum { CAPACITY_UNIT = 64 };

/* One row that reads a block. */
typedef struct {
    int32_t row;
    int32_t distance; /* from the block's start to the row's token */
    int32_t limit;    /* positions that it sees */
} Pair;

/* A block and the rows that read it. */
typedef struct {
    Block block;
    int32_t first, count; /* pairs */
} Read;

typedef struct {
    int32_t heads, kv_heads, head_size;
    const float *cos, *sin; /* [positions, head size]; the sine carries the sign of the first half */
} Heads;

typedef struct Item Item;

/* What is the same in all layers of a step. */
typedef struct {
    const Heads *heads;
    const Read *reads;
    const Pair *pairs;
    int read_count, rows;
    Item *items;
    int item_count;
    int *row_first;   /* [rows + 1] into row_parts */
    int *row_parts;   /* pairs of each row */
    int *pair_part;   /* [pairs + 1] first partial result of each pair, in units of `heads` */
    float *parts;     /* [partial results, head size + 2]: sums, then peak and weight */
    char *scratch;    /* of each worker */
    size_t scratch_bytes;
    /* of one layer: */
    int layer;
    const float *q; /* [rows, q_stride], not rotated */
    size_t q_stride;
} Attention;

/* 0, or -1 without memory. `attention_free` follows in either case. */
int attention_plan(Attention *attention, int threads);
void attention_free(Attention *attention);

/* Rotates and writes one row's keys and values [kv heads, head size] at a position of a block. */
void write_row(const Heads *heads, const Block *block, int layer, int position, const float *k, const float *v);

/* Fills the partial results; `merge_row` then gives a row's attention [heads, head size]. */
void attend(Pool *pool, Attention *attention);
void merge_row(const Attention *attention, int row, float *out);

#endif
