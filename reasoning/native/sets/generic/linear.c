/* Products in plain C, written so that compilers make vectors of whatever the processor has. */
#include <string.h>

#include "kernels.h"
#include "layout.h"
#include "numbers.h"

enum { TILE = 8 /* rows of activations that share one unpacking */, LINE = 64 /* bytes: 16 rows x 4 columns */ };

const int tile_rows = TILE;

/* A group's weights, [8][16 rows][4 columns]; those of 8 bits with their sign. */
static inline void unpack(int format, Place at, int8_t *restrict v) {
    if (format == SIGNED8) {
        for (int i = 0; i < 8 * LINE; i++) v[i] = (int8_t)(at.low[i] ^ 0x80);
        return;
    }
    for (int i = 0; i < 4; i++, v += 2 * LINE) {
        const uint8_t *low = at.low + LINE * i, *two = at.high + LINE * (i / 2), *one = at.high;
        int shift = i % 2 * 4;
        for (int k = 0; k < LINE; k++) {
            uint8_t first = low[k] & 15, second = low[k] >> 4;
            if (format == K6) {
                first |= (uint8_t)((two[k] >> shift & 3) << 4);
                second |= (uint8_t)((two[k] >> (shift + 2) & 3) << 4);
            }
            if (format == K5 || format == SIGNED5) {
                first |= (uint8_t)((one[k] >> (2 * i) & 1) << 4);
                second |= (uint8_t)((one[k] >> (2 * i + 1) & 1) << 4);
            }
            v[k] = (int8_t)first, v[k + LINE] = (int8_t)second;
        }
    }
}

/* Scale and minimum of 16 rows; for 6-bit weights the scales of the two halves of the group. */
static inline void scales_of(int format, Place at, float *restrict scale, float *restrict other) {
    for (int r = 0; r < BLOCK_ROWS; r++) {
        uint16_t first, second;
        const uint8_t *halves = format == AFFINE4 || format >= SIGNED5 ? at.scales : at.halves;
        memcpy(&first, halves + 2 * r, 2);
        float half = float_of_half(first);
        if (format >= SIGNED5) {
            scale[r] = half, other[r] = 16 * half;
        } else if (format == K6) {
            scale[r] = half * (float)(int8_t)at.scales[r], other[r] = half * (float)(int8_t)at.scales[16 + r];
        } else {
            memcpy(&second, halves + 32 + 2 * r, 2);
            scale[r] = half, other[r] = float_of_half(second);
            if (format != AFFINE4) scale[r] *= (float)at.scales[r], other[r] *= (float)at.scales[16 + r];
        }
    }
}

/* Adds 16 rows x 16 columns, in four parts of a sum. Four products of up to 63 x 127 fit 16 bits, but not those of 8
 * bits. */
static inline void add_columns(int format, const int8_t *restrict v, const int8_t *restrict q, int32_t *restrict sums) {
    for (int i = 0; i < 4; i++, v += LINE, q += 4) {
        int16_t x[LINE];
        for (int k = 0; k < LINE; k++) x[k] = q[k % 4];
        if (format == SIGNED8)
            for (int k = 0; k < LINE; k++) sums[k] += v[k] * x[k];
        else
            for (int k = 0; k < LINE; k++) sums[k] += (int16_t)(v[k] * x[k]);
    }
}

static inline void four_to_one(const int32_t *restrict sums, float *restrict whole) {
    for (int r = 0; r < BLOCK_ROWS; r++)
        whole[r] = (float)(sums[4 * r] + sums[4 * r + 1] + sums[4 * r + 2] + sums[4 * r + 3]);
}

static inline void add_group(int format, const int8_t *v, const float *scale, const float *other, const Group *x,
                             float *restrict sums) {
    int32_t parts[LINE] = {0};
    float whole[BLOCK_ROWS];
    add_columns(format, v, x->q, parts);
    if (format == K6) {
        float second[BLOCK_ROWS];
        for (int r = 0; r < BLOCK_ROWS; r++) parts[4 * r] += x->offset[0];
        four_to_one(parts, whole);
        memset(parts, 0, sizeof parts);
        add_columns(format, v + 4 * LINE, x->q + 16, parts);
        for (int r = 0; r < BLOCK_ROWS; r++) parts[4 * r] += x->offset[1];
        four_to_one(parts, second);
        for (int r = 0; r < BLOCK_ROWS; r++) sums[r] += (whole[r] * scale[r] + second[r] * other[r]) * x->scale;
        return;
    }
    add_columns(format, v + 4 * LINE, x->q + 16, parts);
    four_to_one(parts, whole);
    for (int r = 0; r < BLOCK_ROWS; r++) {
        sums[r] += whole[r] * scale[r] * x->scale;
        if (format != SIGNED8) sums[r] -= other[r] * x->sum;
    }
}

static inline __attribute__((always_inline)) void block_times_rows(int format, int rows, const uint8_t *block,
                                                                   int columns, const Group *x, size_t stride,
                                                                   float *sums) {
    const int unit = unit_groups(format), bytes = unit_bytes(format);
    const int units = (columns / GROUP + unit - 1) / unit;
    memset(sums, 0, (size_t)rows * BLOCK_ROWS * sizeof *sums);
    for (int u = 0; u < units; u++, block += bytes)
        for (int g = 0; g < unit; g++, x++) {
            Place at = place(format, block, g);
            _Alignas(64) int8_t v[8 * LINE];
            float scale[BLOCK_ROWS], other[BLOCK_ROWS];
            unpack(format, at, v);
            scales_of(format, at, scale, other);
            for (int r = 0; r < rows; r++)
                add_group(format, v, scale, other, x + (size_t)r * stride, sums + r * BLOCK_ROWS);
        }
}

void multiply_block(int format, int rows, const uint8_t *block, int columns, const Group *x, size_t stride,
                    float *sums) {
    switch (format) {
#define FORMAT(format) \
    case format: block_times_rows(format, rows, block, columns, x, stride, sums); break;
        FORMAT(AFFINE4) FORMAT(K4) FORMAT(K5) FORMAT(K6) FORMAT(SIGNED5) FORMAT(SIGNED8)
    }
}
