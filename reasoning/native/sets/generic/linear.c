/* Products in plain C, but for one operation on x86-64. Vectors of 16 bytes are what every processor of today has; where
 * there are none, compilers take them apart.
 *
 * A line holds four columns of 16 rows. Read as numbers of 16 bits, it is columns 0 and 2 in the lower bytes and 1 and
 * 3 in the upper ones, so that the two columns of a lane are added without being moved. */
#include <string.h>

#include "kernels.h"
#include "layout.h"

enum { TILE = 16 /* rows of activations that share one unpacking */ };

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
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 4; k++) {
            Bits both = load(at.low + 64 * i + 16 * k), first = both & 0x0f0f, second = both >> 4 & 0x0f0f;
            if (format == K6) {
                Bits high = load(at.high + 64 * (i / 2) + 16 * k);
                first |= (i % 2 ? high : high << 4) & 0x3030;
                second |= (i % 2 ? high >> 2 : high << 2) & 0x3030;
            }
            if (format == K5 || format == SIGNED5) {
                Bits high = load(at.high + 16 * k);
                first |= (i < 2 ? high << (4 - 2 * i) : high >> (2 * i - 4)) & 0x1010;
                second |= (i < 2 ? high << (3 - 2 * i) : high >> (2 * i - 3)) & 0x1010;
            }
            lines[2 * i].quad[k] = (Quad){(Eight)(first & 255), (Eight)(first >> 8)};
            lines[2 * i + 1].quad[k] = (Quad){(Eight)(second & 255), (Eight)(second >> 8)};
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

/* Four activations for each of four rows, split as weights are. */
INLINE Quad four(const int8_t *q) {
    int32_t bits;
    memcpy(&bits, q, sizeof bits);
    Eight x = (Eight)(Four){bits, bits, bits, bits};
    return (Quad){(Eight)((Bits)x << 8) >> 8, x >> 8};
}

/* `add_lines` adds the products of `count` lines with as many fours of activations to the sums of 16 rows. */
#if defined(__SSE2__) && !defined(DESCANT_PLAIN)
/* Every processor for x86-64 adds two products of 16 bits in 32, which compilers do not find by themselves. */
INLINE void add_lines(int format, int count, const Line *lines, const int8_t *q, Four sums[4]) {
    (void)format;
#pragma GCC unroll 1
    for (int i = 0; i < count; i++) {
        Quad x = four(q + 4 * i);
        for (int k = 0; k < 4; k++) {
            sums[k] += (Four)__builtin_ia32_pmaddwd128(lines[i].quad[k].even, x.even);
            sums[k] += (Four)__builtin_ia32_pmaddwd128(lines[i].quad[k].odd, x.odd);
        }
    }
}
#else
/* Lines whose sums 16 bits hold: of two products each, of 15, 31, 63 and 128 times 127. */
INLINE int narrow_lines(int format) { return format == SIGNED8 ? 1 : format == K6 ? 2 : format == K5 || format == SIGNED5 ? 4 : 8; }

INLINE void add_lines(int format, int count, const Line *lines, const int8_t *q, Four sums[4]) {
    int narrow = narrow_lines(format);
    for (int first = 0; first < count; first += narrow) {
        Eight sum[4] = {{0}};
        /* Written out, all products would be made before the first is added, and wait in memory. */
#pragma GCC unroll 1
        for (int i = first; i < first + narrow; i++) {
            Quad x = four(q + 4 * i);
            for (int k = 0; k < 4; k++) sum[k] += lines[i].quad[k].even * x.even + lines[i].quad[k].odd * x.odd;
        }
        for (int k = 0; k < 4; k++) sums[k] += ((Four)sum[k] >> 16) + ((Four)((Bits)(Eight)sum[k]) << 16 >> 16);
    }
}
#endif

INLINE void add_group(int format, const Line *lines, const Floats scale[4], const Floats other[4], const Group *x,
                      Floats *sums) {
    /* Read before the sums are written: they might be the same memory, for all that a compiler knows. */
    const float by = x->scale, sum = x->sum;
    Four first[4], second[4];
    for (int i = 0; i < 4; i++) {
        first[i] = (Four){0} + (format == K6 ? x->offset[0] : 0);
        second[i] = (Four){0} + x->offset[1];
    }
    add_lines(format, format == K6 ? 4 : 8, lines, x->q, first);
    if (format == K6) add_lines(format, 4, lines + 4, x->q + 16, second);
    for (int i = 0; i < 4; i++) {
        Floats all = to_floats(first[i]) * scale[i];
        if (format == K6) all += to_floats(second[i]) * other[i];
        all = sums[i] + all * by;
        if (format != K6 && format != SIGNED8) all -= other[i] * sum;
        sums[i] = all;
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
