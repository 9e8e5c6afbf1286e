/* Where the blocks of a baseline scan end, and at 1/4 and 1/2 their coefficients, found by three cursors
 * at once, in three places (steps.h).
 *
 * Only the first cursor knows where it is. The others begin in the middle of a code and take it
 * for the first block of an MCU; Huffman codes find their way by themselves after a few blocks.
 * The first goes on until one of its blocks, by bit and by its place in the MCU, ends where one of
 * the second cursor's does: from there on both would find the same. So nothing is believed that
 * one cursor alone would not find. Where they do not meet, what the others found is dropped.
 */
#ifndef PREGEN_CURSORS_H
#define PREGEN_CURSORS_H

#include "steps.h"

#define LEAST_RANGE_BITS 64
/* Blocks for which a cursor goes on into the next range, and how often it tries once more. */
#define MEETING_BLOCKS 16
#define MOST_MEETINGS 8
#define USUAL_STEP_BITS 11

/* ---- ranges ---- */

/* A range from a place in the window on, in the list of a cursor behind `before` blocks: the first
 * is number `before` of its MCU, or more by some MCUs. */
static struct range new_range(struct index *index, int cursor, int before, uint32_t from,
                              uint32_t to)
{
    uint32_t *list = list_of(index, cursor) + before;
    return (struct range){
        .to = to,
        .state = from,
        .steps = list_of(index, CURSORS)[before],
        .list = list,
        .end = list,
        .limit = list_of(index, cursor) + index->most,
    };
}

static void take_range(struct cursor *cursor, struct range *range)
{
    *cursor = (struct cursor){range, range->state, range->end, range->steps};
}

/* By how many groups of steps a cursor may go on; 0: it has done what it should. `bound`: bits of
 * the window that may be read. */
static int groups_left(const struct cursor *cursor, uint32_t bound)
{
    const struct range *range = cursor->range;
    uint32_t at = cursor->state & POSITION;
    if (at >= range->to || cursor->out >= range->limit || at + GROUP_BITS > bound)
        return 0;
    uint32_t usual = (range->to - at) / (GROUP_STEPS * USUAL_STEP_BITS) + 1;
    uint32_t most = (bound - at) / GROUP_BITS;
    uint32_t room = (uint32_t)(range->limit - cursor->out) / GROUP_STEPS + 1;
    uint32_t groups = usual < most ? usual : most;
    groups = groups < room ? groups : room;
    return groups < GROUPS_AT_ONCE ? (int)groups : GROUPS_AT_ONCE;
}

/* Have each cursor read its range, and those behind it. `whole`: the window has all of these, and
 * what stands behind it does not matter. */
static void read_ranges(struct index *index, const struct entropy *entropy, struct range **first,
                        bool whole)
{
    struct cursor cursors[CURSORS];
    uint32_t bound = 8 * (uint32_t)entropy->filled + (whole ? 8 * PADDING_BYTES : 0);
    bound -= bound < 8 * WORD_BYTES ? bound : 8 * WORD_BYTES;
    for (int n = 0; n < CURSORS; n++) { /* turns: CURSORS */
        cursors[n].range = NULL;
        if (first[n])
            take_range(&cursors[n], first[n]);
    }
    /* turns: at most the window's bits, and ranges: each cursor goes on by one, or ends a range */
    for (;;) {
        int groups = 0;
        for (int n = 0; n < CURSORS; n++) { /* turns: CURSORS */
            struct cursor *cursor = &cursors[n];
            int left = 0;
            while (cursor->range && !(left = groups_left(cursor, bound))) { /* turns: the ranges */
                struct range *range = cursor->range;
                range->state = cursor->state;
                range->steps = cursor->steps;
                range->end = cursor->out;
                index->filled[n] = (int)(cursor->out - list_of(index, n)) + 1;
                cursor->range = NULL;
                if (range->next)
                    take_range(cursor, range->next);
            }
            if (!cursor->range)
                park(index, cursor, n);
            else
                groups = !groups || left < groups ? left : groups;
        }
        if (!groups)
            return;
        go_on(index, entropy->window, cursors, groups);
    }
}

/* Where a block of a list ends, in bits. */
HOT uint32_t end_of(uint32_t found)
{
    return found & POSITION;
}

/* Find where two cursors agree: a block that ends in the same place, and is the same one of its
 * MCU. End the first one's list with it, and begin the second one's behind it, which is certain
 * from then on: should it meet damage, nothing behind that may be taken for the next block. */
static bool agree(struct index *index, struct range *one, struct range *other, int cursor)
{
    uint32_t *here = one->end, *there = other->list;
    /* turns: at most the list; those before the other one's range are not looked at */
    while (here > one->list && there < other->end && end_of(here[-1]) >= end_of(*there))
        here--;
    while (here < one->end && there < other->end) { /* turns: both lists, at most */
        if (end_of(*here) < end_of(*there)) {
            here++;
        } else if (end_of(*here) > end_of(*there)) {
            there++;
        } else {
            ptrdiff_t apart = (here - list_of(index, cursor)) - (there - list_of(index, cursor + 1));
            if (apart % index->cycle == 0) {
                one->end = here + 1;
                other->list = there + 1;
                other->certain = true;
                return true;
            }
            here++;
            there++;
        }
    }
    return false;
}

/* Have a cursor go on until it agrees with the next one. */
static bool meet(struct index *index, const struct entropy *entropy, struct range *ranges,
                 int cursor)
{
    struct range *first[CURSORS] = {NULL};
    first[cursor] = &ranges[cursor];
    for (int n = 0; n < MOST_MEETINGS; n++) { /* turns: MOST_MEETINGS */
        if (agree(index, &ranges[cursor], &ranges[cursor + 1], cursor))
            return true;
        ranges[cursor].to += (uint32_t)(MEETING_BLOCKS * index->block_bits);
        read_ranges(index, entropy, first, entropy->closed);
    }
    return false;
}

/* Blocks that were found, one behind the other: a part of a list. */
struct part {
    const uint32_t *ends;
    int count;
};

/* Have no coefficients in any block. */
static void clear_coefficients(struct index *index)
{
    for (int n = 0; n < CURSORS; n++) { /* turns: CURSORS */
        size_t size = (size_t)index->filled[n] * SLOTS * sizeof *index->coefficients;
        memset(coefficients_at(index, list_of(index, n)), 0, size);
        index->filled[n] = 0;
    }
}

/* The same, but for a block that goes on at another place of the lists. */
static void move_coefficients(struct index *index, const uint32_t *from, const uint32_t *to)
{
    int16_t block[SLOTS];
    memcpy(block, coefficients_at(index, from), sizeof block);
    clear_coefficients(index);
    memcpy(coefficients_at(index, to), block, sizeof block);
}

/* Find where blocks end, from `now` on, by a range for each cursor or, of very little, by one. `now`
 * goes to where it ends; it is behind `known` whole blocks of its MCU. Write where they stand to a part for
 * each cursor. Return how many blocks there are; -1: there is damage, or no more data. */
static int find_ends(struct index *index, const struct entropy *entropy, struct range *now,
                     int known, uint32_t range_bits, struct part *parts)
{
    uint32_t from = now->state & POSITION, end = 8 * (uint32_t)entropy->filled;
    if (from >= end)
        return -1;
    uint32_t usual = (uint32_t)(index->range_blocks * index->block_bits), share = (end - from) / CURSORS;
    uint32_t beyond = (uint32_t)(MEETING_BLOCKS * index->block_bits), bits = range_bits;
    bits = bits < usual ? bits : usual;
    bits = bits < share ? bits : share;
    int count = bits < LEAST_RANGE_BITS ? 1 : CURSORS, found = 0;
    struct range ranges[CURSORS], *first[CURSORS] = {NULL};
    for (int n = 0; n < count; n++) { /* turns: CURSORS */
        uint32_t begin = from + (uint32_t)n * bits;
        ranges[n] = new_range(index, n, n ? 0 : known, begin, begin + bits + beyond);
        first[n] = &ranges[n];
    }
    ranges[count - 1].to = count == 1 ? end : from + CURSORS * bits;
    ranges[0].certain = true;
    ranges[0].state = now->state;
    ranges[0].steps = now->steps;
    if (index->keeps)
        move_coefficients(index, now->end, ranges[0].list);
    read_ranges(index, entropy, first, entropy->closed);
    memset(parts, 0, CURSORS * sizeof *parts);
    for (int n = 0; n < count; n++) { /* turns: CURSORS */
        bool met = n < count - 1 && meet(index, entropy, ranges, n);
        int more = (int)(ranges[n].end - ranges[n].list);
        parts[n] = (struct part){ranges[n].list, more};
        found += more;
        *now = ranges[n];
        if (!met)
            break;
    }
    uint32_t to = now->state & POSITION;
    if (found) {
        double bits_each = (double)(to - from) / found;
        index->block_bits = bits_each < 8 * BLOCK_BYTES ? bits_each : 8 * BLOCK_BYTES;
    }
    return to == from ? -1 : found;
}

#endif
