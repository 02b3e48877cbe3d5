/* Products for NEON: with dot products, and many rows two by two with matrix products (i8mm) where the compiler is told
 * that they are there.
 *
 * A line of 16 rows is four vectors of 4, taken in halves. `sdot` adds the four columns of 4 rows times four activations
 * of one row. `smmla` adds eight columns of 2 rows times eight activations of two: half as many instructions, but the
 * weights must be brought together first, which pays from four rows on. */
#include "kernels.h"
#include "layout.h"
#include "vectors.h"

#ifdef __ARM_FEATURE_MATMUL_INT8
#define MATRICES 1
#else
#define MATRICES 0
#endif

enum {
    WIDE = MATRICES ? 3 : 4,           /* pairs of rows, or rows, whose sums of a half stay in registers */
    TILE = MATRICES ? 2 * WIDE : WIDE, /* rows of activations */
    FEWEST_PAIRED = 4,
};

const int tile_rows = TILE;

/* Bits of each byte, from `first` on. */
INLINE uint8x16_t bits(uint8x16_t x, int first, uint8_t mask) {
    return vandq_u8(vshlq_u8(x, vdupq_n_s8((int8_t)-first)), vdupq_n_u8(mask));
}

/* Columns 8i..8i+3 and 8i+4..8i+7 of the 8 rows of a half, 4 rows to a vector; those of 8 bits with their sign. */
INLINE void unpack(int format, Place at, int i, int half, int8x16_t v[2][2]) {
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
        int quad = 32 * half + 16 * k;
        if (format == SIGNED8) {
            for (int c = 0; c < 2; c++)
                v[c][k] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(at.low + 64 * (2 * i + c) + quad), vdupq_n_u8(0x80)));
            continue;
        }
        uint8x16_t both = vld1q_u8(at.low + 64 * i + quad);
        uint8x16_t first = vandq_u8(both, vdupq_n_u8(15)), second = vshrq_n_u8(both, 4);
        if (format == K6) {
            uint8x16_t high = vld1q_u8(at.high + 64 * (i / 2) + quad);
            first = vsliq_n_u8(first, bits(high, i % 2 * 4, 3), 4);
            second = vsliq_n_u8(second, bits(high, i % 2 * 4 + 2, 3), 4);
        }
        if (format == K5 || format == SIGNED5) {
            uint8x16_t high = vld1q_u8(at.high + quad);
            first = vsliq_n_u8(first, bits(high, 2 * i, 1), 4);
            second = vsliq_n_u8(second, bits(high, 2 * i + 1, 1), 4);
        }
        v[0][k] = vreinterpretq_s8_u8(first), v[1][k] = vreinterpretq_s8_u8(second);
    }
}

INLINE float32x4_t half4(const uint8_t *at) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at))); }

/* The first or the second four of 8 bytes. */
INLINE float32x4_t unsigned4(const uint8_t *at, int second) {
    uint16x8_t all = vmovl_u8(vld1_u8(at));
    return vcvtq_f32_u32(vmovl_u16(second ? vget_high_u16(all) : vget_low_u16(all)));
}

INLINE float32x4_t signed4(const uint8_t *at, int second) {
    int16x8_t all = vmovl_s8(vreinterpret_s8_u8(vld1_u8(at)));
    return vcvtq_f32_s32(vmovl_s16(second ? vget_high_s16(all) : vget_low_s16(all)));
}

/* What belongs to the lanes of a half's sums. Of one row of activations these are rows 0..3 and 4..7; of a pair of them
 * rows 0 and 1, 2 and 3 and so on, each with the first and with the second. */
INLINE float32x4_t lanes(int paired, float a, float b) {
    return paired ? vzip1q_f32(vdupq_n_f32(a), vdupq_n_f32(b)) : vdupq_n_f32(a);
}

INLINE int32x4_t whole_lanes(int paired, int32_t a, int32_t b) {
    return paired ? vzip1q_s32(vdupq_n_s32(a), vdupq_n_s32(b)) : vdupq_n_s32(a);
}

INLINE void double_lanes(float32x4_t x[4]) {
    x[3] = vzip2q_f32(x[1], x[1]), x[2] = vzip1q_f32(x[1], x[1]);
    x[1] = vzip2q_f32(x[0], x[0]), x[0] = vzip1q_f32(x[0], x[0]);
}

/* Scale and minimum of 8 rows; for 6-bit weights the scales of the two halves of the group. */
INLINE void scales_of(int format, Place at, int half, float32x4_t scale[4], float32x4_t other[4]) {
    const uint8_t *bytes = at.scales + 8 * half;
    for (int k = 0; k < 2; k++) {
        const uint8_t *scales = at.scales + 16 * half + 8 * k, *halves = at.halves + 16 * half + 8 * k;
        switch (format) {
            case AFFINE4:
                scale[k] = half4(scales);
                other[k] = half4(scales + 32);
                break;
            case K4:
            case K5:
                scale[k] = vmulq_f32(unsigned4(bytes, k), half4(halves));
                other[k] = vmulq_f32(unsigned4(bytes + 16, k), half4(halves + 32));
                break;
            case K6:
                scale[k] = vmulq_f32(signed4(bytes, k), half4(halves));
                other[k] = vmulq_f32(signed4(bytes + 16, k), half4(halves));
                break;
            default:
                scale[k] = half4(scales);
                other[k] = vmulq_n_f32(scale[k], 16);
        }
    }
}

/* --- a group of 32 columns --- */

/* Sums of a half's products; only 6-bit weights have use for those of the second half of the columns. */
typedef struct {
    int32x4_t first[WIDE][4], second[WIDE][4];
} Whole;

/* Compilers would rather finish one sum before the next: each product would wait for the one before, and all weights of
 * the group for their turn. */
INLINE int32x4_t in_turn(int32x4_t sum) {
    __asm__ volatile("" : "+w"(sum));
    return sum;
}

INLINE void add_dots(int rows, int8x16_t v[2][2], int i, const Group *x, size_t stride, int32x4_t to[][4]) {
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        int8x8_t q = vld1_s8(x[(size_t)r * stride].q + 8 * i);
        for (int k = 0; k < 2; k++)
            to[r][k] = in_turn(vdotq_lane_s32(vdotq_lane_s32(to[r][k], v[0][k], q, 0), v[1][k], q, 1));
    }
}

/* Eight columns of two rows of activations are `pair[p][i]`. */
INLINE void add_matrices(int pairs, int8x16_t v[2][2], int i, int8x16_t pair[][4], int32x4_t to[][4]) {
#if MATRICES
    int8x16_t w[4];
    for (int k = 0; k < 2; k++) {
        int32x4_t a = vreinterpretq_s32_s8(v[0][k]), b = vreinterpretq_s32_s8(v[1][k]);
        w[2 * k] = vreinterpretq_s8_s32(vzip1q_s32(a, b));
        w[2 * k + 1] = vreinterpretq_s8_s32(vzip2q_s32(a, b));
    }
#pragma GCC unroll 4
    for (int p = 0; p < pairs; p++)
        for (int k = 0; k < 4; k++) to[p][k] = in_turn(vmmlaq_s32(to[p][k], w[k], pair[p][i]));
#else
    (void)pairs, (void)v, (void)i, (void)pair, (void)to;
#endif
}

INLINE float32x4_t added(int format, float32x4_t sum, int32x4_t first, int32x4_t second, float32x4_t scale,
                         float32x4_t other, float32x4_t x_scale, float32x4_t x_sum) {
    float32x4_t all = vmulq_f32(vcvtq_f32_s32(first), scale);
    if (format == K6) all = vfmaq_f32(all, vcvtq_f32_s32(second), other);
    sum = vfmaq_f32(sum, all, x_scale);
    /* 8-bit weights are multiplied with their sign, and 6-bit sums begin with their offset. */
    return format == K6 || format == SIGNED8 ? sum : vfmsq_f32(sum, other, x_sum);
}

/* Adds to the sums [half][row or pair][lanes]. */
INLINE void add_group(int format, int rows, int paired, Place at, const Group *x, size_t stride,
                      float32x4_t sum[2][WIDE][4]) {
    const int count = paired ? (rows + 1) / 2 : rows, width = paired ? 4 : 2;
    const Group *a[WIDE], *b[WIDE]; /* an odd row is its own partner */
    int8x16_t pair[WIDE][4];
#pragma GCC unroll 4
    for (int n = 0; n < count; n++) {
        a[n] = x + (size_t)(paired ? 2 * n : n) * stride;
        b[n] = paired && 2 * n + 1 < rows ? a[n] + stride : a[n];
        if (paired)
            for (int i = 0; i < 4; i++) pair[n][i] = vcombine_s8(vld1_s8(a[n]->q + 8 * i), vld1_s8(b[n]->q + 8 * i));
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        Whole whole;
        float32x4_t scale[4], other[4];
#pragma GCC unroll 4
        for (int n = 0; n < count; n++)
            for (int k = 0; k < width; k++) {
                const int six = format == K6;
                whole.first[n][k] = whole_lanes(paired, six ? a[n]->offset[0] : 0, six ? b[n]->offset[0] : 0);
                whole.second[n][k] = whole_lanes(paired, six ? a[n]->offset[1] : 0, six ? b[n]->offset[1] : 0);
            }
#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            int8x16_t v[2][2];
            int32x4_t(*to)[4] = format == K6 && i >= 2 ? whole.second : whole.first;
            unpack(format, at, i, half, v);
            if (paired)
                add_matrices(count, v, i, pair, to);
            else
                add_dots(count, v, i, x, stride, to);
        }
        scales_of(format, at, half, scale, other);
        if (paired) double_lanes(scale), double_lanes(other);
#pragma GCC unroll 4
        for (int n = 0; n < count; n++)
            for (int k = 0; k < width; k++)
                sum[half][n][k] = added(format, sum[half][n][k], whole.first[n][k], whole.second[n][k], scale[k], other[k],
                                        lanes(paired, a[n]->scale, b[n]->scale), lanes(paired, a[n]->sum, b[n]->sum));
    }
}

/* --- a block --- */

INLINE void store(int rows, int paired, float32x4_t sum[2][WIDE][4], float *sums) {
    const int count = paired ? (rows + 1) / 2 : rows;
    for (int n = 0; n < count; n++)
        for (int quad = 0; quad < 4; quad++) {
            float32x4_t *from = sum[quad / 2][n];
            int k = quad % 2;
            if (!paired) {
                vst1q_f32(sums + 16 * n + 4 * quad, from[k]);
                continue;
            }
            vst1q_f32(sums + 32 * n + 4 * quad, vuzp1q_f32(from[2 * k], from[2 * k + 1]));
            if (2 * n + 1 < rows) vst1q_f32(sums + 32 * n + 16 + 4 * quad, vuzp2q_f32(from[2 * k], from[2 * k + 1]));
        }
}

/* 16 outputs of `rows` rows of activations. */
INLINE void block_times_rows(int format, int rows, const uint8_t *block, int columns, const Group *x, size_t stride,
                             float *sums) {
    const int unit = unit_groups(format), bytes = unit_bytes(format), paired = MATRICES && rows >= FEWEST_PAIRED;
    const int units = (columns / GROUP + unit - 1) / unit;
    float32x4_t sum[2][WIDE][4];
    for (int half = 0; half < 2; half++)
        for (int n = 0; n < WIDE; n++)
            for (int k = 0; k < 4; k++) sum[half][n][k] = vdupq_n_f32(0);
    for (int u = 0; u < units; u++, block += bytes)
        for (int g = 0; g < unit; g++, x++) add_group(format, rows, paired, place(format, block, g), x, stride, sum);
    store(rows, paired, sum, sums);
}

typedef void (*Kernel)(const uint8_t *block, int columns, const Group *x, size_t stride, float *sums);

#define KERNEL(format, rows)                                                                                    \
    static void format##_##rows(const uint8_t *block, int columns, const Group *x, size_t stride, float *sums) { \
        block_times_rows(format, rows, block, columns, x, stride, sums);                                        \
    }
#if MATRICES
#define KERNELS(format)                                                                                         \
    KERNEL(format, 1) KERNEL(format, 2) KERNEL(format, 3) KERNEL(format, 4) KERNEL(format, 5) KERNEL(format, 6)
#define NAMES(format) {format##_1, format##_2, format##_3, format##_4, format##_5, format##_6}
#else
#define KERNELS(format) KERNEL(format, 1) KERNEL(format, 2) KERNEL(format, 3) KERNEL(format, 4)
#define NAMES(format) {format##_1, format##_2, format##_3, format##_4}
#endif

KERNELS(AFFINE4) KERNELS(K4) KERNELS(K5) KERNELS(K6) KERNELS(SIGNED5) KERNELS(SIGNED8)

static const Kernel kernels[FORMATS][TILE] = {
    [AFFINE4] = NAMES(AFFINE4), [K4] = NAMES(K4),           [K5] = NAMES(K5),
    [K6] = NAMES(K6),           [SIGNED5] = NAMES(SIGNED5), [SIGNED8] = NAMES(SIGNED8),
};

void multiply_block(int format, int rows, const uint8_t *block, int columns, const Group *x, size_t stride,
                    float *sums) {
    kernels[format][rows - 1](block, columns, x, stride, sums);
}
