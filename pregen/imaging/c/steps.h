/* Steps of three cursors through the codes of a baseline scan, in three places at once (cursors.h).
 *
 * To pass over codes is to wait: where the next one begins is known when the one before was looked
 * up. Three cursors wait at the same time.
 *
 * A step has no branch but for what is rare: a code that is longer than the tables, the end of a
 * block that has all of its coefficients, damage. At 1/8 it passes over several codes. At 1/4 and 1/2
 * it takes one coefficient or two, and with them the end of the block if that follows at once, and
 * keeps them in the slots of their block (scaled.h). Behind the coefficients that count, codes are
 * passed over as at 1/8.
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
#define KEPT_END (1u << LIST_AT)

/* A step that keeps coefficients. The value of the first one is read from the bits, so that STEP_BITS need
 * not hold it; that of a second one is known. One alone goes where the second one went. The end of a
 * block alone is a coefficient of 0 in the next place, which has none yet. */
struct kept_step {
    uint32_t adds;        /* to a state: its bits (the lowest six), places, and KEPT_END */
    uint8_t code_bits;    /* before the first one's value */
    uint8_t shift;        /* 63 less the bits of that value */
    int8_t second;        /* where the step ends */
    uint8_t first_places; /* how far the first one is from the coefficient before */
};
#define SECOND_BITS 7 /* the size of a second one, at most */
#define MOST_KEPT 19  /* bits: GROUP_STEPS of them are in a word of 57 */

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
    union {
        uint32_t steps[MAX_COMPONENTS << STEPS_AT];
        struct kept_step kept_steps[MAX_COMPONENTS << STEPS_AT];
    };
    /* A list for each cursor; and for each block of any of them, its steps. */
    uint32_t lists[(CURSORS + 1) * LIST_SIZE];
    bool keeps;        /* coefficients, at 1/4 and 1/2 */
    uint32_t counting; /* so many count */
    /* By the upper byte of a state (with one bit of the place in its list): the slot of the coefficient
     * before that place, and which of its block's steps come next. */
    uint8_t slots[256];
    uint32_t follow[256];
    int filled[CURSORS]; /* blocks at the beginning of each list that may have coefficients */
    int16_t coefficients[]; /* of each block in each list, SLOTS of them */
};

/* From a place in a cursor's list to the steps of that block. */
#define TO_STEPS(cursor) ((CURSORS - (cursor)) * LIST_SIZE)

HOT uint32_t *list_of(struct index *index, int cursor)
{
    return index->lists + cursor * LIST_SIZE;
}

/* The coefficients of the block that will stand at a place of a list. */
HOT int16_t *coefficients_at(struct index *index, const uint32_t *at)
{
    return index->coefficients + (at - index->lists) * SLOTS;
}

/* Tell which coefficients begin in STEP_BITS bits: the DC (`dc` is given) and one of the AC, or two of
 * these, and whether the block ends behind them. */
static struct kept_step find_kept(const struct huffman *dc, const struct huffman *ac,
                                  uint32_t window)
{
    struct kept_step step = {.adds = TOO_FAR, .shift = 63};
    const struct huffman *table = dc ? dc : ac;
    uint32_t used = 0, places = 0;
    for (int n = 0; n < 3; n++, table = ac) { /* turns: 3; the last one looks for the end alone */
        if (used >= STEP_BITS)
            break;
        int length, symbol = symbol_within(table, window, (int)used, &length);
        if (symbol < 0 || (table == dc && symbol > MOST_DC_BITS))
            break;
        if (table == ac && ends_block(symbol)) {
            if (!n)
                step.first_places = (uint8_t)++places;
            step.adds = (used + (uint32_t)length) | places << STEP_PLACES_AT | KEPT_END;
            break;
        }
        int size = symbol & 15;
        uint32_t after = used + (uint32_t)(length + size);
        if (after > (n ? STEP_BITS : MOST_KEPT) || (n && size > SECOND_BITS) || n == 2)
            break;
        places += table == dc ? 1 : ((uint32_t)symbol >> 4) + 1;
        if (n) {
            struct bits bits = {
                .ahead = (uint64_t)window << (64 - STEP_BITS) << used << length,
                .count = 64,
            };
            step.second = (int8_t)take_value(&bits, size);
        } else {
            step.code_bits = (uint8_t)length;
            step.shift = (uint8_t)(63 - size);
            step.first_places = (uint8_t)places;
        }
        used = after;
        step.adds = used | places << STEP_PLACES_AT;
    }
    return step;
}

/* The same behind the coefficients that count, from the steps of AC (huffman.h). */
static struct kept_step kept_rest(const struct huffman *ac, uint32_t window)
{
    int32_t step = ac->steps[window];
    if (step != STEP_NONE && STEP_USED(step) > MOST_KEPT)
        step = find_step(NULL, ac, window, MOST_KEPT);
    if (step == STEP_NONE)
        return (struct kept_step){.adds = TOO_FAR};
    uint32_t places = (uint32_t)STEP_PLACES(step) + (step < 0 ? 0 : 1);
    uint32_t ends = step < 0 ? 0 : KEPT_END;
    return (struct kept_step){
        .adds = (uint32_t)STEP_USED(step) | places << STEP_PLACES_AT | ends,
        .shift = 63,
        .first_places = (uint8_t)places,
    };
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
            struct kept_step *kept = index->kept_steps + (table << STEPS_AT);
            index->tables[tables].dc = dc;
            index->tables[tables++].ac = ac;
            for (uint32_t window = 0; window < AC_STEPS; window++) { /* turns: AC_STEPS */
                if (index->keeps) {
                    kept[window] = find_kept(dc, ac, window);
                    kept[window + AC_STEPS] = find_kept(NULL, ac, window);
                    kept[window + REST_STEPS] = kept_rest(ac, window);
                } else {
                    steps[window] = (uint32_t)find_step(dc, ac, window, MOST_STEP);
                    steps[window + AC_STEPS] = (uint32_t)ac->steps[window];
                }
            }
        }
        /* turns: at most 4 */
        for (int left = blocks_across(scan, component) * blocks_down(scan, component); left; left--)
            steps_of[index->blocks++] = (uint32_t)table << STEPS_AT;
    }
    index->cycle = tables > 1 ? index->blocks : 1;
    uint32_t *steps_at = list_of(index, CURSORS);
    for (int n = 0; n < LIST_SIZE; n++) /* turns: LIST_SIZE */
        steps_at[n] = steps_of[n % index->blocks];
    /* Short ranges have short lists, so that tests fill them. */
    int least = range_bytes / 2, most = 2 * index->range_blocks - 8;
    index->most = least < LEAST_LIST ? LEAST_LIST : least > most ? most : least;
    if (!index->keeps)
        return;
    index->counting = (uint32_t)places_at(decoder->shrink);
    for (int n = 0; n < 256; n++) { /* turns: 256 */
        int place = (n & 127) - 1;
        index->slots[n] = decoder->slots[place >= 0 && place < BLOCK ? place : BLOCK - 1];
        index->follow[n] = place < 0 ? 0 : place + 1 < (int)index->counting ? AC_STEPS : REST_STEPS;
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
        *cursor->out++ = cursor->state = at;
        cursor->steps = cursor->out[TO_STEPS(n)];
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
        *cursor->out++ = cursor->state = (cursor->state & POSITION) + 1;
        cursor->steps = cursor->out[TO_STEPS(n)];
        range->list = cursor->out;
    }
}

/* ---- at 1/8 ---- */

/* One step of a cursor, its state in registers. `ahead` are its next bits. */
#define STEP(n)                                                                                    \
    {                                                                                              \
        int64_t step = (int32_t)index->steps[(ahead##n >> (64 - STEP_BITS)) + steps##n];           \
        uint32_t after = state##n + (uint32_t)step, next = out##n[1 + TO_STEPS(n)];                \
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
        uint32_t next = kept_steps_at(index, state##n, n);                                         \
        const struct kept_step *step = &index->kept_steps[(ahead##n >> (64 - STEP_BITS)) + next];  \
        uint32_t adds = step->adds;                                                                \
        uint64_t after = state##n + adds, at = state##n >> LIST_AT;                                \
        int16_t *block = index->coefficients + at * SLOTS;                                         \
        if (UNLIKELY(after & TOO_FAR)) {                                                           \
            slow = n;                                                                              \
            goto slowly;                                                                           \
        }                                                                                          \
        uint32_t ends = (uint32_t)((int32_t)adds >> 31); /* all ones, or none */                   \
        uint64_t value = ahead##n << step->code_bits, all = (uint64_t)INT64_MAX >> step->shift;    \
        all &= ~(uint64_t)((int64_t)value >> 63); /* it is negative, F.1.2.1 */                    \
        ahead##n <<= adds & 63;                                                                    \
        block[index->slots[(uint32_t)after >> STEP_PLACES_AT]] = step->second;                     \
        block[index->slots[((uint32_t)state##n >> STEP_PLACES_AT) + step->first_places]] =         \
            (int16_t)((value >> 1 >> step->shift) - all);                                          \
        index->lists[at] = (uint32_t)after; /* its end, if it does not go on */                    \
        state##n = after & ~(uint64_t)(ends & IN_BLOCK);                                           \
    }
#define KEEP_LOAD(n)                                                                               \
    {                                                                                              \
        state##n = states[n];                                                                      \
        LOOK_AHEAD(n);                                                                             \
    }

/* Where the next steps of a cursor are, which keeps coefficients. */
HOT uint32_t kept_steps_at(const struct index *index, uint64_t state, int n)
{
    return index->lists[(state >> LIST_AT) + TO_STEPS(n)] +
           index->follow[(uint32_t)state >> STEP_PLACES_AT];
}

/* A cursor's state with the place of the list, and back. */
static uint64_t load_kept(const struct index *index, const struct cursor *cursor)
{
    return (uint64_t)(cursor->out - index->lists) << LIST_AT | cursor->state;
}

static void store_kept(struct index *index, struct cursor *cursor, uint64_t state, int n)
{
    cursor->state = (uint32_t)state & ~(1u << LIST_AT);
    cursor->out = index->lists + (state >> LIST_AT);
    cursor->steps = kept_steps_at(index, state, n);
}

/* A rare step of the cursor with number `n`. */
static __attribute__((noinline)) void keep_slowly(struct index *index, const uint8_t *window,
                                                  struct cursor *cursors, uint64_t *states, int n)
{
    store_kept(index, &cursors[n], states[n], n);
    step_slowly(index, window, &cursors[n], n);
    states[n] = load_kept(index, &cursors[n]);
}

/* As step_all. */
HOT void keep_all(struct index *index, const uint8_t *window, struct cursor *cursors, int groups)
{
    uint64_t ahead0, ahead1, ahead2, state0, state1, state2, states[CURSORS];
    int slow;
    for (int n = 0; n < CURSORS; n++) /* turns: CURSORS */
        states[n] = load_kept(index, &cursors[n]);
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
            states[0] = state0;
            states[1] = state1;
            states[2] = state2;
            keep_slowly(index, window, cursors, states, slow);
            KEEP_LOAD(0);
            KEEP_LOAD(1);
            KEEP_LOAD(2);
            if (slow == 0)
                goto second;
            if (slow == 1)
                goto third;
        }
    }
    store_kept(index, &cursors[0], state0, 0);
    store_kept(index, &cursors[1], state1, 1);
    store_kept(index, &cursors[2], state2, 2);
}

static __attribute__((noinline)) void keep_all_by_shifts(struct index *index,
                                                         const uint8_t *window,
                                                         struct cursor *cursors, int groups)
{
    keep_all(index, window, cursors, groups);
}

#if !defined PLAIN_TWIN && defined __x86_64__
#define KEEPS_BY_BMI2
#ifndef CAN_BMI2 /* a fuzz target tries both */
#define CAN_BMI2 __builtin_cpu_supports("bmi2")
#endif

/* A shift by a variable is one operation, where it is three, and so is an inverted mask. */
static __attribute__((noinline, target("bmi,bmi2"))) void keep_all_by_bmi2(struct index *index,
                                                                           const uint8_t *window,
                                                                           struct cursor *cursors,
                                                                           int groups)
{
    keep_all(index, window, cursors, groups);
}
#endif

/* Go on as step_all does, or where coefficients are kept. */
static void go_on(struct index *index, const uint8_t *window, struct cursor *cursors, int groups)
{
    if (!index->keeps)
        step_all(index, window, cursors, groups);
#ifdef KEEPS_BY_BMI2
    else if (CAN_BMI2 && __builtin_cpu_supports("bmi"))
        keep_all_by_bmi2(index, window, cursors, groups);
#endif
    else
        keep_all_by_shifts(index, window, cursors, groups);
}

#endif
