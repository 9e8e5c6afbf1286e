/* A picture made smaller while it comes: blocks of pixels become their mean, row by row.
 *
 * Sums stand for each pixel of one row, and take up to MOST_BLOCK rows; only then are neighbours
 * added up. So nearly all of the work is one addition for each sample, which compilers do many of
 * at once; nothing here is written for one processor.
 *
 * Colours are weighed by their alpha, where there is one: what cannot be seen has no colour.
 */
#ifndef PREGEN_BOXES_H
#define PREGEN_BOXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define RESULT_BANDS 4
#define FULL 255 /* of a sample */
/* Of a picture that is averaged, in pixels. */
#define MOST_BOXED_SIDE 65536
/* Pixels across and down that become one. 256 samples of 255 are less than 2^16, 256 x 256 of
 * 255 x 255 less than 2^32. */
#define MOST_BLOCK 256
#define PALETTE_COLOURS 256

/* Set before `begin_boxes`: */
struct boxes {
    int width_px, height_px; /* 1 to MOST_BOXED_SIDE */
    int bands;               /* of a stored pixel: grey 1, with alpha 2, RGB 3, RGBA 4 */
    int across, down;        /* pixels of a block: 1 to MOST_BLOCK, none above its edge */
    bool clear;              /* alpha counts; else a pixel that is not opaque is refused */
    int colours;             /* of the palette; 0 where there is none; with one, `bands` is 1 */
    uint8_t palette[PALETTE_COLOURS * RESULT_BANDS];
    /* Made by `begin_boxes`: */
    int added;         /* rows */
    int columns, rows; /* of the result */
    int summed;        /* bands of a pixel in sums: 1, 3, 4 */
    uint8_t *widened;  /* a row as RGBA, of a palette or of grey with alpha */
    uint16_t *sums;    /* of opaque pixels */
    uint32_t *weighed; /* of others: colours times alpha, and alpha times FULL */
    uint8_t *result;   /* columns x rows x RGBA; floats where `weighed`, colours times alpha */
};

static inline void end_boxes(struct boxes *boxes)
{
    free(boxes->widened);
    free(boxes->sums);
    free(boxes->weighed);
    free(boxes->result);
}

/* True where every pixel is one of the result, and alpha stays as it is. */
static inline bool are_single(const struct boxes *boxes)
{
    return boxes->across == 1 && boxes->down == 1;
}

/* True where the result is floats of colours times alpha. */
static inline bool are_weighed(const struct boxes *boxes)
{
    return boxes->clear && !are_single(boxes);
}

/* False when there is no memory; `end_boxes` in any case. */
static bool begin_boxes(struct boxes *boxes)
{
    size_t width_px = (size_t)boxes->width_px;
    bool widens = boxes->colours || boxes->bands == 2;
    boxes->columns = (boxes->width_px + boxes->across - 1) / boxes->across;
    boxes->rows = (boxes->height_px + boxes->down - 1) / boxes->down;
    boxes->summed = widens ? RESULT_BANDS : boxes->bands;
    size_t samples = width_px * (size_t)boxes->summed;
    size_t results = (size_t)boxes->columns * (size_t)boxes->rows * RESULT_BANDS;
    boxes->result = malloc(results * (are_weighed(boxes) ? sizeof(float) : 1));
    bool enough = boxes->result;
    if (widens)
        enough &= (boxes->widened = malloc(width_px * RESULT_BANDS)) != NULL;
    if (are_weighed(boxes))
        enough &= (boxes->weighed = calloc(samples, sizeof *boxes->weighed)) != NULL;
    else if (!are_single(boxes))
        enough &= (boxes->sums = calloc(samples, sizeof *boxes->sums)) != NULL;
    return enough;
}

/* Write a row of a palette's colours as RGBA. False where there is no such colour. */
static bool look_up(const struct boxes *boxes, const uint8_t *row, uint8_t *out)
{
    int most = 0;
    for (int n = 0; n < boxes->width_px; n++) { /* turns: width_px */
        most = row[n] > most ? row[n] : most;
        memcpy(out + n * RESULT_BANDS, boxes->palette + row[n] * RESULT_BANDS, RESULT_BANDS);
    }
    return most < boxes->colours;
}

static void widen_grey(const uint8_t *row, int count, uint8_t *out)
{
    for (int n = 0; n < count; n++) { /* turns: count */
        memset(out + n * RESULT_BANDS, row[2 * n], RESULT_BANDS - 1);
        out[n * RESULT_BANDS + RESULT_BANDS - 1] = row[2 * n + 1];
    }
}

/* True when all of `count` pixels of RGBA are opaque. */
static bool are_opaque(const uint8_t *row, int count)
{
    uint8_t common[RESULT_BANDS];
    uint32_t all = UINT32_MAX;
    for (int n = 0; n < count; n++) { /* turns: count */
        uint32_t pixel;
        memcpy(&pixel, row + n * RESULT_BANDS, sizeof pixel);
        all &= pixel;
    }
    memcpy(common, &all, sizeof all);
    return common[RESULT_BANDS - 1] == FULL;
}

static void add_samples(uint16_t *restrict sums, const uint8_t *restrict row, size_t count)
{
    for (size_t n = 0; n < count; n++) /* turns: count */
        sums[n] = (uint16_t)(sums[n] + row[n]);
}

static void add_weighed(uint32_t *restrict sums, const uint8_t *restrict row, size_t pixels)
{
    for (size_t n = 0; n < pixels; n++) { /* turns: pixels */
        uint32_t alpha = row[4 * n + 3];
        sums[4 * n] += row[4 * n] * alpha;
        sums[4 * n + 1] += row[4 * n + 1] * alpha;
        sums[4 * n + 2] += row[4 * n + 2] * alpha;
        sums[4 * n + 3] += FULL * alpha;
    }
}

/* Write a row of pixels as RGBA. */
static void spread_row(const struct boxes *boxes, const uint8_t *row, uint8_t *out)
{
    int bands = boxes->summed;
    for (int n = 0; n < boxes->width_px; n++, row += bands, out += RESULT_BANDS) { /* turns: width_px */
        for (int band = 0; band < RESULT_BANDS - 1; band++) /* turns: 3 */
            out[band] = row[bands == 1 ? 0 : band];
        out[RESULT_BANDS - 1] = bands == RESULT_BANDS ? row[RESULT_BANDS - 1] : FULL;
    }
}

/* Write a row of means of opaque pixels, of `rows` rows that were added up. */
static void write_means(const struct boxes *boxes, int rows, uint8_t *out)
{
    int bands = boxes->summed;
    const uint16_t *sums = boxes->sums;
    for (int left = 0; left < boxes->width_px; left += boxes->across) { /* turns: columns */
        int wide = boxes->width_px - left;
        wide = wide < boxes->across ? wide : boxes->across;
        uint32_t totals[RESULT_BANDS] = {0}, count = (uint32_t)(wide * rows);
        for (int n = 0; n < wide; n++) /* turns: across */
            for (int band = 0; band < bands; band++) /* turns: 4 at most */
                totals[band] += *sums++;
        /* A total is below 256 x count, and count at most 2^16: the quotient is exact. */
        uint64_t part = (UINT64_C(1) << 40) / count + 1;
        for (int band = 0; band < RESULT_BANDS - 1; band++) { /* turns: 3 */
            uint64_t total = totals[bands == 1 ? 0 : band] + count / 2;
            *out++ = (uint8_t)(total * part >> 40);
        }
        *out++ = FULL;
    }
}

/* Write a row of means of colours times alpha, and of alpha. */
static void write_weighed(const struct boxes *boxes, int rows, float *out)
{
    const uint32_t *sums = boxes->weighed;
    for (int left = 0; left < boxes->width_px; left += boxes->across) { /* turns: columns */
        int wide = boxes->width_px - left;
        wide = wide < boxes->across ? wide : boxes->across;
        uint32_t totals[RESULT_BANDS] = {0};
        for (int n = 0; n < wide; n++) /* turns: across */
            for (int band = 0; band < RESULT_BANDS; band++) /* turns: 4 */
                totals[band] += *sums++;
        for (int band = 0; band < RESULT_BANDS; band++) /* turns: 4 */
            *out++ = (float)((double)totals[band] / ((double)FULL * wide * rows));
    }
}

/* Add the next row of stored pixels. False when none is to come, a colour is not in the palette, or
 * a pixel is not opaque although all should be. */
static bool add_row(struct boxes *boxes, const uint8_t *row)
{
    if (boxes->added >= boxes->height_px)
        return false;
    bool good = true;
    if (boxes->colours) {
        good = look_up(boxes, row, boxes->widened);
        row = boxes->widened;
    } else if (boxes->bands == 2) {
        widen_grey(row, boxes->width_px, boxes->widened);
        row = boxes->widened;
    }
    if (!good || (boxes->summed == RESULT_BANDS && !boxes->clear &&
                  !are_opaque(row, boxes->width_px)))
        return false;
    size_t width_px = (size_t)boxes->width_px;
    size_t at = (size_t)(boxes->added / boxes->down) * (size_t)boxes->columns * RESULT_BANDS;
    boxes->added++;
    if (are_single(boxes)) {
        spread_row(boxes, row, boxes->result + at);
        return true;
    }
    if (boxes->weighed)
        add_weighed(boxes->weighed, row, width_px);
    else
        add_samples(boxes->sums, row, width_px * (size_t)boxes->summed);
    int rows = (boxes->added - 1) % boxes->down + 1;
    if (rows < boxes->down && boxes->added < boxes->height_px)
        return true;
    if (boxes->weighed) {
        write_weighed(boxes, rows, (float *)(void *)boxes->result + at);
        memset(boxes->weighed, 0, width_px * RESULT_BANDS * sizeof *boxes->weighed);
    } else {
        write_means(boxes, rows, boxes->result + at);
        memset(boxes->sums, 0, width_px * (size_t)boxes->summed * sizeof *boxes->sums);
    }
    return true;
}

#endif
