/* Products in plain C. Vectors of 16 bytes are what every processor of today has; where there are none, compilers take
 * them apart.
 *
 * A line holds four columns of 16 rows. Read as numbers of 16 bits, it is columns 0 and 2 in the lower bytes and 1 and
 * 3 in the upper ones, so that the two columns of a lane are added without being moved. */
#include <string.h>

#include "kernels.h"
#include "layout.h"

enum { TILE = 8 /* rows of activations that share one unpacking */ };

const int tile_rows = TILE;

typedef int16_t Eight __attribute__((vector_size(16), may_alias));
typedef uint16_t Bits __attribute__((vector_size(16), may_alias));
typedef int32_t Four __attribute__((vector_size(16), may_alias));
typedef float Floats __attribute__((vector_size(16), may_alias));
typedef uint16_t FourHalves __attribute__((vector_size(8)));
typedef uint8_t FourBytes __attribute__((vector_size(4)));
typedef int8_t FourSigned __attribute__((vector_size(4)));

/* Four rows of a line: columns 0 and 2, and columns 1 and 3. */
typedef struct {
    Eight even, odd;
} Quad;

/* A line of 16 rows. */
typedef struct {
    Quad quad[4];
} Line;

INLINE Bits load(const uint8_t *at) {
    Bits bits;
    memcpy(&bits, at, sizeof bits);
    return bits;
}

/* A group's weights as eight lines; those of 8 bits with their sign. */
INLINE void unpack(int format, Place at, Line *lines) {
    if (format == SIGNED8) {
        for (int i = 0; i < 32; i++) {
            Eight both = (Eight)(load(at.low + 16 * i) ^ 0x8080);
            lines[i / 4].quad[i % 4] = (Quad){(Eight)((Bits)both << 8) >> 8, both >> 8};
        }
        return;
    }
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) {
            Bits low = load(at.low + 64 * i + 16 * k);
            Bits v[4] = {low & 15, low >> 8 & 15, low >> 4 & 15, low >> 12};
            if (format == K6) {
                Bits high = load(at.high + 64 * (i / 2) + 16 * k) >> (i % 2 * 4);
                v[0] |= (high & 3) << 4, v[1] |= (high >> 8 & 3) << 4;
                v[2] |= (high >> 2 & 3) << 4, v[3] |= (high >> 10 & 3) << 4;
            }
            if (format == K5 || format == SIGNED5) {
                Bits high = load(at.high + 16 * k) >> (2 * i);
                v[0] |= (high & 1) << 4, v[1] |= (high >> 8 & 1) << 4;
                v[2] |= (high >> 1 & 1) << 4, v[3] |= (high >> 9 & 1) << 4;
            }
            lines[2 * i].quad[k] = (Quad){(Eight)v[0], (Eight)v[1]};
            lines[2 * i + 1].quad[k] = (Quad){(Eight)v[2], (Eight)v[3]};
        }
}

INLINE Floats to_floats(Four x) { return __builtin_convertvector(x, Floats); }

/* As `float_of_half`. */
INLINE Floats four_halves(const uint8_t *at) {
    FourHalves halves;
    memcpy(&halves, at, sizeof halves);
    Four bits = __builtin_convertvector(halves, Four), size = bits & 0x7fff;
    Floats x = (Floats)(size << 13) * 0x1p112f;
    return (Floats)((Four)x | ((size >= 0x7c00) & 0x7f800000) | (bits & 0x8000) << 16);
}

INLINE Floats four_unsigned(const uint8_t *at) {
    FourBytes bytes;
    memcpy(&bytes, at, sizeof bytes);
    return to_floats(__builtin_convertvector(bytes, Four));
}

INLINE Floats four_signed(const uint8_t *at) {
    FourSigned bytes;
    memcpy(&bytes, at, sizeof bytes);
    return to_floats(__builtin_convertvector(bytes, Four));
}

/* Scale and minimum of 16 rows; for 6-bit weights the scales of the two halves of the group. */
INLINE void scales_of(int format, Place at, const Floats halves[8], Floats scale[4], Floats other[4]) {
    for (int i = 0; i < 4; i++) {
        const uint8_t *bytes = at.scales + 4 * i;
        if (format >= SIGNED5) {
            scale[i] = four_halves(at.scales + 8 * i), other[i] = 16 * scale[i];
        } else if (format == AFFINE4) {
            scale[i] = four_halves(at.scales + 8 * i), other[i] = four_halves(at.scales + 32 + 8 * i);
        } else if (format == K6) {
            scale[i] = halves[i] * four_signed(bytes), other[i] = halves[i] * four_signed(bytes + 16);
        } else {
            scale[i] = halves[i] * four_unsigned(bytes), other[i] = halves[4 + i] * four_unsigned(bytes + 16);
        }
    }
}

/* Lines whose sums 16 bits hold: of two products each, of 15, 31, 63 and 128 times 127. */
INLINE int narrow_lines(int format) { return format == SIGNED8 ? 1 : format == K6 ? 2 : format == K5 || format == SIGNED5 ? 4 : 8; }

/* Adds the products of `count` lines with as many fours of activations to the sums of 16 rows. */
INLINE void add_lines(int format, int count, const Line *lines, const int8_t *q, Four sums[4]) {
    int narrow = narrow_lines(format);
    for (int first = 0; first < count; first += narrow) {
        Eight sum[4] = {{0}};
        /* Written out, all products would be made before the first is added, and wait in memory. */
#pragma GCC unroll 1
        for (int i = first; i < first + narrow; i++) {
            int32_t four;
            memcpy(&four, q + 4 * i, 4);
            Eight x = (Eight)(Four){four, four, four, four}, even = (Eight)((Bits)x << 8) >> 8, odd = x >> 8;
            for (int k = 0; k < 4; k++) sum[k] += lines[i].quad[k].even * even + lines[i].quad[k].odd * odd;
        }
        for (int k = 0; k < 4; k++) sums[k] += ((Four)sum[k] >> 16) + ((Four)((Bits)(Eight)sum[k]) << 16 >> 16);
    }
}

INLINE void add_group(int format, const Line *lines, const Floats scale[4], const Floats other[4], const Group *x,
                      Floats *sums) {
    Four first[4] = {{0}}, second[4] = {{0}};
    if (format == K6) {
        add_lines(format, 4, lines, x->q, first);
        add_lines(format, 4, lines + 4, x->q + 16, second);
        for (int i = 0; i < 4; i++) {
            Floats a = to_floats(first[i] + x->offset[0]), b = to_floats(second[i] + x->offset[1]);
            sums[i] += (a * scale[i] + b * other[i]) * x->scale;
        }
        return;
    }
    add_lines(format, 8, lines, x->q, first);
    for (int i = 0; i < 4; i++) {
        sums[i] += to_floats(first[i]) * scale[i] * x->scale;
        if (format != SIGNED8) sums[i] -= other[i] * x->sum;
    }
}

INLINE void block_times_rows(int format, int rows, const uint8_t *block, int columns, const Group *x, size_t stride,
                             float *sums) {
    const int unit = unit_groups(format), bytes = unit_bytes(format);
    const int units = (columns / GROUP + unit - 1) / unit;
    memset(sums, 0, (size_t)rows * BLOCK_ROWS * sizeof *sums);
    for (int u = 0; u < units; u++, block += bytes) {
        Floats halves[8] = {{0}};
        if (unit == 8)
            for (int i = 0; i < 8; i++) halves[i] = four_halves(place(format, block, 0).halves + 8 * i);
        for (int g = 0; g < unit; g++, x++) {
            Place at = place(format, block, g);
            Line lines[8];
            Floats scale[4], other[4];
            unpack(format, at, lines);
            scales_of(format, at, halves, scale, other);
            for (int r = 0; r < rows; r++)
                add_group(format, lines, scale, other, x + (size_t)r * stride, (Floats *)sums + 4 * r);
        }
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
