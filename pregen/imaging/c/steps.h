/* Steps of three cursors through the codes of a baseline scan, in three places at once (cursors.h).
 *
 * To pass over codes is to wait: where the next one begins is known when the one before was looked
 * up. Three cursors wait at the same time.
 *
 * A step has no branch but for what is rare: a code that is longer than the tables, the end of a
 * block that has all of its coefficients, damage. At 1/8 it passes over several codes. At 1/4 and 1/2
 * it takes one coefficient, and with it the end of the block if that follows at once, and keeps it in
 * the slot of its block (scaled.h). Behind the coefficients that count, codes are passed over as at 1/8.
 */
#ifndef PREGEN_STEPS_H
#define PREGEN_STEPS_H

#include "decoder.h"

#define CURSORS 3
/* What a cursor is meant to read at a time. A list has room for twice as many blocks. */
#ifndef RANGE_BLOCKS /* a fuzz target has fewer: less to prepare */
#define RANGE_BLOCKS 3072
#endif
/* The same where coefficients are kept: those of three ranges and their lists are 300 KiB. */
#ifndef KEPT_BLOCKS
#define KEPT_BLOCKS 768
#endif
#define LIST_BLOCKS (2 * RANGE_BLOCKS)
#define LEAST_LIST 32
#define GROUP_STEPS 3 /* a word of 57 bits is enough for two whole ones and what is looked up */
/* What a step reads at most: a code and 15 more. MOST_STEP is what one of the tables does. */
#define MOST_CODE (CODE_BITS + 15)
#define GROUP_BITS (GROUP_STEPS * MOST_CODE)
#define GROUPS_AT_ONCE 64
/* What a cursor with nothing to do may find until it is asked. */
#define LIST_SLACK (GROUP_STEPS * GROUPS_AT_ONCE + MOST_BLOCKS)
/* Not a multiple of a page: stores to one list would be taken for loads from another. */
#define LIST_SIZE (LIST_BLOCKS + LIST_SLACK + 48)

/* A cursor's state: where it is in the window, in bits, and above that the place of the block's next
 * coefficient (7 bits). While it steps where coefficients are kept, the place of the list is above
 * both, so that the end of a block adds one to it. */
#define POSITION ((1u << STEP_PLACES_AT) - 1)
#define LIST_AT (STEP_PLACES_AT + 7)
#define IN_BLOCK (127u << STEP_PLACES_AT)
#define TOO_FAR ((uint32_t)STEP_NONE) /* more coefficients than a block has */
/* In `steps`, behind those from the beginning of a block: within one, and there behind the coefficients
 * that count. */
#define AC_STEPS (1u << STEP_BITS)
#define REST_STEPS (3u << STEP_BITS)
#define STEPS_AT (STEP_BITS + 2)
/* A step that keeps: bits, the coefficient, and what is added to the state above its position. The end
 * of a block is a coefficient of 0 in the next place, which has none yet. */
#define KEPT_USED(step) ((step) & 63)
#define KEPT_VALUE(step) ((int16_t)((step) >> 8))
#define KEPT_ADDS(step) ((step) & (63 | ~POSITION))
#define KEPT_END (1u << LIST_AT)
/* One whose value is not whole in STEP_BITS: TOO_FAR, and how it is read. */
#define LONG_SIZE(step) ((step) >> 8 & 15) /* 0: it is not known */
#define LONG_PLACES(step) ((step) >> 12 & 31)
#define LONG_USED(step) ((step) >> 17 & 31)

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
    int range_blocks;  /* RANGE_BLOCKS or KEPT_BLOCKS */
    int most;          /* blocks of a list */
    double block_bits; /* on average, of late */
    struct {
        const struct huffman *dc, *ac;
    } tables[MAX_COMPONENTS];
    /* By the next STEP_BITS bits, for each pair of tables: from the beginning of a block on, within it,
     * and behind what counts. */
    uint32_t steps[MAX_COMPONENTS << STEPS_AT];
    /* A list for each cursor; and for each block of any of them, the steps of the one behind it. */
    uint32_t lists[(CURSORS + 1) * LIST_SIZE];
    bool keeps;        /* coefficients, at 1/4 and 1/2 */
    uint32_t counting; /* so many count */
    /* By the upper byte of a state (with one bit of the place in its list): the slot of the coefficient
     * before that place. */
    uint8_t slots[256];
    int filled[CURSORS]; /* blocks at the beginning of each list that may have coefficients */
    int16_t coefficients[]; /* of each block in each list, SLOTS of them */
};

/* From a place in a cursor's list to the steps of the block behind it. */
#define TO_NEXT(cursor) ((CURSORS - (cursor)) * LIST_SIZE)

HOT uint32_t *list_of(struct index *index, int cursor)
{
    return index->lists + cursor * LIST_SIZE;
}

/* The coefficients of the block that will stand at a place of a list. */
HOT int16_t *coefficients_at(struct index *index, const uint32_t *at)
{
    return index->coefficients + (at - index->lists) * SLOTS;
}

/* Tell which coefficient STEP_BITS bits begin with: the DC (`dc` is given), or one of the AC. */
static uint32_t find_kept(const struct huffman *dc, const struct huffman *ac, uint32_t window)
{
    int length, symbol = symbol_within(dc ? dc : ac, window, 0, &length);
    if (symbol < 0 || (dc && symbol > MOST_DC_BITS))
        return TOO_FAR;
    int size = symbol & 15, used = length + size, places = dc ? 1 : (symbol >> 4) + 1;
    if (!dc && ends_block(symbol))
        return (uint32_t)length | 1u << STEP_PLACES_AT | KEPT_END;
    if (used > STEP_BITS)
        return used > MOST_STEP ? TOO_FAR
                                : TOO_FAR | (uint32_t)(used << 17 | places << 12 | size << 8);
    struct bits bits = {.ahead = (uint64_t)window << (64 - STEP_BITS) << length, .count = 64};
    uint32_t value = (uint32_t)take_value(&bits, size) & 0xFFFF;
    symbol = used < STEP_BITS ? symbol_within(ac, window, used, &length) : -1;
    bool ends = symbol >= 0 && ends_block(symbol);
    return (uint32_t)(ends ? used + length : used) | value << 8 |
           (uint32_t)places << STEP_PLACES_AT | (ends ? KEPT_END : 0);
}

/* The same behind the coefficients that count, from a step of AC (huffman.h). */
static uint32_t kept_rest(int32_t step)
{
    if (step == STEP_NONE)
        return TOO_FAR;
    uint32_t passed = (uint32_t)STEP_USED(step) | (uint32_t)STEP_PLACES(step) << STEP_PLACES_AT;
    return passed + (step < 0 ? 0 : 1u << STEP_PLACES_AT | KEPT_END);
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
            uint32_t *steps = index->steps + (table << STEPS_AT);
            index->tables[tables].dc = dc;
            index->tables[tables++].ac = ac;
            for (uint32_t window = 0; window < AC_STEPS; window++) { /* turns: AC_STEPS */
                if (index->keeps) {
                    steps[window] = find_kept(dc, ac, window);
                    steps[window + AC_STEPS] = find_kept(NULL, ac, window);
                    steps[window + REST_STEPS] = kept_rest(ac->steps[window]);
                } else {
                    steps[window] = (uint32_t)find_step(dc, ac, window);
                    steps[window + AC_STEPS] = (uint32_t)ac->steps[window];
                }
            }
        }
        /* turns: at most 4 */
        for (int left = blocks_across(scan, component) * blocks_down(scan, component); left; left--)
            steps_of[index->blocks++] = (uint32_t)table << STEPS_AT;
    }
    index->cycle = tables > 1 ? index->blocks : 1;
    uint32_t *next = list_of(index, CURSORS);
    for (int n = 0; n < LIST_SIZE; n++) /* turns: LIST_SIZE */
        next[n] = steps_of[(n + 1) % index->blocks];
    /* Short ranges have short lists, so that tests fill them. */
    int least = range_bytes / 2, most = 2 * index->range_blocks - 8;
    index->most = least < LEAST_LIST ? LEAST_LIST : least > most ? most : least;
    if (!index->keeps)
        return;
    index->counting = (uint32_t)places_at(decoder->shrink);
    for (int n = 0; n < 256; n++) { /* turns: 256 */
        int place = (n & 127) - 1;
        index->slots[n] = decoder->slots[place >= 0 && place < BLOCK ? place : BLOCK - 1];
    }
    for (int n = 0; n < CURSORS; n++) /* turns: CURSORS */
        index->filled[n] = 2 * index->range_blocks; /* what was in this memory before */
}

/* ---- steps ---- */

/* Take one code, where a step would be too far or is not known. False: there is none, or a
 * coefficient too many. */
static bool take_code(struct index *index, const uint8_t *window, struct cursor *cursor, int n)
{
    struct bits bits = bits_from(window, cursor->state & POSITION);
    int before = bits.count, place = 1, size;
    uint32_t table = cursor->steps >> STEPS_AT;
    if (!(cursor->steps & AC_STEPS)) {
        size = take_symbol(index->tables[table].dc, &bits);
        if (size < 0 || size > MOST_DC_BITS)
            return false;
    } else {
        int symbol = take_symbol(index->tables[table].ac, &bits);
        int run = symbol >> 4;
        size = symbol & 15;
        place = (int)(cursor->state >> STEP_PLACES_AT & 127) + run + 1;
        if (symbol < 0)
            return false;
        if (ends_block(symbol))
            place = BLOCK;
        else if (place > BLOCK)
            return false;
    }
    int32_t value = take_value(&bits, size);
    uint32_t at = (cursor->state & POSITION) + (uint32_t)(before - bits.count);
    if (index->keeps)
        coefficients_at(index, cursor->out)[index->slots[place]] = (int16_t)value;
    if (place < BLOCK) {
        cursor->state = at | (uint32_t)place << STEP_PLACES_AT;
        cursor->steps |= index->keeps && place >= (int)index->counting ? REST_STEPS : AC_STEPS;
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

/* ---- at 1/8 ---- */

/* One step of a cursor, its state in registers. `ahead` are its next bits. */
#define STEP(n)                                                                                    \
    {                                                                                              \
        int64_t step = (int32_t)index->steps[(ahead##n >> (64 - STEP_BITS)) + steps##n];           \
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

/* ---- at 1/4 and 1/2 ---- */

/* The same where coefficients are kept. */
#define KEEP_STEP(n)                                                                               \
    {                                                                                              \
        uint32_t step = index->steps[(ahead##n >> (64 - STEP_BITS)) + steps##n];                   \
        uint64_t after = state##n + KEPT_ADDS(step), at = state##n >> LIST_AT;                     \
        uint32_t next = index->lists[at + TO_NEXT(n)];                                             \
        int16_t *block = index->coefficients + at * SLOTS;                                         \
        if (UNLIKELY(after & TOO_FAR)) {                                                           \
            uint32_t size = LONG_SIZE(step), used = LONG_USED(step);                               \
            uint32_t place = ((uint32_t)state##n >> STEP_PLACES_AT & 127) + LONG_PLACES(step);     \
            if (!(step & TOO_FAR) || !size || place >= BLOCK) {                                    \
                slow = n;                                                                          \
                goto slowly;                                                                       \
            }                                                                                      \
            LOOK_AHEAD(n);                                                                         \
            int32_t value = (int32_t)(ahead##n << (used - size) >> (64 - size));                   \
            value -= value >> (size - 1) ? 0 : (1 << size) - 1;                                    \
            block[index->slots[place]] = (int16_t)value;                                           \
            ahead##n <<= used;                                                                     \
            state##n += used + (LONG_PLACES(step) << STEP_PLACES_AT);                              \
            steps##n |= place < counting ? AC_STEPS : REST_STEPS;                                  \
        } else {                                                                                   \
            /* All ones, or none: the block ends; the next coefficient counts. */                  \
            uint32_t ends = (uint32_t)((int32_t)step >> 31);                                       \
            uint32_t counts = (uint32_t)((int32_t)(2 * (uint32_t)after - (counting << 25)) >> 31); \
            ahead##n <<= KEPT_USED(step);                                                          \
            block[index->slots[(uint32_t)after >> STEP_PLACES_AT]] = KEPT_VALUE(step);             \
            index->lists[at] = (uint32_t)after & POSITION; /* if it does not go on */              \
            state##n = after & ~(uint64_t)(ends & IN_BLOCK);                                       \
            steps##n = ((steps##n | AC_STEPS | (~counts & REST_STEPS)) & ~ends) | (next & ends);   \
        }                                                                                          \
    }
#define KEEP_LOAD(n)                                                                               \
    {                                                                                              \
        state##n = (uint64_t)(cursors[n].out - index->lists) << LIST_AT | cursors[n].state;        \
        steps##n = cursors[n].steps;                                                               \
        LOOK_AHEAD(n);                                                                             \
    }
#define KEEP_STORE(n)                                                                              \
    {                                                                                              \
        cursors[n].state = (uint32_t)state##n & ~(1u << LIST_AT);                                  \
        cursors[n].out = index->lists + (state##n >> LIST_AT);                                     \
        cursors[n].steps = steps##n;                                                               \
    }

/* As step_all. */
HOT void keep_all(struct index *index, const uint8_t *window, struct cursor *cursors, int groups,
                  const uint32_t counting)
{
    uint64_t ahead0, ahead1, ahead2, state0, state1, state2;
    uint32_t steps0, steps1, steps2;
    int slow;
    KEEP_LOAD(0);
    KEEP_LOAD(1);
    KEEP_LOAD(2);
    while (groups--) { /* turns: at most GROUPS_AT_ONCE */
        LOOK_AHEAD(0);
        LOOK_AHEAD(1);
        LOOK_AHEAD(2);
        for (int n = 0; n < GROUP_STEPS; n++) { /* turns: GROUP_STEPS */
            KEEP_STEP(0);
        second:
            KEEP_STEP(1);
        third:
            KEEP_STEP(2);
            continue;
        slowly: /* rare: nothing of the cursors is kept in registers meanwhile */
            KEEP_STORE(0);
            KEEP_STORE(1);
            KEEP_STORE(2);
            step_slowly(index, window, &cursors[slow], slow);
            KEEP_LOAD(0);
            KEEP_LOAD(1);
            KEEP_LOAD(2);
            if (slow == 0)
                goto second;
            if (slow == 1)
                goto third;
        }
    }
    KEEP_STORE(0);
    KEEP_STORE(1);
    KEEP_STORE(2);
}

static __attribute__((noinline)) void keep_all_by_shifts(struct index *index,
                                                         const uint8_t *window,
                                                         struct cursor *cursors, int groups)
{
    if (index->counting == PLACES_AT_4)
        keep_all(index, window, cursors, groups, PLACES_AT_4);
    else
        keep_all(index, window, cursors, groups, PLACES_AT_2);
}

#if !defined PLAIN_TWIN && defined __x86_64__
#define KEEPS_BY_BMI2
#ifndef CAN_BMI2 /* a fuzz target tries both */
#define CAN_BMI2 __builtin_cpu_supports("bmi2")
#endif

/* A shift by a variable is one operation, where it is three. */
static __attribute__((noinline, target("bmi2"))) void keep_all_by_bmi2(struct index *index,
                                                                       const uint8_t *window,
                                                                       struct cursor *cursors,
                                                                       int groups)
{
    if (index->counting == PLACES_AT_4)
        keep_all(index, window, cursors, groups, PLACES_AT_4);
    else
        keep_all(index, window, cursors, groups, PLACES_AT_2);
}
#endif

/* Go on as step_all does, or where coefficients are kept. */
static void go_on(struct index *index, const uint8_t *window, struct cursor *cursors, int groups)
{
    if (!index->keeps)
        step_all(index, window, cursors, groups);
#ifdef KEEPS_BY_BMI2
    else if (CAN_BMI2)
        keep_all_by_bmi2(index, window, cursors, groups);
#endif
    else
        keep_all_by_shifts(index, window, cursors, groups);
}

#endif
