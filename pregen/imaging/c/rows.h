/* Rows of samples on their way into boxes: undone what made them pack better (PNG, 9.2; TIFF 6.0,
 * section 14), in pieces of any size or as tiles.
 *
 * SSE2 does the filters in which a pixel of three or four bytes needs its left neighbour; PLAIN_TWIN
 * leaves that out, and gives the same bytes.
 */
#ifndef PREGEN_ROWS_H
#define PREGEN_ROWS_H

#include "boxes.h"

#if defined __SSE2__ && !defined PLAIN_TWIN
#include <emmintrin.h>
#define ROWS_BY_SSE2 1
#else
#define ROWS_BY_SSE2 0
#endif

/* As PNG numbers them. */
enum filter { NOT_FILTERED, LESS_LEFT_ONE, LESS_UPPER, LESS_AVERAGE, LESS_PAETH, FILTERS };

/* How samples are stored: as they are, less their left neighbours, or with a filter for each row. */
enum storing { AS_THEY_ARE, LESS_LEFT, FILTERED, STORINGS };

/* ---- Filters ---- */

static inline int predicted(enum filter filter, int left, int upper, int corner)
{
    if (filter == LESS_LEFT_ONE)
        return left;
    if (filter == LESS_AVERAGE)
        return (left + upper) / 2;
    int to_left = abs(upper - corner), to_upper = abs(left - corner);
    int to_corner = abs(left + upper - 2 * corner);
    int nearest = to_left <= to_upper && to_left <= to_corner ? left
                  : to_upper <= to_corner                     ? upper
                                                              : corner;
    return nearest;
}

/* From the byte `at` on. `step` is the bytes of a pixel; `above` is not read by LESS_LEFT_ONE. */
static inline void undo_plainly(enum filter filter, const uint8_t *in, const uint8_t *above,
                                uint8_t *out, size_t at, size_t bytes, size_t step)
{
    for (; at < bytes; at++) { /* turns: bytes */
        int upper = filter == LESS_LEFT_ONE ? 0 : above[at];
        int left = at < step ? 0 : out[at - step];
        int corner = at < step || filter != LESS_PAETH ? 0 : above[at - step];
        out[at] = (uint8_t)(in[at] + predicted(filter, left, upper, corner));
    }
}

#if ROWS_BY_SSE2

static inline __m128i load_pixel(const uint8_t *at)
{
    int pixel;
    memcpy(&pixel, at, sizeof pixel);
    return _mm_cvtsi32_si128(pixel);
}

static inline __m128i size_of_16(__m128i value)
{
    return _mm_max_epi16(value, _mm_sub_epi16(_mm_setzero_si128(), value));
}

static inline __m128i choose(__m128i which, __m128i one, __m128i other)
{
    return _mm_or_si128(_mm_and_si128(which, one), _mm_andnot_si128(which, other));
}

/* Pixel by pixel, four bytes at once: of three, the fourth is written again with the next one.
 * Returns how many bytes are done. */
static inline size_t undo_pixels(enum filter filter, const uint8_t *in, const uint8_t *above,
                                 uint8_t *out, size_t bytes, size_t step)
{
    const __m128i zero = _mm_setzero_si128(), one = _mm_set1_epi8(1);
    __m128i left = zero, corner = zero;
    size_t at = 0;
    for (; at + 4 <= bytes; at += step) { /* turns: bytes / 3 at most */
        __m128i sum = load_pixel(in + at);
        if (filter == LESS_LEFT_ONE) {
            left = _mm_add_epi8(sum, left);
        } else if (filter == LESS_AVERAGE) {
            __m128i upper = load_pixel(above + at);
            /* It rounds up, where the filter rounds down. */
            __m128i odd = _mm_and_si128(_mm_xor_si128(left, upper), one);
            left = _mm_add_epi8(sum, _mm_sub_epi8(_mm_avg_epu8(left, upper), odd));
        } else { /* in 16 bits a sample */
            __m128i upper = _mm_unpacklo_epi8(load_pixel(above + at), zero);
            __m128i to_left = _mm_sub_epi16(upper, corner), to_upper = _mm_sub_epi16(left, corner);
            __m128i to_corner = size_of_16(_mm_add_epi16(to_left, to_upper));
            to_left = size_of_16(to_left);
            to_upper = size_of_16(to_upper);
            __m128i least = _mm_min_epi16(to_corner, _mm_min_epi16(to_left, to_upper));
            __m128i nearest = choose(_mm_cmpeq_epi16(least, to_left), left,
                                     choose(_mm_cmpeq_epi16(least, to_upper), upper, corner));
            corner = upper;
            sum = _mm_add_epi8(sum, _mm_packus_epi16(nearest, zero));
            left = _mm_unpacklo_epi8(sum, zero);
        }
        int pixel = _mm_cvtsi128_si32(filter == LESS_PAETH ? sum : left);
        memcpy(out + at, &pixel, sizeof pixel);
    }
    return at;
}

#endif

static inline void undo_by_left(enum filter filter, const uint8_t *in, const uint8_t *above,
                                uint8_t *out, size_t bytes, size_t step)
{
    size_t done = 0;
#if ROWS_BY_SSE2
    if (step == 3)
        done = undo_pixels(filter, in, above, out, bytes, 3);
    else if (step == 4)
        done = undo_pixels(filter, in, above, out, bytes, 4);
#endif
    undo_plainly(filter, in, above, out, done, bytes, step);
}

/* Undo a row's filter into `out`, another place. */
static void undo(enum filter filter, const uint8_t *restrict in, const uint8_t *restrict above,
                 uint8_t *restrict out, size_t bytes, size_t step)
{
    switch (filter) {
    case LESS_LEFT_ONE:
        undo_by_left(LESS_LEFT_ONE, in, above, out, bytes, step);
        break;
    case LESS_UPPER:
        for (size_t n = 0; n < bytes; n++) /* turns: bytes */
            out[n] = (uint8_t)(in[n] + above[n]);
        break;
    case LESS_AVERAGE:
        undo_by_left(LESS_AVERAGE, in, above, out, bytes, step);
        break;
    case LESS_PAETH:
        undo_by_left(LESS_PAETH, in, above, out, bytes, step);
        break;
    default:
        memcpy(out, in, bytes);
        break;
    }
}

/* ---- Rows and tiles ---- */

/* Set before `begin_rows`: `boxes` and `storing`. */
struct rows {
    struct boxes boxes;
    enum storing storing;
    size_t row_bytes, stored_bytes; /* of a row; the second with the number of its filter */
    uint8_t *part;                  /* a row that comes in pieces, `part_bytes` of it */
    size_t part_bytes;
    uint8_t *row, *above;
    /* Of tiles: those side by side, up to `left`, as rows of the picture. */
    uint8_t *band;
    int band_rows, left;
};

static inline void end_rows(struct rows *rows)
{
    end_boxes(&rows->boxes);
    free(rows->part);
    free(rows->row);
    free(rows->above);
    free(rows->band);
}

/* False when there is no memory; `end_rows` in any case. */
static bool begin_rows(struct rows *rows)
{
    rows->row_bytes = (size_t)rows->boxes.width_px * (size_t)rows->boxes.bands;
    rows->stored_bytes = rows->row_bytes + (rows->storing == FILTERED);
    rows->part = malloc(rows->stored_bytes);
    rows->row = malloc(rows->row_bytes);
    rows->above = calloc(rows->row_bytes, 1);
    return begin_boxes(&rows->boxes) && rows->part && rows->row && rows->above;
}

static bool take_row(struct rows *rows, const uint8_t *stored)
{
    size_t step = (size_t)rows->boxes.bands;
    if (rows->storing == AS_THEY_ARE)
        return add_row(&rows->boxes, stored);
    if (rows->storing == LESS_LEFT) {
        undo(LESS_LEFT_ONE, stored, rows->above, rows->row, rows->row_bytes, step);
        return add_row(&rows->boxes, rows->row);
    }
    if (stored[0] >= FILTERS)
        return false;
    undo((enum filter)stored[0], stored + 1, rows->above, rows->row, rows->row_bytes, step);
    uint8_t *row = rows->row;
    rows->row = rows->above;
    rows->above = row;
    return add_row(&rows->boxes, row);
}

/* Take the next bytes. False when they are not sound, or too many. */
static bool take_rows(struct rows *rows, const uint8_t *data, size_t size)
{
    while (size) { /* turns: the rows that `size` holds, and two */
        if (!rows->part_bytes && size >= rows->stored_bytes) {
            if (!take_row(rows, data))
                return false;
            data += rows->stored_bytes;
            size -= rows->stored_bytes;
            continue;
        }
        size_t more = rows->stored_bytes - rows->part_bytes;
        more = more < size ? more : size;
        memcpy(rows->part + rows->part_bytes, data, more);
        rows->part_bytes += more;
        data += more;
        size -= more;
        if (rows->part_bytes < rows->stored_bytes)
            break;
        rows->part_bytes = 0;
        if (!take_row(rows, rows->part))
            return false;
    }
    return true;
}

/* Take the next tile, from left to right and from above; all are of the same size, and of the last
 * ones the picture has a part. False when it is not sound, or there is no memory (`*enough`). */
static bool take_tile(struct rows *rows, const uint8_t *data, size_t size, int columns, int high,
                      bool *enough)
{
    struct boxes *boxes = &rows->boxes;
    size_t bands = (size_t)boxes->bands;
    int missing = boxes->height_px - boxes->added;
    *enough = true;
    if (columns < 1 || high < 1 || missing < 1 || rows->storing == FILTERED ||
        size != (size_t)columns * (size_t)high * bands)
        return false;
    if (!rows->band) {
        rows->band_rows = high < missing ? high : missing;
        rows->band = malloc((size_t)rows->band_rows * rows->row_bytes);
        *enough = rows->band;
        if (!*enough)
            return false;
    }
    int here = high < missing ? high : missing, keep = boxes->width_px - rows->left;
    if (here > rows->band_rows)
        return false;
    keep = keep < columns ? keep : columns;
    for (int n = 0; n < here; n++) { /* turns: band_rows */
        uint8_t *out = rows->band + (size_t)n * rows->row_bytes + (size_t)rows->left * bands;
        undo(rows->storing == LESS_LEFT ? LESS_LEFT_ONE : NOT_FILTERED,
             data + (size_t)n * (size_t)columns * bands, rows->above, out, (size_t)keep * bands,
             bands);
    }
    rows->left += keep;
    if (rows->left < boxes->width_px)
        return true;
    rows->left = 0;
    for (int n = 0; n < here; n++) /* turns: band_rows */
        if (!add_row(boxes, rows->band + (size_t)n * rows->row_bytes))
            return false;
    return true;
}

/* True when every row is there. */
static bool are_rows_done(const struct rows *rows)
{
    return rows->boxes.added == rows->boxes.height_px && !rows->part_bytes;
}

#endif
