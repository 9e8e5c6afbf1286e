/* A baseline scan, read in two steps: three cursors find where its blocks end (cursors.h), and then
 * what is needed of each block is read where it begins. At 1/4 and 1/2 they have its coefficients, too:
 * its samples are made of these.
 *
 * It accepts what one cursor accepts (scans.h), and finds the same. Restart intervals, E.2.4, begin
 * where they begin: short ones are read three at a time, and each is certain.
 */
#ifndef PREGEN_INDEXED_H
#define PREGEN_INDEXED_H

#include "cursors.h"
#include "scans.h"

/* What each cursor reads at a time, if its blocks are not too many. */
#define RANGE_BYTES (36 * 1024)
/* Restart intervals of more blocks are read in ranges; a list has room for five of these. */
#define MOST_SHORT_BLOCKS (RANGE_BLOCKS / 3)
#define MOST_INTERVALS 256 /* at once */

/* Restart intervals of which the window has all, one behind the other. */
struct intervals {
    int count;
    uint32_t bounds[MOST_INTERVALS + 1]; /* where each begins, in bits, and the last one ends */
};

/* One of an MCU's blocks: where its DC and its samples go, in the next MCU. */
struct spot {
    struct component *component;
    int across; /* blocks to those of the MCU behind it */
    int16_t *dc;
    uint8_t *samples;
};

struct indexed {
    struct intervals whole;
    /* Where blocks begin that are not read yet, and where the last one ends. */
    uint32_t begins[1 + MOST_BLOCKS + CURSORS * LIST_BLOCKS];
    /* At 1/4 and 1/2: the next block, and which it is of its MCU. */
    struct spot spots[MOST_BLOCKS];
    int block, row, column;
    struct index index; /* has its coefficients behind it */
};

/* ---- blocks ---- */

/* Blocks of one component in a row of MCUs. */
struct found {
    const uint8_t *window;
    const uint32_t *begins; /* in bits of the window; those of an MCU are `blocks` from the next's */
    int blocks, row, column, mcus;
};

/* Read the DC of blocks. */
HOT bool take_found_dc(const struct found *found, struct component *component,
                       const struct huffman *table, const int across, const int down)
{
    const uint32_t *begins = found->begins;
    size_t stride = (size_t)component->stride;
    int16_t *out = component->dc + (size_t)(found->row * down) * stride +
                   (size_t)(found->column * across);
    /* turns: at most MOST_PX / 8 + 1 */
    for (int mcu = 0; mcu < found->mcus; mcu++, begins += found->blocks, out += across) {
        for (int block = 0; block < across * down; block++) { /* turns: at most 4 */
            struct bits bits = bits_from(found->window, begins[block]);
            int32_t dc;
            if (!take_dc(component, table, &bits, &dc))
                return false;
            out[(size_t)(block / across) * stride + (size_t)(block % across)] = (int16_t)dc;
        }
    }
    return true;
}

/* The same by how many of them an MCU has. */
static bool take_found(const struct found *found, struct component *component,
                       const struct huffman *table, int across, int down)
{
    if (across == 1)
        return down == 1 ? take_found_dc(found, component, table, 1, 1)
                         : take_found_dc(found, component, table, 1, 2);
    return down == 1 ? take_found_dc(found, component, table, 2, 1)
                     : take_found_dc(found, component, table, 2, 2);
}

/* Read blocks of both chroma components that become 2 x 2 samples: one of each at the same time, as
 * each would wait for its bits. */
static bool take_found_chroma(const struct decoder *decoder, const struct found *found,
                              struct component *blue, struct component *red)
{
    const struct huffman *blue_ac = &decoder->ac_tables[blue->ac_table];
    const struct huffman *red_ac = &decoder->ac_tables[red->ac_table];
    const uint32_t *begins = found->begins;
    size_t row = (size_t)found->row, column = (size_t)found->column;
    size_t at = row * (size_t)blue->stride + column;
    /* turns: at most MOST_PX / 8 + 1 */
    for (int mcu = 0; mcu < found->mcus; mcu++, begins += found->blocks, at++, column++) {
        struct bits blue_bits = bits_from(found->window, begins[0]);
        struct bits red_bits = bits_from(found->window, begins[1]);
        int32_t blue_dc, red_dc;
        if (!take_dc(blue, &decoder->dc_tables[blue->dc_table], &blue_bits, &blue_dc) ||
            !take_dc(red, &decoder->dc_tables[red->dc_table], &red_bits, &red_dc))
            return false;
        blue->dc[at] = (int16_t)blue_dc;
        red->dc[at] = (int16_t)red_dc;
        four blue_sum = begin_quarters(blue->patterns, blue_dc);
        four red_sum = begin_quarters(red->patterns, red_dc);
        int blue_place = 0, red_place = 0;
        /* turns: at most BLOCK: each adds a place to both, or ends one */
        while (goes_on(blue_place) && goes_on(red_place)) {
            blue_place = add_ac(blue, blue_ac, &blue_bits, blue_place, &blue_sum);
            red_place = add_ac(red, red_ac, &red_bits, red_place, &red_sum);
        }
        while (goes_on(blue_place)) /* turns: at most BLOCK */
            blue_place = add_ac(blue, blue_ac, &blue_bits, blue_place, &blue_sum);
        while (goes_on(red_place)) /* turns: at most BLOCK */
            red_place = add_ac(red, red_ac, &red_bits, red_place, &red_sum);
        if (blue_place < 0 || red_place < 0 ||
            !put_quarters(blue_sum, samples_of(blue, row, column), blue->scaled.stride) ||
            !put_quarters(red_sum, samples_of(red, row, column), red->scaled.stride))
            return false;
    }
    return true;
}

/* Read what is needed of MCUs, from number `first` on. `begins`: of each of their blocks. */
static bool take_found_mcus(struct decoder *decoder, struct scan *scan, const uint32_t *begins,
                            int blocks, int64_t first, int mcus)
{
    bool chroma = scan->count == 3 && scan->components[1]->scaled.size;
    while (mcus) { /* turns: the rows that they are in */
        int row = (int)(first / scan->columns), column = (int)(first % scan->columns);
        int part = scan->columns - column < mcus ? scan->columns - column : mcus;
        struct found found = {decoder->entropy.window, begins, blocks, row, column, part};
        for (int n = 0; n < (chroma ? 1 : scan->count); n++) { /* turns: at most MAX_COMPONENTS */
            struct component *component = scan->components[n];
            int across = blocks_across(scan, component), down = blocks_down(scan, component);
            if (!take_found(&found, component, &decoder->dc_tables[component->dc_table], across,
                            down))
                return false;
            found.begins += across * down;
        }
        if (chroma && !take_found_chroma(decoder, &found, scan->components[1], scan->components[2]))
            return false;
        begins += part * blocks;
        first += part;
        mcus -= part;
    }
    return true;
}

/* Go to the first block in a row of MCUs. */
static void begin_row(const struct scan *scan, struct indexed *indexed)
{
    struct spot *spot = indexed->spots;
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = scan->components[n];
        int across = blocks_across(scan, component), down = blocks_down(scan, component);
        for (int block = 0; block < across * down; block++, spot++) { /* turns: at most 4 */
            size_t row = (size_t)(indexed->row * down + block / across);
            size_t column = (size_t)(block % across);
            spot->component = component;
            spot->across = across;
            spot->dc = component->dc + row * (size_t)component->stride + column;
            spot->samples = samples_of(component, row, column);
        }
    }
}

/* Make the samples of the blocks of a list, from a place in it on. */
HOT bool put_blocks(const struct scan *scan, struct indexed *indexed, const uint32_t *ends, int count,
                    const int shrink)
{
    const int16_t *coefficients = coefficients_at(&indexed->index, ends);
    for (; count--; coefficients += SLOTS) { /* turns: at most a list */
        struct spot *spot = &indexed->spots[indexed->block];
        struct component *component = spot->component;
        component->dc_before += (uint32_t)coefficients[0];
        int32_t dc = (int32_t)component->dc_before;
        *spot->dc = (int16_t)dc;
        if (!put_scaled(&component->scaled, dc, coefficients, spot->samples, shrink))
            return false;
        spot->dc += spot->across;
        spot->samples += spot->across * component->scaled.size;
        if (++indexed->block == indexed->index.blocks) {
            indexed->block = 0;
            if (++indexed->column == scan->columns) {
                indexed->column = 0;
                if (++indexed->row < scan->rows)
                    begin_row(scan, indexed);
            }
        }
    }
    return true;
}

static bool put_kept(const struct decoder *decoder, const struct scan *scan,
                     struct indexed *indexed, const uint32_t *ends, int count)
{
    return decoder->shrink == 4 ? put_blocks(scan, indexed, ends, count, 4)
                                : put_blocks(scan, indexed, ends, count, 2);
}

/* ---- intervals ---- */

/* Make the samples of MCUs at 1/4 or 1/2, from a place in the window on, which becomes that of their end. */
static bool take_kept(struct decoder *decoder, const struct scan *scan, struct indexed *indexed,
                      uint32_t *at, int64_t mcus)
{
    struct index *index = &indexed->index;
    struct entropy *entropy = &decoder->entropy;
    struct range now = new_range(index, 0, 0, *at, 0);
    int64_t left = mcus * index->blocks;
    clear_coefficients(index);
    while (left) { /* turns: at most the data's bits: each goes on by one */
        uint32_t shift = now.state & POSITION & ~7u; /* what is before is read */
        struct part parts[CURSORS];
        if (shift > 8 * (uint32_t)entropy->filled)
            return false;
        slide_to(entropy, entropy->window + shift / 8);
        now.state -= shift;
        if (find_ends(index, entropy, &now, indexed->block, 8 * (uint32_t)decoder->range_bytes,
                      parts) < 0)
            return false;
        for (int n = 0; n < CURSORS; n++) { /* turns: CURSORS */
            int count = parts[n].count < left ? parts[n].count : (int)left;
            if (!count)
                continue;
            *at = end_of(parts[n].ends[count - 1]);
            if (*at > 8 * (uint32_t)entropy->filled ||
                !put_kept(decoder, scan, indexed, parts[n].ends, count))
                return false;
            left -= count;
        }
    }
    return true;
}

/* Read MCUs from number `mcu` on, from a place in the window on, which becomes that of their end. */
static bool take_long(struct decoder *decoder, struct scan *scan, struct indexed *indexed,
                      uint32_t *at, int64_t mcu, int64_t mcus)
{
    struct index *index = &indexed->index;
    struct entropy *entropy = &decoder->entropy;
    uint32_t *begins = indexed->begins;
    int known = 0; /* blocks of which the end is known, but not read */
    struct range now = new_range(index, 0, 0, *at, 0);
    if (index->keeps)
        return take_kept(decoder, scan, indexed, at, mcus);
    begins[0] = *at;
    while (mcus) { /* turns: at most the data's bits: each goes on by one */
        uint32_t shift = begins[0] & ~7u;
        slide_to(entropy, entropy->window + shift / 8);
        for (int n = 0; n <= known; n++) /* turns: at most MOST_BLOCKS */
            begins[n] -= shift;
        now.state -= shift;
        struct part parts[CURSORS];
        if (find_ends(index, entropy, &now, known, 8 * (uint32_t)decoder->range_bytes, parts) < 0)
            return false;
        for (int n = 0; n < CURSORS; n++) { /* turns: CURSORS */
            if (parts[n].count)
                memcpy(begins + 1 + known, parts[n].ends, (size_t)parts[n].count * sizeof *begins);
            known += parts[n].count;
        }
        int64_t whole = known / index->blocks < mcus ? known / index->blocks : mcus;
        int taken = (int)whole * index->blocks;
        if (begins[taken] > 8 * (uint32_t)entropy->filled ||
            !take_found_mcus(decoder, scan, begins, index->blocks, mcu, (int)whole))
            return false;
        mcu += whole;
        mcus -= whole;
        known -= taken;
        memmove(begins, begins + taken, (size_t)(known + 1) * sizeof *begins);
    }
    *at = begins[0];
    return true;
}

/* Have the window begin with the next interval, and find which of them are whole in it. `left`: how
 * many there are in the scan. False where the marker behind one is not the one that is due. */
static bool find_intervals(struct entropy *entropy, struct intervals *whole, int64_t left,
                           int number)
{
    uint32_t shift = whole->bounds[0];
    slide_to(entropy, entropy->window + shift / 8);
    for (int n = 0; n <= whole->count; n++) /* turns: at most MOST_INTERVALS */
        whole->bounds[n] -= shift;
    /* turns: at most MOST_INTERVALS */
    while (entropy->closed && whole->count < left && whole->count < MOST_INTERVALS) {
        whole->bounds[++whole->count] = 8 * (uint32_t)entropy->filled;
        if (whole->count == left)
            break;
        if (!pass_restart(entropy, number + whole->count - 1))
            return false;
        fill(entropy);
    }
    return true;
}

/* Read the short intervals that the window holds whole, from MCU number `mcu` on. Return how many;
 * -1: damage. `at` becomes the place in the window where the next one begins, or the last one ends. */
static int take_short(struct decoder *decoder, struct scan *scan, struct indexed *indexed,
                      uint32_t *at, int64_t mcu, int number)
{
    struct index *index = &indexed->index;
    struct intervals *whole = &indexed->whole;
    int64_t total = (int64_t)scan->columns * scan->rows, step = decoder->restart_mcus;
    int64_t left = (total - mcu + step - 1) / step;
    /* In a list each has a place before it, and as many behind it as a cursor may go too far. */
    int room = ((int)step + 1 + (1 + GROUP_STEPS) / index->blocks) * index->blocks;
    int most = CURSORS * ((2 * index->range_blocks - MOST_BLOCKS) / room);
    struct range ranges[MOST_INTERVALS], *first[CURSORS] = {NULL};
    whole->bounds[0] = *at;
    if (!find_intervals(&decoder->entropy, whole, left, number))
        return -1;
    int count = whole->count < most ? whole->count : most;
    if (count > CURSORS && count < left)
        count -= count % CURSORS; /* as many for each */
    for (int n = 0; n < count; n++) { /* turns: at most MOST_INTERVALS */
        int before = index->blocks + n / CURSORS * room;
        int64_t mcus = n + 1 < left ? step : total - mcu - n * step;
        ranges[n] = new_range(index, n % CURSORS, before, whole->bounds[n], whole->bounds[n + 1]);
        ranges[n].certain = true;
        ranges[n].limit = ranges[n].list + mcus * index->blocks;
        if (n < CURSORS)
            first[n] = &ranges[n];
        else
            ranges[n - CURSORS].next = &ranges[n];
    }
    if (index->keeps)
        clear_coefficients(index);
    read_ranges(index, &decoder->entropy, first, true);
    *at = whole->bounds[count];
    for (int n = 0; n < count; n++) { /* turns: at most MOST_INTERVALS */
        struct range *range = &ranges[n];
        uint32_t end = end_of(range->limit[-1]), stop = whole->bounds[n + 1];
        bool is_last = n + 1 == left;
        if (range->end < range->limit || end > stop || (!is_last && end + 8 <= stop))
            return -1;
        begin_interval(scan);
        range->list[-1] = whole->bounds[n];
        int mcus = (int)(range->limit - range->list) / index->blocks;
        if (index->keeps
                ? !put_kept(decoder, scan, indexed, range->list, mcus * index->blocks)
                : !take_found_mcus(decoder, scan, range->list - 1, index->blocks, mcu, mcus))
            return -1;
        mcu += mcus;
        if (is_last)
            *at = end;
    }
    whole->count -= count;
    memmove(whole->bounds, whole->bounds + count, (size_t)(whole->count + 1) * sizeof *whole->bounds);
    return count;
}

/* ---- scans ---- */

static bool take_intervals(struct decoder *decoder, struct scan *scan, struct indexed *indexed,
                           struct bits *bits)
{
    struct entropy *entropy = &decoder->entropy;
    int64_t total = (int64_t)scan->columns * scan->rows, mcu = 0;
    int64_t step = decoder->restart_mcus ? decoder->restart_mcus : total;
    bool is_short = decoder->restart_mcus && step * indexed->index.blocks <= indexed->index.range_blocks / 3;
    int restarts = 0;
    uint32_t at = 0;
    while (mcu < total) { /* turns: at most MCUs */
        int count = is_short ? take_short(decoder, scan, indexed, &at, mcu, restarts) : 0;
        if (count < 0)
            return false;
        restarts += count;
        mcu += count * step;
        if (count)
            continue;
        int64_t mcus = step < total - mcu ? step : total - mcu;
        begin_interval(scan);
        if (!take_long(decoder, scan, indexed, &at, mcu, mcus))
            return false;
        mcu += mcus;
        if (mcu < total) {
            *bits = bits_from(entropy->window, at);
            if (!restart(entropy, bits, restarts++))
                return false;
            at = 0;
        }
    }
    *bits = bits_from(entropy->window, at);
    return true;
}

/* True for a baseline scan that is long enough; at 1/8 chroma that becomes 2 x 2 samples comes with
 * the rest. */
static bool is_for_cursors(const struct decoder *decoder, const struct scan *scan)
{
    for (int n = 0; n < scan->count; n++) /* turns: at most MAX_COMPONENTS */
        if (decoder->shrink == 8 && scan->components[n]->scaled.size && scan->count < 3)
            return false;
    return !decoder->progressive && decoder->range_bytes &&
           decoder->end - decoder->at >= CURSORS * decoder->range_bytes;
}

/* Read a baseline scan as one cursor does. */
static bool take_by_cursors(struct decoder *decoder, struct scan *scan, struct bits *bits)
{
    bool keeps = decoder->shrink < 8;
    size_t kept = keeps ? (size_t)CURSORS * LIST_SIZE * SLOTS * sizeof(int16_t) : 0;
    struct indexed *indexed = malloc(sizeof *indexed + kept);
    if (!indexed)
        return take_by_one(decoder, scan, bits);
    indexed->index.keeps = keeps;
    indexed->index.range_blocks = keeps ? KEPT_BLOCKS : RANGE_BLOCKS;
    indexed->block = indexed->row = indexed->column = 0;
    if (keeps)
        begin_row(scan, indexed);
    prepare_index(&indexed->index, decoder, scan, decoder->range_bytes);
    indexed->whole.count = 0;
    /* What is known of it so far. */
    double blocks = (double)scan->columns * scan->rows * indexed->index.blocks;
    double bits_each = 8 * (double)(decoder->end - decoder->at) / blocks;
    indexed->index.block_bits = bits_each < 8 * BLOCK_BYTES ? bits_each : 8 * BLOCK_BYTES;
    bool sound = take_intervals(decoder, scan, indexed, bits);
    free(indexed);
    return sound;
}

#endif
