/* Huffman codes of a JPEG, T.81: annex C and F.2.2, and tables of what the next bits mean.
 *
 * At 1/8 nearly all coefficients are passed over. A table tells of every 12 bits how many whole
 * codes begin in them and how far these reach, so several are passed over in one step, and nothing
 * is stored of them. PLAIN_TWIN leaves all tables out: one code at a time, one length after the other.
 */
#ifndef PREGEN_HUFFMAN_H
#define PREGEN_HUFFMAN_H

#include "bits.h"

#define CODE_BITS 16 /* the longest code, C.2 */
#define MOST_DC_BITS 11 /* 8-bit samples, F.1.2.1 */
/* 16 and 4 KiB a table: those of a file stay in a first-level cache. With 11 and 13 bits a step is
 * no faster, and there are 9 % more or 7 % fewer of them (22 camera JPEGs). */
#ifndef STEP_BITS /* a fuzz target has smaller tables, beyond which more codes lie */
#define STEP_BITS 12
#define VALUE_BITS 12
#endif
#define LOOK_BITS 10

struct huffman {
    bool present;
    /* By the next LOOK_BITS bits: the symbol << 8 | the length of its code; 0: a longer code. */
    uint16_t look[1 << LOOK_BITS];
    /* By the next STEP_BITS bits: all codes of AC coefficients that begin in them, as STEP_* say. */
    int32_t steps[1 << STEP_BITS];
    /* By the next VALUE_BITS bits: a coefficient, as VALUE_* say. */
    int32_t value[1 << VALUE_BITS];
    bool steps_made, value_made;
    int32_t longest[CODE_BITS + 2]; /* the first code that is longer than n bits, left-aligned */
    int32_t offset[CODE_BITS + 1];  /* from a code of n bits to its symbol's place */
    uint8_t symbols[256];
};
/* A step is also a number that can be added to a place in the data (24 bits) and, above it, one in
 * the block (7 bits). Below 0: the block goes on. */
#define STEP_USED(step) ((step) & 63) /* bits, the extra bits included */
#define STEP_PLACES_AT 24
#define STEP_PLACES(step) ((step) >> STEP_PLACES_AT & 127) /* coefficients passed over */
#define STEP_GOES_ON INT32_MIN
/* Extra bits may lie behind STEP_BITS; so many bits a step has at most, which no picture exceeds. */
#define MOST_STEP (STEP_BITS + 10)
#define STEP_NONE (BLOCK << STEP_PLACES_AT) /* no whole code: farther than any block */
#define VALUE_USED(entry) ((entry) & 31)    /* bits, the extra bits included; 0: too long */
#define VALUE_PLACES(entry) (((entry) >> 8) & 255) /* how far from the one before, as places_of says */
#define VALUE_OF(entry) ((entry) >> 16)
#define VALUE_NONE (PLACES_NONE << 8)
/* Farther than any block: the block ends, and it is not known what there is. */
#define PLACES_END (2 * BLOCK)
#define PLACES_NONE (3 * BLOCK)

/* The symbol that begins with the next bits, or -1; needs 16 bits ready. */
HOT int take_symbol(const struct huffman *table, struct bits *bits)
{
    int length = 1;
#ifndef PLAIN_TWIN
    uint16_t found = table->look[peek(bits, LOOK_BITS)];
    if (found) {
        drop(bits, found & 255);
        return found >> 8;
    }
    length = LOOK_BITS + 1;
#endif
    int32_t code = (int32_t)peek(bits, CODE_BITS);
    for (; length <= CODE_BITS; length++) { /* turns: at most CODE_BITS */
        if (code < table->longest[length]) {
            drop(bits, length);
            return table->symbols[((code >> (CODE_BITS - length)) + table->offset[length]) & 255];
        }
    }
    return -1;
}

/* Build the look-up of a table from its lengths and symbols, C.2. False when it is no code. */
static bool build(struct huffman *table, const uint8_t *lengths, const uint8_t *symbols, int count,
                  int most_symbol)
{
    memset(table, 0, sizeof *table);
    memcpy(table->symbols, symbols, (size_t)count);
    int32_t code = 0;
    int place = 0;
    for (int length = 1; length <= CODE_BITS; length++) { /* turns: CODE_BITS */
        table->offset[length] = place - code;
        /* turns: at most 256 in all: `count` */
        for (int n = 0; n < lengths[length - 1]; n++, code++, place++) {
            /* A code of ones alone is kept free, C.2. */
            if (code >= (1 << length) - 1 || table->symbols[place] > most_symbol)
                return false;
            if (length <= LOOK_BITS) {
                uint16_t entry = (uint16_t)(table->symbols[place] << 8 | length);
                int first = code << (LOOK_BITS - length);
                /* turns: at most 1 << LOOK_BITS in all */
                for (int fill = 0; fill < 1 << (LOOK_BITS - length); fill++)
                    table->look[first + fill] = entry;
            }
        }
        table->longest[length] = code << (CODE_BITS - length);
        code <<= 1;
    }
    table->present = true;
    return true;
}

/* The symbol with which `left` bits begin, which are the first of STEP_BITS; -1: none is whole. */
static int symbol_within(const struct huffman *table, uint32_t window, int used, int *length)
{
    uint64_t ahead = (uint64_t)window << (64 - STEP_BITS) << used;
    struct bits bits = {.ahead = ahead, .count = 64};
    int symbol = take_symbol(table, &bits);
    *length = 64 - bits.count;
    return *length <= STEP_BITS - used ? symbol : -1;
}

/* True for the symbol of an AC coefficient that none follows, F.1.2.2. */
static inline bool ends_block(int symbol)
{
    return !(symbol & 15) && symbol >> 4 != 15;
}

/* Tell how far the codes reach that begin in STEP_BITS bits: those of AC coefficients alone, or
 * (`dc` is given) of a block from its beginning. A step is of at most `most` bits. */
static int32_t find_step(const struct huffman *dc, const struct huffman *ac, uint32_t window,
                         int most)
{
    int used = 0, places = 0, length;
    bool ends = false;
    if (dc) {
        int size = symbol_within(dc, window, 0, &length);
        if (size < 0 || size > MOST_DC_BITS || length + size > most)
            return STEP_NONE;
        used = length + size;
        places = 1;
    }
    while (used < STEP_BITS && !ends) { /* turns: at most STEP_BITS: a code has a bit */
        int symbol = symbol_within(ac, window, used, &length);
        int run = symbol >> 4, size = symbol & 15;
        if (symbol < 0 || places + run + 1 >= BLOCK || used + length + size > most)
            break;
        used += length + size;
        ends = !size && run != 15;
        if (!ends)
            places += run + 1;
    }
    if (!used)
        return STEP_NONE;
    return used | places << STEP_PLACES_AT | (ends ? 0 : STEP_GOES_ON);
}

static void build_steps(struct huffman *table)
{
    for (uint32_t window = 0; window < 1 << STEP_BITS; window++) /* turns: 1 << STEP_BITS */
#ifndef PLAIN_TWIN
        table->steps[window] = find_step(NULL, table, window, MOST_STEP);
#else
        table->steps[window] = STEP_NONE;
#endif
    table->steps_made = true;
}

/* Have codes passed over one at a time: for so little data that a table does not pay. */
static inline void build_no_steps(struct huffman *table)
{
    for (int window = 0; window < 1 << STEP_BITS; window++) /* turns: 1 << STEP_BITS */
        table->steps[window] = STEP_NONE;
    table->steps_made = true;
}

/* How far an AC coefficient is from the one before it, F.1.2.2. Sixteen zeros are a coefficient of 0. */
static inline int places_of(int symbol)
{
    return symbol & 15 || symbol >> 4 == 15 ? (symbol >> 4) + 1 : PLACES_END;
}

/* Tell of every VALUE_BITS bits which coefficient they begin with. */
static void build_values(struct huffman *table)
{
    for (uint32_t window = 0; window < 1 << VALUE_BITS; window++) { /* turns: 1 << VALUE_BITS */
        table->value[window] = VALUE_NONE;
#ifndef PLAIN_TWIN
        struct bits bits = {.ahead = (uint64_t)window << (64 - VALUE_BITS), .count = 64};
        int symbol = take_symbol(table, &bits);
        if (symbol < 0)
            continue;
        int32_t value = take_value(&bits, symbol & 15);
        int used = 64 - bits.count;
        if (used <= VALUE_BITS)
            table->value[window] =
                (int32_t)((uint32_t)value << 16 | (uint32_t)places_of(symbol) << 8) | used;
#endif
    }
    table->value_made = true;
}

#endif
