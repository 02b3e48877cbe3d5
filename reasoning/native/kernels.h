/* What an instruction set fulfils. Everything outside sets/ is portable and calls these; a library holds one set,
 * whose files alone know its instructions. `sets/generic` is the plain reading of each of them. */
#ifndef DESCANT_KERNELS_H
#define DESCANT_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "linear.h"

/* --- products --- */

enum { MOST_TILE_ROWS = 16 };

/* Rows of activations that share one unpacking of the weights; at most `MOST_TILE_ROWS`. */
extern const int tile_rows;

/* 16 outputs of up to `tile_rows` rows of activations: sums [rows, 16], aligned to 64 bytes. */
void multiply_block(int format, int rows, const uint8_t *block, int columns, const Group *x, size_t stride,
                    float *sums);

/* 32 columns at a time, each with a scale of its own. A multiple of 32 columns; an odd number of groups is filled up
 * with a group of zeros. The bytes are the same in all sets. */
void quantise(const float *x, int columns, Group *out);

/* What activations are multiplied with; a group of next to nothing is taken for zeros. */
static inline float quantising_factor(float peak) { return peak > 1e-36f ? 127 / peak : 0; }

/* --- between products --- */

/* Root mean square norm of a multiple of 16 numbers. */
void normed(const float *x, const float *weight, int size, float epsilon, float *out);

/* gate = silu(gate) * up, a multiple of 16 numbers. */
void gated(float *gate, const float *up, int count);

/* --- attention: see attention.h for how keys and values lie --- */

enum {
    QUERIES = 4, /* queries that share a load */
    CHUNK = 128, /* keys whose scores are held at a time */
};

/* Keeps a rotated and scaled query as `score_64` wants it, in `size` x 4 bytes. */
void keep_query(const float *query, int size, void *kept);

/* Scores [count, CHUNK] of 1 to 4 kept queries, which lie `size` x 4 bytes apart, with 64 keys. */
void score_64(int count, const uint16_t *keys, int size, const void *queries, float *scores);

/* What is kept of one query while its keys go by. */
typedef struct {
    float peak, weight;
} Softmax;

/* Turns the first `seen` of `keys` scores into shares, in place and as `weigh` wants them, the others into nothing,
 * and brings sums [size] and weight to the new peak. Scores are powers of two. */
void soften(float *scores, int seen, int keys, Softmax *softmax, float *sums, int size);

/* Adds `keys` values, weighted by the shares [count, CHUNK] of 1 to 4 queries, to sums [count, size]. Behind the last
 * key lies whatever was in the memory. */
void weigh(int count, const uint16_t *values, int size, int keys, const float *shares, float *sums);

#endif
