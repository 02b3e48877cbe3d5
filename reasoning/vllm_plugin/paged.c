/* Attention over a paged cache for few queries, with log-sum-exps. A page holds keys as [width][page] and values as
 * [page][width], as vLLM's cache for processors does. Queries, results and arithmetic are float. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { TILE = 8 /* queries that share a page while it lies in the first cache */, MOST_WIDTH = 256 };

typedef struct {
    const float *q;
    const void *k, *v;
    const int32_t *starts, *lengths, *pages;
    float *out, *lse;
    int64_t k_page, k_head, v_page, v_head; /* strides in numbers */
    int32_t rows, tokens, heads, kv_heads, width, page, pages_each, causal, halves;
    float scale;
} Job;

/* e^x for x <= 0, to 2e-7. */
static inline float exp_below_zero(float x) {
    x = x < -87.0f ? -87.0f : x;
    float n = rintf(x * 1.44269504f);
    float r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    p = fmaf(p, r * r, r) + 1.0f;
    int32_t bits = ((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static inline float from_bfloat16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A page of one head as float: itself, or converted. */
static const float *page_of(const void *base, int64_t at, int halves, int count, float *converted) {
    if (!halves) return (const float *)base + at;
    const uint16_t *from = (const uint16_t *)base + at;
    for (int i = 0; i < count; i++) converted[i] = from_bfloat16(from[i]);
    return converted;
}

/* One key head's queries of up to TILE tokens of one row. `scores`: [TILE * group][keys rounded up to pages]. */
static void attend(const Job *job, int row, int head, int first, int tokens, float *scores, float *converted) {
    int group = job->heads / job->kv_heads, queries = tokens * group, width = job->width, page = job->page;
    int row_tokens = job->starts[row + 1] - job->starts[row], length = job->lengths[row];
    int used = (length + page - 1) / page;
    size_t stride = (size_t)used * page;
    const int32_t *pages = job->pages + (int64_t)row * job->pages_each;
    for (int b = 0; b < used; b++) {
        int64_t at = pages[b] * job->k_page + head * job->k_head;
        const float *k = page_of(job->k, at, job->halves, page * width, converted);
        for (int i = 0; i < queries; i++) {
            int64_t token = job->starts[row] + first + i / group;
            const float *q = job->q + (token * job->heads + head * group + i % group) * width;
            float *to = scores + i * stride + (size_t)b * page;
            for (int t = 0; t < page; t += 32) {
                float sum[32] = {0};
                for (int d = 0; d < width; d++)
                    for (int j = 0; j < 32; j++) sum[j] += q[d] * k[d * page + t + j];
                for (int j = 0; j < 32; j++) to[t + j] = sum[j] * job->scale;
            }
        }
    }
    for (int i = 0; i < queries; i++) {
        int64_t token = job->starts[row] + first + i / group, out = token * job->heads + head * group + i % group;
        int seen = job->causal ? length - row_tokens + first + i / group + 1 : length;
        float *p = scores + i * stride, most = -INFINITY, sum = 0;
        for (int t = 0; t < seen; t++) most = p[t] > most ? p[t] : most;
        for (int t = 0; t < seen; t++) {
            p[t] = exp_below_zero(p[t] - most);
            sum += p[t];
        }
        memset(p + (seen > 0 ? seen : 0), 0, (stride - (seen > 0 ? seen : 0)) * sizeof *p);
        job->lse[(head * group + i % group) * (int64_t)job->tokens + token] = seen > 0 ? most + logf(sum) : -INFINITY;
        memset(job->out + out * width, 0, width * sizeof *job->out);
        for (int t = 0; t < seen; t++) p[t] /= sum;
    }
    for (int b = 0; b < used; b++) {
        int64_t at = pages[b] * job->v_page + head * job->v_head;
        const float *v = page_of(job->v, at, job->halves, page * width, converted);
        int keys = length - b * page < page ? length - b * page : page;
        for (int i = 0; i < queries; i++) {
            int64_t token = job->starts[row] + first + i / group;
            float *out = job->out + (token * job->heads + head * group + i % group) * width;
            const float *p = scores + i * stride + (size_t)b * page;
            float sum[MOST_WIDTH];
            memcpy(sum, out, width * sizeof *sum);
            for (int t = 0; t < keys; t++)
                for (int d = 0; d < width; d++) sum[d] += p[t] * v[t * width + d];
            memcpy(out, sum, width * sizeof *sum);
        }
    }
}

/* 0, or 1 where there was no memory. */
int live_views_attend(const Job *job) {
    int longest = 0, group = job->heads / job->kv_heads, failed = 0;
    for (int row = 0; row < job->rows; row++) longest = job->lengths[row] > longest ? job->lengths[row] : longest;
    size_t keys = ((size_t)longest + job->page - 1) / job->page * job->page;
#pragma omp parallel
    {
        float *scores = aligned_alloc(64, (TILE * group * keys + 16) * sizeof *scores / 64 * 64 + 64);
        float *converted = aligned_alloc(64, (size_t)job->page * job->width * sizeof *converted);
        if (!scores || !converted) failed = 1;
#pragma omp barrier
        if (!failed) {
#pragma omp for collapse(2) schedule(dynamic)
            for (int row = 0; row < job->rows; row++)
                for (int head = 0; head < job->kv_heads; head++) {
                    int tokens = job->starts[row + 1] - job->starts[row];
                    for (int first = 0; first < tokens; first += TILE)
                        attend(job, row, head, first, tokens - first < TILE ? tokens - first : TILE, scores, converted);
                }
        }
        free(scores);
        free(converted);
    }
    return failed;
}
