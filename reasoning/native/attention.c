/* Softmax attention of many rows over the same blocks, in one pass over the cached keys and values.
 *
 * An item of work is one kv head, a stretch of one block, and up to TILE_PAIRS rows that read it: each tile of keys is
 * loaded once for all of them and all query heads of the group. Items give partial results (sums, peak, weight), and
 * a row's partial results are joined exactly by their log-sum-exp. */
#include "attention.h"

#include <math.h>
#include <stdlib.h>

#include "kernels.h"
#include "numbers.h"

enum {
    TILE_PAIRS = 8,
    STRETCH = 512, /* keys of an item when few rows read a block */
};

struct Item {
    const Read *read;
    int first, count; /* pairs */
    int kv_head, part; /* part: which stretch */
    int start, stop;  /* keys */
};

static size_t aligned(size_t bytes) { return (bytes + 63) / 64 * 64; }

static void *memory(size_t bytes) { return aligned_alloc(64, aligned(bytes ? bytes : 1)); }

static int most_keys(const Attention *a, int first, int count) {
    int most = 0;
    for (int i = first; i < first + count; i++)
        if (a->pairs[i].limit > most) most = a->pairs[i].limit;
    return most;
}

static int stretches(const Attention *a, const Read *read) {
    if (read->count > TILE_PAIRS) return 1;
    return (most_keys(a, read->first, read->count) + STRETCH - 1) / STRETCH;
}

static int items_of(const Attention *a, const Read *read) {
    return (read->count + TILE_PAIRS - 1) / TILE_PAIRS * stretches(a, read) * a->heads->kv_heads;
}

static void lay_items(Attention *a) {
    Item *item = a->items;
    for (int r = 0; r < a->read_count; r++) {
        const Read *read = &a->reads[r];
        int parts = stretches(a, read);
        for (int first = 0; first < read->count; first += TILE_PAIRS) {
            int count = read->count - first < TILE_PAIRS ? read->count - first : TILE_PAIRS;
            int keys = most_keys(a, read->first + first, count);
            for (int part = 0; part < parts; part++)
                for (int kv = 0; kv < a->heads->kv_heads; kv++) {
                    int stop = parts == 1 || (part + 1) * STRETCH > keys ? keys : (part + 1) * STRETCH;
                    *item++ = (Item){read, read->first + first, count, kv, part, part * STRETCH, stop};
                }
        }
    }
}

static void lay_rows(Attention *a, int pairs) {
    int part = 0;
    for (int r = 0; r < a->read_count; r++)
        for (int i = 0; i < a->reads[r].count; i++) {
            a->pair_part[a->reads[r].first + i] = part;
            part += stretches(a, &a->reads[r]);
        }
    a->pair_part[pairs] = part;
    for (int i = 0; i <= a->rows; i++) a->row_first[i] = 0;
    for (int i = 0; i < pairs; i++) a->row_first[a->pairs[i].row + 1]++;
    for (int i = 0; i < a->rows; i++) a->row_first[i + 1] += a->row_first[i];
    for (int i = pairs - 1; i >= 0; i--) {
        /* Filled from the back; afterwards `row_first` is shifted into place again. */
        int row = a->pairs[i].row;
        a->row_parts[--a->row_first[row + 1]] = i;
    }
    for (int i = 0; i < a->rows; i++) a->row_first[i] = a->row_first[i + 1];
    a->row_first[a->rows] = pairs;
}

static int most_queries(const Heads *heads) {
    int queries = TILE_PAIRS * heads->heads / heads->kv_heads;
    return (queries + QUERIES - 1) / QUERIES * QUERIES;
}

int attention_plan(Attention *a, int threads) {
    const Heads *heads = a->heads;
    int pairs = 0, parts = 0;
    a->item_count = 0;
    for (int r = 0; r < a->read_count; r++) {
        pairs += a->reads[r].count;
        parts += a->reads[r].count * stretches(a, &a->reads[r]);
        a->item_count += items_of(a, &a->reads[r]);
    }
    size_t queries = (size_t)most_queries(heads), size = (size_t)heads->head_size;
    a->scratch_bytes = aligned(queries * (size * 8 + CHUNK * 4 + sizeof(Softmax) + 4));
    a->items = memory((size_t)a->item_count * sizeof(Item));
    a->row_first = memory(((size_t)a->rows + 1) * sizeof(int));
    a->row_parts = memory((size_t)pairs * sizeof(int));
    a->pair_part = memory(((size_t)pairs + 1) * sizeof(int));
    a->parts = memory((size_t)parts * (size_t)heads->heads * (size + 2) * sizeof(float));
    a->scratch = memory((size_t)threads * a->scratch_bytes);
    if (!a->items || !a->row_first || !a->row_parts || !a->pair_part || !a->parts || !a->scratch) return -1;
    lay_items(a);
    lay_rows(a, pairs);
    return 0;
}

void attention_free(Attention *a) {
    free(a->items);
    free(a->row_first);
    free(a->row_parts);
    free(a->pair_part);
    free(a->parts);
    free(a->scratch);
}

static void turned(const Heads *heads, int position, const float *x, float factor, float *out) {
    int size = heads->head_size, half = size / 2;
    const float *cos = heads->cos + (size_t)position * (size_t)size, *sin = heads->sin + (size_t)position * (size_t)size;
    for (int i = 0; i < half; i++) {
        out[i] = factor * (x[i] * cos[i] + x[i + half] * sin[i]);
        out[i + half] = factor * (x[i + half] * cos[i + half] + x[i] * sin[i + half]);
    }
}

static size_t head_offset(const Heads *heads, const Block *block, int layer, int kv_head) {
    return ((size_t)layer * (size_t)heads->kv_heads + (size_t)kv_head) * (size_t)block->capacity *
           (size_t)heads->head_size;
}

void write_row(const Heads *heads, const Block *block, int layer, int position, const float *k, const float *v) {
    int size = heads->head_size;
    float turned_key[size];
    for (int h = 0; h < heads->kv_heads; h++, k += size, v += size) {
        size_t offset = head_offset(heads, block, layer, h);
        uint16_t *keys = block->keys + offset + (size_t)(position / 16) * 16 * (size_t)size;
        uint16_t *values = block->values + offset + (size_t)(position / 2) * 2 * (size_t)size;
        turned(heads, position, k, 1, turned_key);
        for (int i = 0; i < size; i++) {
            keys[i / 2 * 32 + position % 16 * 2 + i % 2] = to_bf16(turned_key[i]);
            values[i * 2 + position % 2] = to_bf16(v[i]);
        }
    }
}

/* --- one item --- */

typedef struct {
    float *q;      /* [queries, head size], scaled to powers of two, as the set keeps them */
    float *scores; /* [queries, CHUNK]; then the shares */
    float *sums;   /* [queries, head size] */
    Softmax *softmax;
    int *limits;
} Scratch;

static Scratch scratch_of(const Attention *a, int worker) {
    size_t queries = (size_t)most_queries(a->heads), size = (size_t)a->heads->head_size;
    char *at = a->scratch + (size_t)worker * a->scratch_bytes;
    Scratch s;
    s.sums = (float *)(void *)at, at += queries * size * 4;
    s.scores = (float *)(void *)at, at += queries * CHUNK * 4;
    s.q = (float *)(void *)at, at += queries * size * 4;
    s.softmax = (Softmax *)(void *)at, at += queries * sizeof(Softmax);
    s.limits = (int *)(void *)at;
    return s;
}

static void load_queries(const Attention *a, const Item *item, int group, Scratch s) {
    const Heads *heads = a->heads;
    int size = heads->head_size, query = 0;
    float factor = 1.44269504f / sqrtf((float)size), row[size];
    for (int i = 0; i < item->count; i++) {
        const Pair *pair = &a->pairs[item->first + i];
        const float *q = a->q + (size_t)pair->row * a->q_stride + (size_t)item->kv_head * (size_t)(group * size);
        for (int h = 0; h < group; h++, query++, q += size) {
            turned(heads, pair->distance, q, factor, row);
            keep_query(row, size, s.q + query * size);
            s.softmax[query] = (Softmax){-INFINITY, 0};
            s.limits[query] = pair->limit;
        }
    }
    memset(s.sums, 0, (size_t)query * (size_t)size * 4);
}

static void attend_chunk(int queries, const uint16_t *keys, const uint16_t *values, int start, int count, int size,
                         Scratch s) {
    size_t width = (size_t)size;
    for (int k = 0; k < count; k += 64)
        for (int n = 0; n < queries; n += QUERIES)
            score_64(queries - n < QUERIES ? queries - n : QUERIES, keys + (size_t)k * width, size,
                     s.q + (size_t)n * width, s.scores + n * CHUNK + k);
    for (int n = 0; n < queries; n++) {
        int seen = s.limits[n] - start < count ? s.limits[n] - start : count;
        soften(s.scores + n * CHUNK, seen, count, &s.softmax[n], s.sums + (size_t)n * width, size);
    }
    for (int n = 0; n < queries; n += QUERIES)
        weigh(queries - n < QUERIES ? queries - n : QUERIES, values, size, count, s.scores + n * CHUNK,
              s.sums + (size_t)n * width);
}

static void attend_item(void *job, int number, int worker) {
    const Attention *a = job;
    const Item *item = &a->items[number];
    const Heads *heads = a->heads;
    int size = heads->head_size, group = heads->heads / heads->kv_heads, queries = item->count * group;
    size_t offset = head_offset(heads, &item->read->block, a->layer, item->kv_head);
    Scratch s = scratch_of(a, worker);
    load_queries(a, item, group, s);
    for (int start = item->start; start < item->stop; start += CHUNK) {
        int count = item->stop - start < CHUNK ? item->stop - start : CHUNK;
        size_t at = offset + (size_t)start * (size_t)size;
        attend_chunk(queries, item->read->block.keys + at, item->read->block.values + at, start, count, size, s);
    }
    for (int n = 0; n < queries; n++) {
        int head = item->kv_head * group + n % group;
        size_t part = (size_t)(a->pair_part[item->first + n / group] + item->part) * (size_t)heads->heads + (size_t)head;
        float *out = a->parts + part * ((size_t)size + 2);
        memcpy(out, s.sums + n * size, (size_t)size * 4);
        out[size] = s.softmax[n].peak;
        out[size + 1] = s.softmax[n].weight;
    }
}

void attend(Pool *pool, Attention *attention) { pool_run(pool, attend_item, attention, attention->item_count); }

void merge_row(const Attention *a, int row, float *out) {
    int heads = a->heads->heads, size = a->heads->head_size;
    for (int h = 0; h < heads; h++, out += size) {
        float peak = -INFINITY, weight = 0;
        memset(out, 0, (size_t)size * 4);
        for (int pass = 0; pass < 2; pass++)
            for (int i = a->row_first[row]; i < a->row_first[row + 1]; i++) {
                int pair = a->row_parts[i];
                for (int p = a->pair_part[pair]; p < a->pair_part[pair + 1]; p++) {
                    const float *part = a->parts + ((size_t)p * (size_t)heads + (size_t)h) * ((size_t)size + 2);
                    if (part[size + 1] <= 0) continue;
                    if (pass == 0) {
                        peak = part[size] > peak ? part[size] : peak;
                        continue;
                    }
                    float share = exp2f(part[size] - peak);
                    weight += share * part[size + 1];
                    for (int e = 0; e < size; e++) out[e] += share * part[e];
                }
            }
        for (int e = 0; e < size; e++) out[e] /= weight;
    }
}
