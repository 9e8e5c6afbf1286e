/* Where a picture may be shifted: found in the DC of its blocks alone.
 *
 * Damage that takes as many bits as what it replaces leaves all blocks in place and shifts the DC
 * of those that follow: from one block on, in the middle of a row, all are brighter or darker, or
 * of another colour, than those above them. Some pictures have such edges; decoders.jpeg_damage
 * tells by their pixels.
 */
#ifndef PREGEN_SEAMS_H
#define PREGEN_SEAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define SEAM_LEVELS 12
#define MOST_LEVELS_APART 48
/* So many blocks before and behind each end of a seam are looked at. */
#define SEAM_ENDS 4
/* Of them, so many may be on the wrong side: what is damaged itself, or an edge of the picture's. */
#define MOST_ASTRAY 6
#define LEAST_COLUMNS 8

/* One component's DC: a value each `step`, rows `row_step` apart. */
struct dc_plane {
    const int16_t *dc;
    size_t step, row_step;
    int columns, rows, quantiser;
};

/* By how much a block differs from the one above it, in 1/8 levels. */
static inline int32_t below_above(const struct dc_plane *plane, int row, int column)
{
    const int16_t *here = plane->dc + (size_t)row * plane->row_step + (size_t)column * plane->step;
    int32_t apart = (here[0] - here[-(ptrdiff_t)plane->row_step]) * plane->quantiser;
    int32_t most = 8 * MOST_LEVELS_APART;
    return apart > most ? most : apart < -most ? -most : apart;
}

/* True when a shift by about `mean` may begin with block number `at`. */
static bool is_seam(const struct dc_plane *plane, int64_t at, int32_t mean)
{
    int64_t columns = plane->columns, blocks = columns * plane->rows;
    if (at % columns == 0)
        return false; /* as an edge of the picture would */
    int64_t short_side = at % columns < columns / 2 ? at % columns : columns - at % columns;
    int sign = mean < 0 ? -1 : 1, half = sign * mean / 2;
    int within = 0, around = 0, ends = 0;
    int64_t first = at < 2 * columns ? columns : at - columns;
    int64_t last = at + 2 * columns < blocks ? at + 2 * columns : blocks;
    for (int64_t n = first; n < last; n++) { /* turns: three rows */
        int32_t apart = below_above(plane, (int)(n / columns), (int)(n % columns));
        bool far = sign * apart >= half, inside = n >= at && n < at + columns;
        within += far && inside;
        around += far && !inside;
        bool near = (n >= at - SEAM_ENDS && n < at + SEAM_ENDS) ||
                    (n >= at + columns - SEAM_ENDS && n < at + columns + SEAM_ENDS);
        ends += near && far != inside;
    }
    /* An edge along all of a row misses each block of the shorter side twice: here, and one row below. */
    int64_t most = 2 * short_side - 1 < MOST_ASTRAY ? 2 * short_side - 1 : MOST_ASTRAY;
    return within * 4 >= columns * 3 && around * 5 <= last - first - columns && ends <= most;
}

/* The block of a row from which on all may be shifted; -1 where there is none. */
static __attribute__((noinline)) int64_t seam_in_row(const struct dc_plane *plane, int row)
{
    int columns = plane->columns, best = 0;
    int32_t sum = 0, best_sum = 0;
    for (int column = 0; column < columns; column++) /* turns: at most MOST_PX / 8 + 1 */
        sum += below_above(plane, row, column);
    for (int column = 1; column < columns; column++) { /* turns: at most MOST_PX / 8 + 1 */
        /* As many as a row has, from here on. */
        sum += below_above(plane, row + 1, column - 1) - below_above(plane, row, column - 1);
        if (abs(sum) > abs(best_sum)) {
            best_sum = sum;
            best = column;
        }
    }
    int64_t at = (int64_t)row * columns + best;
    bool found = abs(best_sum) >= 8 * SEAM_LEVELS * columns && is_seam(plane, at, best_sum / columns);
    return found ? at : -1;
}

static __attribute__((noinline)) int64_t sum_of_row(const struct dc_plane *plane, int row)
{
    const int16_t *dc = plane->dc + (size_t)row * plane->row_step;
    int32_t sum = 0;
    if (plane->step == 1) {
        for (int column = 0; column < plane->columns; column++) /* turns: at most MOST_PX / 8 + 1 */
            sum += dc[column];
    } else {
        for (int column = 0; column < plane->columns; column++) /* turns: at most MOST_PX / 8 + 1 */
            sum += dc[(size_t)column * plane->step];
    }
    return sum;
}

/* Find blocks from which on all may be shifted; return how many, at most `most`. */
static int find_seams(const struct dc_plane *plane, int64_t *found, int most)
{
    int count = 0;
    if (plane->columns < LEAST_COLUMNS || plane->rows < 3)
        return 0;
    /* The sums of the rows above and below a shift tell most rows from one in which it begins. */
    int64_t least = 7 * SEAM_LEVELS * (int64_t)plane->columns;
    int64_t above = sum_of_row(plane, 0), here = sum_of_row(plane, 1);
    /* turns: at most MOST_PX / 8 + 1 */
    for (int row = 1; row < plane->rows - 1 && count < most; row++) {
        int64_t below = sum_of_row(plane, row + 1);
        if (llabs(below - above) * plane->quantiser >= least) {
            int64_t seam = seam_in_row(plane, row);
            if (seam >= 0)
                found[count++] = seam;
        }
        above = here;
        here = below;
    }
    return count;
}

#endif
