/* Shares the product of interleaved quantised weights and int8 activations among threads. */
#include "kernels.h"
#include "layout.h"

enum {
    PANEL = 72,            /* rows of activations that stay in the second-level cache together */
    FEW_ROWS = 12,         /* up to so many, an item is several blocks: its weights cost more than its sums */
    ITEM_BYTES = 64 << 10, /* weights that a thread takes at a time */
};

size_t block_bytes(int format, int columns) {
    int groups = columns / GROUP, unit = format >= 0 && format < FORMATS ? unit_groups(format) : 0;
    if (!unit || columns <= 0 || columns % GROUP || (unit == 8 && groups % unit)) return 0;
    return (size_t)((groups + unit - 1) / unit) * (size_t)unit_bytes(format);
}

typedef struct {
    const Product *product;
    int first, rows;          /* rows of activations of this panel */
    int per_item;             /* blocks of 16 outputs in an item */
    int ends[MAX_PARTS];      /* items up to the end of each part */
} Panel;

static int blocks_of(const Matrix *part) { return (part->rows + BLOCK_ROWS - 1) / BLOCK_ROWS; }

static void store_block(const Product *product, const float *sums, int rows, int first, int output, int width) {
    if (width > BLOCK_ROWS) width = BLOCK_ROWS;
    for (int r = 0; r < rows; r++, sums += BLOCK_ROWS) {
        float *to = product->y + (size_t)(first + r) * product->stride + output;
        for (int i = 0; i < width; i++) {
            float sum = product->bias ? sums[i] + product->bias[output + i] : sums[i];
            to[i] = product->store == ADD ? to[i] + sum : sum;
        }
    }
}

static void multiply_item(void *job, int item, int worker) {
    (void)worker;
    const Panel *panel = job;
    const Product *product = panel->product;
    int number = 0, output = 0;
    while (item >= panel->ends[number]) output += product->parts[number++].rows;
    const Matrix *part = &product->parts[number];
    int start = (item - (number ? panel->ends[number - 1] : 0)) * panel->per_item;
    int stop = start + panel->per_item < blocks_of(part) ? start + panel->per_item : blocks_of(part);
    size_t bytes = block_bytes(part->format, part->columns), stride = (size_t)padded_groups(part->columns);
    for (int b = start; b < stop; b++)
        for (int r = 0; r < panel->rows; r += tile_rows) {
            int rows = panel->rows - r < tile_rows ? panel->rows - r : tile_rows;
            _Alignas(64) float sums[MOST_TILE_ROWS * BLOCK_ROWS];
            multiply_block(part->format, rows, part->data + (size_t)b * bytes, part->columns,
                           product->x + (size_t)(panel->first + r) * stride, stride, sums);
            store_block(product, sums, rows, panel->first + r, output + b * BLOCK_ROWS, part->rows - b * BLOCK_ROWS);
        }
}

void multiply(Pool *pool, const Product *product) {
    for (int first = 0; first < product->rows; first += PANEL) {
        int rows = product->rows - first < PANEL ? product->rows - first : PANEL;
        size_t bytes = block_bytes(product->parts[0].format, product->parts[0].columns);
        int per_item = rows > FEW_ROWS ? 1 : (int)(ITEM_BYTES / bytes);
        Panel panel = {.product = product, .first = first, .rows = rows, .per_item = per_item < 1 ? 1 : per_item};
        int items = 0;
        for (int i = 0; i < product->count; i++)
            panel.ends[i] = items += (blocks_of(&product->parts[i]) + panel.per_item - 1) / panel.per_item;
        pool_run(pool, multiply_item, &panel, items);
    }
}
