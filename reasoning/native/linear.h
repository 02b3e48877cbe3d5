/* Quantised matrices, interleaved by 16 output rows, times int8 activations. */
#ifndef DESCANT_LINEAR_H
#define DESCANT_LINEAR_H

#include <stddef.h>
#include <stdint.h>

#include "pool.h"

/* The formats as they are kept here. All weights are scale * q - minimum with q unsigned. */
enum Format {
    AFFINE4, /* 4 bits; half scale and minimum for 32 columns */
    K4,      /* 4 bits; 6-bit scale and minimum for 32 columns, two halves for 256 */
    K5,      /* 5 bits; the same */
    K6,      /* 6 bits, offset 32; int8 scale for 16 columns, one half for 256 */
    SIGNED5, /* 5 bits, offset 16; half scale for 32 columns */
    SIGNED8, /* 8 bits, offset 128; half scale for 32 columns */
    FORMATS
};

typedef struct {
    const uint8_t *data; /* aligned to 64 bytes */
    int32_t format;
    int32_t rows;    /* outputs; the last block of 16 is filled up with zeros */
    int32_t columns; /* inputs */
    int32_t unused;
} Matrix;

enum { GROUP = 32, BLOCK_ROWS = 16, MAX_PARTS = 4 };

/* 32 quantised activations of one row. */
typedef struct {
    int8_t q[GROUP];
    float scale;
    float sum;          /* of the dequantised activations: what the minimum is multiplied with */
    int32_t offset[2];  /* -32 times the sum of q in either half: takes the offset out of 6-bit weights */
} Group;

/* Groups of a row of activations: filled up to what the widest unit of a format reads. */
static inline int padded_groups(int columns) { return (columns / GROUP + 1) / 2 * 2; }

/* Bytes of one block of 16 rows, 0 where the format cannot hold that many columns. */
size_t block_bytes(int format, int columns);

/* What becomes of the products. */
enum Store { REPLACE, ADD };

typedef struct {
    const Matrix *parts; /* their outputs lie side by side */
    int count;
    const float *bias; /* [outputs] or NULL */
    const Group *x;    /* [rows, padded groups] */
    int rows;
    float *y; /* [rows, stride] */
    size_t stride;
    enum Store store;
} Product;

void multiply(Pool *pool, const Product *product);

#endif
