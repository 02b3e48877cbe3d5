/* From the blocks of a GGUF file (ggml's layouts) to interleaved blocks of 16 rows. */
#include <string.h>

#include "linear.h"
#include "numbers.h"

enum Kind { Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q8_0 = 8, Q4_K = 12, Q5_K = 13, Q6_K = 14 };

static uint16_t half_of(const uint8_t *at) {
    uint16_t half;
    memcpy(&half, at, 2);
    return half;
}

/* --- where a value of row r goes; the mirror image of `unpack` in each set --- */

static void put_low(uint8_t *low, int r, int k, int q) { low[k / 8 * 64 + r * 4 + k % 4] |= (q & 15) << (k % 8 / 4 * 4); }

static void put_two_high(uint8_t *high, int r, int k, int q) {
    high[k / 16 * 64 + r * 4 + k % 4] |= (q >> 4) << (k % 16 / 4 * 2);
}

static void put_one_high(uint8_t *high, int r, int k, int q) { high[r * 4 + k % 4] |= (q >> 4) << (k / 4); }

static void put_half(uint8_t *at, int r, uint16_t half) { memcpy(at + 2 * r, &half, 2); }

static void k_scale(const uint8_t *packed, int group, uint8_t *scale, uint8_t *minimum) {
    const uint8_t *p = packed + group;
    *scale = group < 4 ? p[0] & 63 : (p[4] & 15) | (p[-4] >> 6 << 4);
    *minimum = group < 4 ? p[4] & 63 : (p[4] >> 4) | (p[0] >> 6 << 4);
}

/* One file block of row r into its unit. */

static void pack_k(const uint8_t *from, int r, int fifth, uint8_t *unit) {
    const uint8_t *bits = from + 16, *nibbles = from + (fifth ? 48 : 16);
    uint8_t *high = unit + 8 * 256, *scales = high + (fifth ? 8 * 64 : 0), *halves = scales + 8 * 32;
    put_half(halves, r, half_of(from));
    put_half(halves + 32, r, half_of(from + 2));
    for (int g = 0; g < 8; g++) {
        k_scale(from + 4, g, &scales[g * 32 + r], &scales[g * 32 + 16 + r]);
        for (int k = 0; k < GROUP; k++) {
            int q = nibbles[g / 2 * 32 + k] >> (g % 2 * 4) & 15;
            put_low(unit + g * 256, r, k, q);
            if (fifth) put_one_high(high + g * 64, r, k, (bits[k] >> g & 1) << 4);
        }
    }
}

static void pack_q6_k(const uint8_t *from, int r, uint8_t *unit) {
    uint8_t *high = unit + 8 * 256, *scales = high + 8 * 128, *halves = scales + 8 * 32;
    put_half(halves, r, half_of(from + 208));
    for (int g = 0; g < 8; g++) {
        int part = g / 4, quarter = g % 4;
        const uint8_t *low = from + part * 64 + quarter % 2 * 32, *two = from + 128 + part * 32;
        scales[g * 32 + r] = from[192 + 2 * g];
        scales[g * 32 + 16 + r] = from[192 + 2 * g + 1];
        for (int k = 0; k < GROUP; k++) {
            int q = (low[k] >> (quarter / 2 * 4) & 15) | (two[k] >> (2 * quarter) & 3) << 4;
            put_low(unit + g * 256, r, k, q);
            put_two_high(high + g * 128, r, k, q);
        }
    }
}

static void pack_affine4(const uint8_t *from, int r, int has_minimum, uint8_t *unit) {
    const uint8_t *nibbles = from + (has_minimum ? 4 : 2);
    float minimum = has_minimum ? -float_of_half(half_of(from + 2)) : 8 * float_of_half(half_of(from));
    put_half(unit + 256, r, half_of(from));
    put_half(unit + 256 + 32, r, half_of_float(minimum));
    for (int k = 0; k < GROUP; k++) put_low(unit, r, k, nibbles[k % 16] >> (k / 16 * 4) & 15);
}

static void pack_q5_0(const uint8_t *from, int r, int group, uint8_t *unit) {
    uint32_t bits;
    memcpy(&bits, from + 2, 4);
    put_half(unit + 2 * (256 + 64) + group * 32, r, half_of(from));
    for (int k = 0; k < GROUP; k++) {
        put_low(unit + group * 256, r, k, from[6 + k % 16] >> (k / 16 * 4) & 15);
        put_one_high(unit + 2 * 256 + group * 64, r, k, (int)(bits >> k & 1) << 4);
    }
}

static void pack_q8_0(const uint8_t *from, int r, int group, uint8_t *unit) {
    put_half(unit + 2 * 512 + group * 32, r, half_of(from));
    for (int k = 0; k < GROUP; k++) unit[group * 512 + k / 4 * 64 + r * 4 + k % 4] = from[2 + k] ^ 0x80;
}

typedef struct {
    int kind, format, weights, bytes; /* of a block in the file */
    int blocks;                       /* in a unit */
    int unit;                         /* bytes */
} Source;

static const Source sources[] = {
    {Q4_0, AFFINE4, 32, 18, 1, 320}, {Q4_1, AFFINE4, 32, 20, 1, 320},  {Q5_0, SIGNED5, 32, 22, 2, 704},
    {Q8_0, SIGNED8, 32, 34, 2, 1088}, {Q4_K, K4, 256, 144, 1, 2368}, {Q5_K, K5, 256, 176, 1, 2880},
    {Q6_K, K6, 256, 210, 1, 3392},
};

static void pack_block(const Source *source, const uint8_t *from, int r, int within, uint8_t *unit) {
    switch (source->kind) {
        case Q4_0:
        case Q4_1: pack_affine4(from, r, source->kind == Q4_1, unit); break;
        case Q5_0: pack_q5_0(from, r, within, unit); break;
        case Q8_0: pack_q8_0(from, r, within, unit); break;
        case Q6_K: pack_q6_k(from, r, unit); break;
        default: pack_k(from, r, source->kind == Q5_K, unit);
    }
}

typedef struct {
    const Source *source;
    const uint8_t *raw;
    const int64_t *order;
    int rows, columns;
    uint8_t *out;
} Packing;

static void pack_rows(void *job, int block, int worker) {
    (void)worker;
    const Packing *p = job;
    const Source *source = p->source;
    size_t bytes = block_bytes(source->format, p->columns);
    uint8_t *out = p->out + (size_t)block * bytes;
    int blocks = p->columns / source->weights;
    memset(out, 0, bytes);
    for (int r = 0; r < BLOCK_ROWS && block * BLOCK_ROWS + r < p->rows; r++) {
        int64_t row = block * BLOCK_ROWS + r;
        if (p->order) row = p->order[row];
        const uint8_t *from = p->raw + (size_t)row * (size_t)blocks * (size_t)source->bytes;
        for (int b = 0; b < blocks; b++, from += source->bytes)
            pack_block(source, from, r, b % source->blocks, out + (size_t)(b / source->blocks) * (size_t)source->unit);
    }
}

static const Source *source_of(int kind) {
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++)
        if (sources[i].kind == kind) return &sources[i];
    return NULL;
}

int descant_format(int kind) {
    const Source *source = source_of(kind);
    return source ? source->format : -1;
}

void descant_pack(Pool *pool, int kind, const uint8_t *raw, int rows, int columns, const int64_t *order, uint8_t *out) {
    Packing job = {source_of(kind), raw, order, rows, columns, out};
    pool_enter(pool);
    pool_run(pool, pack_rows, &job, (rows + BLOCK_ROWS - 1) / BLOCK_ROWS);
    pool_leave(pool);
}
