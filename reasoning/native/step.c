/* One step of a decoder: all rows through all layers, and logits for those that want them.
 *
 * The residual stream and everything between products is float32; products take int8 activations, attention takes
 * bfloat16. The feed-forward part goes in panels of rows, so that its wide middle stays in the cache. */
#include <stdlib.h>

#include "attention.h"
#include "kernels.h"
#include "linear.h"

enum { PANEL_ROWS = 72, SLICE = 32 * GROUP /* columns of the middle that a thread takes at a time */ };

typedef struct {
    const Matrix *parts;
    int64_t count;
    const float *bias; /* or NULL */
} Linear;

typedef struct {
    Linear q_k_v, output, gate_up, down;
    const float *attention_norm, *feed_forward_norm;
    const float *q_norm, *k_norm; /* [head size] or NULL */
} Layer;

typedef struct {
    int32_t layers, width, inner, vocabulary;
    Heads heads;
    float epsilon;
    const Layer *layer;
    const float *norm;
    Linear head;
} Model;

typedef struct {
    Block block;
    int64_t position;
} Write;

typedef struct {
    int32_t rows, reads, wants, unused;
    float *x;            /* [rows, width]: embeddings, overwritten */
    const Write *writes; /* [rows] */
    const Read *read;
    const Pair *pairs;
    const int32_t *want; /* [wants] rows whose logits are asked for */
    float *logits;       /* [wants, vocabulary] */
} Step;

typedef struct {
    Pool *pool;
    const Model *model;
    const Step *step;
    const Layer *layer;
    Attention attention;
    float *q_k_v, *middle;
    Group *panel;
    float *row; /* of each worker: the widest row there is */
    size_t row_size;
    int first;  /* row of the panel */
    const float *norm;
} Run;

static int q_k_v_size(const Model *model) {
    return (model->heads.heads + 2 * model->heads.kv_heads) * model->heads.head_size;
}

/* --- what is done row by row, between products --- */

static void norm_row(void *job, int row, int worker) {
    const Run *run = job;
    int width = run->model->width;
    float *out = run->row + (size_t)worker * run->row_size;
    normed(run->step->x + (size_t)(run->first + row) * (size_t)width, run->norm, width, run->model->epsilon, out);
    quantise(out, width, run->panel + (size_t)row * (size_t)padded_groups(width));
}

static void wanted_row(void *job, int number, int worker) {
    const Run *run = job;
    int width = run->model->width;
    float *out = run->row + (size_t)worker * run->row_size;
    normed(run->step->x + (size_t)run->step->want[number] * (size_t)width, run->norm, width, run->model->epsilon, out);
    quantise(out, width, run->panel + (size_t)number * (size_t)padded_groups(width));
}

static void write_keys(void *job, int row, int worker) {
    (void)worker;
    const Run *run = job;
    const Heads *heads = &run->model->heads;
    int size = heads->head_size;
    float *q = run->q_k_v + (size_t)row * (size_t)q_k_v_size(run->model), *k = q + heads->heads * size;
    if (run->layer->q_norm)
        for (int h = 0; h < heads->heads; h++)
            normed(q + h * size, run->layer->q_norm, size, run->model->epsilon, q + h * size);
    if (run->layer->k_norm)
        for (int h = 0; h < heads->kv_heads; h++)
            normed(k + h * size, run->layer->k_norm, size, run->model->epsilon, k + h * size);
    const Write *write = &run->step->writes[row];
    write_row(heads, &write->block, run->attention.layer, (int)write->position, k, k + heads->kv_heads * size);
}

static void merged_row(void *job, int row, int worker) {
    const Run *run = job;
    int size = run->model->heads.heads * run->model->heads.head_size;
    float *out = run->row + (size_t)worker * run->row_size;
    merge_row(&run->attention, run->first + row, out);
    quantise(out, size, run->panel + (size_t)row * (size_t)padded_groups(size));
}

static int slices(const Model *model) { return (model->inner + SLICE - 1) / SLICE; }

static void gated_slice(void *job, int number, int worker) {
    (void)worker;
    const Run *run = job;
    int inner = run->model->inner, row = number / slices(run->model), start = number % slices(run->model) * SLICE;
    int count = inner - start < SLICE ? inner - start : SLICE;
    float *gate = run->middle + (size_t)row * 2 * (size_t)inner + start;
    const float *up = gate + inner;
    gated(gate, up, count);
    quantise(gate, count, run->panel + (size_t)row * (size_t)padded_groups(inner) + start / GROUP);
}

/* --- products --- */

static void product(Run *run, const Linear *linear, int rows, float *y, int stride, enum Store store) {
    Product p = {linear->parts, (int)linear->count, linear->bias, run->panel, rows, y, (size_t)stride, store};
    multiply(run->pool, &p);
}

static int panel_rows(const Run *run) {
    int left = run->step->rows - run->first;
    return left < PANEL_ROWS ? left : PANEL_ROWS;
}

static void attention_part(Run *run) {
    const Model *model = run->model;
    int size = q_k_v_size(model);
    run->norm = run->layer->attention_norm;
    for (run->first = 0; run->first < run->step->rows; run->first += PANEL_ROWS) {
        pool_run(run->pool, norm_row, run, panel_rows(run));
        float *y = run->q_k_v + (size_t)run->first * (size_t)size;
        product(run, &run->layer->q_k_v, panel_rows(run), y, size, REPLACE);
    }
    pool_run(run->pool, write_keys, run, run->step->rows);
    attend(run->pool, &run->attention);
    for (run->first = 0; run->first < run->step->rows; run->first += PANEL_ROWS) {
        pool_run(run->pool, merged_row, run, panel_rows(run));
        float *y = run->step->x + (size_t)run->first * (size_t)model->width;
        product(run, &run->layer->output, panel_rows(run), y, model->width, ADD);
    }
}

static void feed_forward_part(Run *run) {
    const Model *model = run->model;
    run->norm = run->layer->feed_forward_norm;
    for (run->first = 0; run->first < run->step->rows; run->first += PANEL_ROWS) {
        int rows = panel_rows(run);
        pool_run(run->pool, norm_row, run, rows);
        product(run, &run->layer->gate_up, rows, run->middle, 2 * model->inner, REPLACE);
        pool_run(run->pool, gated_slice, run, rows * slices(model));
        float *y = run->step->x + (size_t)run->first * (size_t)model->width;
        product(run, &run->layer->down, rows, y, model->width, ADD);
    }
}

static void compute(Run *run) {
    const Model *model = run->model;
    for (int i = 0; i < model->layers; i++) {
        run->layer = &model->layer[i];
        run->attention.layer = i;
        attention_part(run);
        feed_forward_part(run);
    }
    run->norm = model->norm;
    for (int first = 0; first < run->step->wants; first += PANEL_ROWS) {
        int rows = run->step->wants - first < PANEL_ROWS ? run->step->wants - first : PANEL_ROWS;
        Step part = *run->step;
        part.want += first;
        Run some = *run;
        some.step = &part;
        pool_run(run->pool, wanted_row, &some, rows);
        float *y = run->step->logits + (size_t)first * (size_t)model->vocabulary;
        product(run, &model->head, rows, y, model->vocabulary, REPLACE);
    }
}

static void *memory(size_t bytes) { return aligned_alloc(64, (bytes + 63) / 64 * 64); }

/* 0, or -1 without memory: then nothing but the blocks' unused ends has changed. */
int descant_step(Pool *pool, const Model *model, const Step *step) {
    int threads = pool_threads(pool), attended = model->heads.heads * model->heads.head_size;
    int widest = model->width > attended ? model->width : attended;
    int rows = step->rows < PANEL_ROWS ? step->rows : PANEL_ROWS;
    if (step->wants > rows) rows = step->wants < PANEL_ROWS ? step->wants : PANEL_ROWS;
    int groups = padded_groups(widest > model->inner ? widest : model->inner);
    Run run = {.pool = pool, .model = model, .step = step, .row_size = (size_t)(widest + 15) / 16 * 16};
    run.q_k_v = memory((size_t)step->rows * (size_t)q_k_v_size(model) * sizeof(float));
    run.middle = memory((size_t)rows * 2 * (size_t)model->inner * sizeof(float));
    run.panel = memory((size_t)rows * (size_t)groups * sizeof(Group));
    run.row = memory((size_t)threads * run.row_size * sizeof(float));
    run.attention = (Attention){.heads = &model->heads, .reads = step->read, .pairs = step->pairs,
                                .read_count = step->reads, .rows = step->rows,
                                .q = run.q_k_v, .q_stride = (size_t)q_k_v_size(model)};
    int failed = attention_plan(&run.attention, threads);
    if (!run.q_k_v || !run.middle || !run.panel || !run.row) failed = -1;
    if (!failed) {
        pool_enter(pool);
        compute(&run);
        pool_leave(pool);
    }
    attention_free(&run.attention);
    free(run.q_k_v);
    free(run.middle);
    free(run.panel);
    free(run.row);
    return failed;
}
