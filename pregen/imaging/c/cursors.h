/* Where the blocks of a baseline scan end, found by three cursors at once, in three places.
 *
 * To pass over codes is to wait: where the next one begins is known when the one before was looked
 * up. Three cursors wait at the same time.
 *
 * Only the first cursor knows where it is. The others begin in the middle of a code and take it
 * for the first block of an MCU; Huffman codes find their way by themselves after a few blocks.
 * The first goes on until one of its blocks, by bit and by its place in the MCU, ends where one of
 * the second cursor's does: from there on both would find the same. So nothing is believed that
 * one cursor alone would not find. Where they do not meet, what the others found is dropped.
 *
 * A step has no branch but for what is rare: a code that is longer than the tables, the end of a
 * block that has all of its coefficients, damage.
 */
#ifndef PREGEN_CURSORS_H
#define PREGEN_CURSORS_H

#include "decoder.h"

#define CURSORS 3
/* What a cursor is meant to read at a time. A list has room for twice as many blocks. */
#ifndef RANGE_BLOCKS /* a fuzz target has fewer: less to prepare */
#define RANGE_BLOCKS 3072
#endif
#define LIST_BLOCKS (2 * RANGE_BLOCKS)
#define LEAST_LIST 32
#define LEAST_RANGE_BITS 64
/* Blocks for which a cursor goes on into the next range, and how often it tries once more. */
#define MEETING_BLOCKS 16
#define MOST_MEETINGS 8
#define GROUP_STEPS 3 /* a word of 57 bits is enough for two whole ones and what is looked up */
#define GROUP_BITS (GROUP_STEPS * MOST_STEP)
#define GROUPS_AT_ONCE 64
#define USUAL_STEP_BITS 11
/* What a cursor with nothing to do may find until it is asked. */
#define LIST_SLACK (GROUP_STEPS * GROUPS_AT_ONCE + MOST_BLOCKS)
/* Not a multiple of a page: stores to one list would be taken for loads from another. */
#define LIST_SIZE (LIST_BLOCKS + LIST_SLACK + 48)

#define POSITION ((1u << STEP_PLACES_AT) - 1) /* of a cursor's state: bits of the window */
#define TOO_FAR ((uint32_t)STEP_NONE)         /* more coefficients than a block has */
#define AC_STEPS (1u << STEP_BITS)            /* in `steps`: behind those from a block's beginning */

/* A part of the window that one cursor reads, and what it finds. */
struct range {
    uint32_t to;        /* bits of the window */
    bool certain;       /* what is in its list are blocks: damage ends it */
    uint32_t state;     /* where the cursor is: place in the block, and in the window */
    uint32_t steps;     /* the table it uses next */
    uint32_t *list;     /* where blocks end, from the first that may be one */
    uint32_t *end;      /* of the list */
    uint32_t *limit;    /* it need not become longer */
    struct range *next; /* what the same cursor reads next, or NULL */
};

struct cursor {
    struct range *range; /* NULL: nothing is left to do */
    uint32_t state;
    uint32_t *out;
    uint32_t steps;
};

/* What the cursors use, and their lists. */
struct index {
    int blocks;        /* of an MCU */
    int cycle;         /* 1 if all of them have the same tables, else `blocks` */
    int most;          /* blocks of a list */
    double block_bits; /* on average, of late */
    struct {
        const struct huffman *dc, *ac;
    } tables[MAX_COMPONENTS];
    /* By the next STEP_BITS bits, for each pair of tables: from the beginning of a block on, and
     * within it. */
    int32_t steps[MAX_COMPONENTS * 2 << STEP_BITS];
    /* A list for each cursor; and for each block of any of them, the steps of the one behind it. */
    uint32_t lists[(CURSORS + 1) * LIST_SIZE];
};

/* From a place in a cursor's list to the steps of the block behind it. */
#define TO_NEXT(cursor) ((CURSORS - (cursor)) * LIST_SIZE)

HOT uint32_t *list_of(struct index *index, int cursor)
{
    return index->lists + cursor * LIST_SIZE;
}

/* Prepare the tables, and which of them each block of an MCU has. */
static void prepare_index(struct index *index, const struct decoder *decoder,
                          const struct scan *scan, int range_bytes)
{
    uint32_t steps_of[MOST_BLOCKS];
    int tables = 0;
    index->blocks = 0;
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        const struct component *component = scan->components[n];
        const struct huffman *dc = &decoder->dc_tables[component->dc_table];
        const struct huffman *ac = &decoder->ac_tables[component->ac_table];
        int table = 0;
        /* turns: at most MAX_COMPONENTS */
        while (table < tables && (index->tables[table].dc != dc || index->tables[table].ac != ac))
            table++;
        if (table == tables) {
            int32_t *steps = index->steps + (table * 2 << STEP_BITS);
            index->tables[tables].dc = dc;
            index->tables[tables++].ac = ac;
            for (uint32_t window = 0; window < AC_STEPS; window++) /* turns: AC_STEPS */
                steps[window] = find_step(dc, ac, window);
            memcpy(steps + AC_STEPS, ac->steps, sizeof ac->steps);
        }
        /* turns: at most 4 */
        for (int left = blocks_across(scan, component) * blocks_down(scan, component); left; left--)
            steps_of[index->blocks++] = (uint32_t)table * 2 << STEP_BITS;
    }
    index->cycle = tables > 1 ? index->blocks : 1;
    uint32_t *next = list_of(index, CURSORS);
    for (int n = 0; n < LIST_SIZE; n++) /* turns: LIST_SIZE */
        next[n] = steps_of[(n + 1) % index->blocks];
    /* Short ranges have short lists, so that tests fill them. */
    int most = range_bytes / 2;
    index->most = most < LEAST_LIST ? LEAST_LIST : most > LIST_BLOCKS - 8 ? LIST_BLOCKS - 8 : most;
}

/* ---- steps ---- */

/* Take one code, where a step would be too far or is not known. False: there is none, or a
 * coefficient too many. */
static bool take_code(const struct index *index, const uint8_t *window, struct cursor *cursor, int n)
{
    struct bits bits = bits_from(window, cursor->state & POSITION);
    int before = bits.count, place = 1, size;
    if (!(cursor->steps & AC_STEPS)) {
        size = take_symbol(index->tables[cursor->steps >> (STEP_BITS + 1)].dc, &bits);
        if (size < 0 || size > MOST_DC_BITS)
            return false;
    } else {
        int symbol = take_symbol(index->tables[cursor->steps >> (STEP_BITS + 1)].ac, &bits);
        int run = symbol >> 4;
        size = symbol & 15;
        place = (int)(cursor->state >> STEP_PLACES_AT & 127) + run + 1;
        if (symbol < 0)
            return false;
        if (!size && run != 15)
            place = BLOCK;
        else if (place > BLOCK)
            return false;
    }
    uint32_t at = (cursor->state & POSITION) + (uint32_t)(before - bits.count + size);
    if (place < BLOCK) {
        cursor->state = at | (uint32_t)place << STEP_PLACES_AT;
        cursor->steps |= AC_STEPS;
    } else {
        *cursor->out = cursor->state = at;
        cursor->steps = cursor->out[TO_NEXT(n)];
        cursor->out++;
    }
    return true;
}

/* Let a cursor that has nothing to do go on somewhere, until it is asked. */
static void park(struct index *index, struct cursor *cursor, int n)
{
    *cursor = (struct cursor){.out = list_of(index, n) + LIST_BLOCKS};
}

/* A step that is rare. */
static __attribute__((noinline)) void step_slowly(struct index *index, const uint8_t *window,
                                                  struct cursor *cursor, int n)
{
    struct range *range = cursor->range;
    if (take_code(index, window, cursor, n))
        return;
    if (!range) {
        park(index, cursor, n);
    } else if (range->certain) {
        range->to = 0; /* damage: it stays where it is */
    } else {
        /* It has not found its way, or there is damage: what was found ends here, and the next
         * block is taken to begin a bit later. */
        *cursor->out = cursor->state = (cursor->state & POSITION) + 1;
        cursor->steps = cursor->out[TO_NEXT(n)];
        range->list = ++cursor->out;
    }
}

/* One step of a cursor, its state in registers. `ahead` are its next bits. */
#define STEP(n)                                                                                    \
    {                                                                                              \
        int64_t step = index->steps[(ahead##n >> (64 - STEP_BITS)) + steps##n];                    \
        uint32_t after = state##n + (uint32_t)step, next = out##n[TO_NEXT(n)];                     \
        if (UNLIKELY(after & TOO_FAR)) {                                                           \
            STORE(n);                                                                              \
            step_slowly(index, window, &cursors[n], n);                                            \
            LOAD(n);                                                                               \
        } else {                                                                                   \
            int64_t goes_on = step >> 63; /* all ones, or none */                                  \
            ahead##n <<= STEP_USED(step);                                                          \
            state##n = after & ((uint32_t)goes_on | POSITION);                                     \
            steps##n = next ^ ((next ^ (steps##n | AC_STEPS)) & (uint32_t)goes_on);                \
            *out##n = state##n; /* the end of the block, if it does not go on */                   \
            out##n += 1 + goes_on;                                                                 \
        }                                                                                          \
    }
#define LOOK_AHEAD(n) ahead##n = load_word(window + ((state##n & POSITION) >> 3)) << (state##n & 7)
#define LOAD(n)                                                                                    \
    {                                                                                              \
        state##n = cursors[n].state;                                                               \
        out##n = cursors[n].out;                                                                   \
        steps##n = cursors[n].steps;                                                               \
        LOOK_AHEAD(n);                                                                             \
    }
#define STORE(n)                                                                                   \
    {                                                                                              \
        cursors[n].state = state##n;                                                               \
        cursors[n].out = out##n;                                                                   \
        cursors[n].steps = steps##n;                                                               \
    }

/* Go on with all cursors by so many groups of steps: by GROUP_BITS at most for each of them. */
static __attribute__((noinline)) void step_all(struct index *index, const uint8_t *window,
                                               struct cursor *cursors, int groups)
{
    uint64_t ahead0, ahead1, ahead2;
    uint32_t state0, state1, state2, steps0, steps1, steps2, *out0, *out1, *out2;
    LOAD(0);
    LOAD(1);
    LOAD(2);
    while (groups--) { /* turns: at most GROUPS_AT_ONCE */
        LOOK_AHEAD(0);
        LOOK_AHEAD(1);
        LOOK_AHEAD(2);
        for (int n = 0; n < GROUP_STEPS; n++) { /* turns: GROUP_STEPS */
            STEP(0);
            STEP(1);
            STEP(2);
        }
    }
    STORE(0);
    STORE(1);
    STORE(2);
}

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
        .steps = list_of(index, CURSORS)[before + index->blocks - 1],
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
        step_all(index, entropy->window, cursors, groups);
    }
}

/* Find where two cursors agree: a block that ends in the same place, and is the same one of its
 * MCU. End the first one's list with it, and begin the second one's behind it, which is certain
 * from then on: should it meet damage, nothing behind that may be taken for the next block. */
static bool agree(struct index *index, struct range *one, struct range *other, int cursor)
{
    uint32_t *here = one->end, *there = other->list;
    /* turns: at most the list; those before the other one's range are not looked at */
    while (here > one->list && there < other->end && here[-1] >= *there)
        here--;
    while (here < one->end && there < other->end) { /* turns: both lists, at most */
        if (*here < *there) {
            here++;
        } else if (*here > *there) {
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

/* Find where blocks end, from `now` on, by a range for each cursor or, of very little, by one. `now`
 * goes to where it ends; it is behind `known` whole blocks of its MCU. Write this to `ends`, which has
 * room for CURSORS lists. Return how many blocks; -1: there is damage, or no more data. */
static int find_ends(struct index *index, const struct entropy *entropy, struct range *now,
                     int known, uint32_t range_bits, uint32_t *ends)
{
    uint32_t from = now->state & POSITION, end = 8 * (uint32_t)entropy->filled;
    if (from >= end)
        return -1;
    uint32_t usual = (uint32_t)(RANGE_BLOCKS * index->block_bits), share = (end - from) / CURSORS;
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
    read_ranges(index, entropy, first, entropy->closed);
    for (int n = 0; n < count; n++) { /* turns: CURSORS */
        bool met = n < count - 1 && meet(index, entropy, ranges, n);
        int more = (int)(ranges[n].end - ranges[n].list);
        memcpy(ends + found, ranges[n].list, (size_t)more * sizeof *ends);
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
