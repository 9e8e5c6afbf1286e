/* A JPEG at 1/8: one pixel for each block of 8 x 8 samples, from the DC coefficients.
 *
 * At this scale libjpeg-turbo spends nearly all of its time on reading AC coefficients that it
 * then throws away, one symbol at a time. Here a table tells of every 12 bits how many whole
 * symbols begin in them and how far they reach, so several are passed over in one step, and
 * nothing is stored of them. The pixels are those of libjpeg-turbo at 1/8, or a level beside them:
 * luma and full-size chroma are the DC; chroma at half the size in both directions is decoded at
 * 1/4 (the means of the four quadrants of its blocks, which need its odd coefficients).
 *
 * Anything unusual, damaged or cut short makes decode() return False: it is then libjpeg-turbo's
 * work to forgive or refuse. So every rule below may be strict, and what is accepted has to be what
 * libjpeg-turbo accepts without a warning, and to look the same. Section numbers are those of
 * ITU T.81. No input makes this read outside `data` or write outside its own arrays, and each loop
 * tells in a comment how many turns it takes. `scripts/soak fuzz` tries to prove all this wrong.
 *
 * There is no SIMD here. Its tables and the reading of 8 bytes at once are what may be wrong where
 * plain code is not: PLAIN_TWIN leaves them out, and both must do the same.
 *
 * Headers, so that module.c (for Python) and each fuzz target are one piece for the compiler.
 */
#ifndef PREGEN_JPEG_H
#define PREGEN_JPEG_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "colour.h"
#include "scaled.h"
#include "seams.h"

/* What runs for every block stands in one function, with the state of the bits in registers. */
#define HOT static inline __attribute__((always_inline))

#define BLOCK 64
#define MAX_COMPONENTS 3
#define TABLES 4
#define CODE_BITS 16 /* the longest Huffman code, C.2 */
/* 8 and 4 KiB a table, which stay in any first-level cache. 13 and 12 bits are as fast, 11 and 14
 * bits 6 % slower for the skip (22 camera JPEGs). */
#define SKIP_BITS 12
#define LOOK_BITS 10
#define VALUE_BITS 10
/* As libjpeg's own fuzzers limit it; files have a dozen. */
#define MOST_SCANS 500
/* As libjpeg's JPEG_MAX_DIMENSION. */
#define MOST_PX 65500
/* What 8-bit samples become: 1024 at most, and half a quantiser for the rounding. With more than
 * this, libjpeg-turbo's C code and its SIMD code run over, each in its own way. */
#define MOST_AC 2048 /* coefficient times quantiser */
/* A DC is 8 times the mean of samples from -128 to 127, and what an encoder rounds. */
#define MOST_MEAN 1024
#define MOST_LEVELS 511
#define MOST_QUANTISER INT16_MAX

enum result { DONE, NOT_MINE, NO_MEMORY };

/* Where the coefficients of a scan lie in a block, A.6: zigzag place -> 8 * row + column. */
static const uint8_t ZIGZAG[BLOCK] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

/* What a coefficient adds to the means of a block's quadrants. */
enum part { NOTHING, ACROSS, DOWN, BOTH, PARTS };

struct huffman {
    bool present;
    /* By the next LOOK_BITS bits: the symbol << 8 | the length of its code; 0: a longer code. */
    uint16_t look[1 << LOOK_BITS];
    /* By the next SKIP_BITS bits: all symbols that begin in them, as SKIP_* say. */
    uint16_t skip[1 << SKIP_BITS];
    /* By the next VALUE_BITS bits: a symbol and its extra bits, as VALUE_* say. */
    int32_t value[1 << VALUE_BITS];
    bool skip_made, value_made;
    int32_t longest[CODE_BITS + 2]; /* the first code that is longer than n bits, left-aligned */
    int32_t offset[CODE_BITS + 1];  /* from a code of n bits to its symbol's place */
    uint8_t symbols[256];
};
#define SKIP_USED(entry) ((entry) & 31)            /* bits, the extra bits included */
#define SKIP_PLACES(entry) (((entry) >> 5) & 127)  /* coefficients passed over */
#define SKIP_ENDS(entry) ((entry) >> 15)           /* the last symbol ends the block */
#define SKIP_NOTHING (127 << 5)                    /* no whole symbol: farther than any block */
#define VALUE_USED(entry) ((entry) & 31)           /* bits, the extra bits included; 0: too long */
#define VALUE_SYMBOL(entry) (((entry) >> 8) & 255) /* run and size of an AC coefficient, F.1.2.2 */
#define VALUE_OF(entry) ((entry) >> 16)

struct component {
    uint8_t identifier, across, down, quantiser, dc_table, ac_table;
    int dc_quantiser;
    bool quartered;          /* decoded at 1/4: half the size in both directions */
    int columns, rows;       /* in blocks, those of a scan of its own, A.2.2 */
    int stride, height;      /* in blocks, whole MCUs */
    uint32_t dc_before; /* unsigned: what is damaged may overflow */
    int16_t *dc;
    float *parts;            /* PARTS a block, when quartered */
    float weights[BLOCK];    /* by zigzag place, the quantiser included */
    float most[BLOCK];       /* what a coefficient may add, so that it is within MOST_AC */
    uint8_t part[BLOCK];
    int8_t low[BLOCK];       /* progressive: the lowest bit that is known, or UNKNOWN */
    int most_value[BLOCK];   /* at 1/4 and 1/2: what keeps a coefficient within MOST_AC */
    struct scaled scaled;
};

#define UNKNOWN (-1)
#define MOST_LOW 13 /* as libjpeg */

struct bits {
    const uint8_t *at, *end;
    uint64_t ahead; /* the next bits, left-aligned; below `count` they are real, or zeros */
    int count;
    int made_up;    /* how many of them stand behind the end of the data */
};

struct decoder {
    const uint8_t *data, *end, *at;
    int width_px, height_px, count, mcus_across, mcus_down;
    int shrink; /* 8, 4 or 2 */
    int most_across, most_down;
    int restart_mcus;
    bool framed, progressive, jfif, adobe;
    int adobe_transform;
    uint16_t quantisers[TABLES][BLOCK];
    bool quantiser_present[TABLES];
    struct component components[MAX_COMPONENTS];
    struct huffman *dc_tables, *ac_tables;
    bool dc_known[MAX_COMPONENTS];
    bool all_at_once; /* the first scan has all components: libjpeg reads no other */
    int scans;
};

/* ---- bits ---- */

/* The state goes in and out by value, so that the loops below keep it in registers. */
static __attribute__((noinline)) struct bits refill_slowly(struct bits bits)
{
    /* The fast way leaves more than `count` bits behind. */
    bits.ahead &= bits.count ? ~(uint64_t)0 << (64 - bits.count) : 0;
    while (bits.count <= 56) { /* turns: at most 8: a byte each */
        uint64_t byte = 0;
        if (bits.at < bits.end && *bits.at != 0xFF) {
            byte = *bits.at++;
        } else if (bits.end - bits.at >= 2 && bits.at[1] == 0) { /* a stuffed zero, B.1.1.5 */
            byte = 0xFF;
            bits.at += 2;
        } else {
            bits.made_up += 8;
        }
        bits.ahead |= byte << (56 - bits.count);
        bits.count += 8;
    }
    return bits;
}

/* Make at least 32 bits ready: a code and its extra bits are 31 at most. */
HOT void refill(struct bits *bits)
{
    if (bits->count >= 32)
        return;
#ifndef PLAIN_TWIN
    if (bits->end - bits->at >= 8) {
        uint64_t word;
        memcpy(&word, bits->at, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        word = __builtin_bswap64(word);
#endif
        uint64_t inverted = ~word; /* a byte of zeros here is an FF there */
        if (!((inverted - 0x0101010101010101u) & word & 0x8080808080808080u)) {
            bits->ahead |= word >> bits->count;
            bits->at += (63 - bits->count) >> 3;
            bits->count |= 56;
            return;
        }
    }
#endif
    *bits = refill_slowly(*bits);
}

HOT uint32_t peek(const struct bits *bits, int count)
{
    return (uint32_t)(bits->ahead >> (64 - count));
}

HOT void drop(struct bits *bits, int count)
{
    bits->ahead <<= count;
    bits->count -= count;
}

/* True when bits were used that the data does not have. */
HOT bool ran_out(const struct bits *bits)
{
    return bits->count < bits->made_up;
}

/* The value of `size` extra bits, F.2.2.1. */
HOT int32_t take_value(struct bits *bits, int size)
{
    if (!size)
        return 0;
    int32_t value = (int32_t)peek(bits, size);
    drop(bits, size);
    return value < (1 << (size - 1)) ? value - (1 << size) + 1 : value;
}

/* ---- Huffman ---- */

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

/* Have symbols passed over one at a time: for so little data that a table does not pay. */
static inline void build_no_skip(struct huffman *table)
{
    for (int window = 0; window < 1 << SKIP_BITS; window++) /* turns: 1 << SKIP_BITS */
        table->skip[window] = SKIP_NOTHING;
    table->skip_made = true;
}

/* Tell of every SKIP_BITS bits which symbols begin in them. */
static void build_skip(struct huffman *table)
{
#ifndef PLAIN_TWIN
    for (uint32_t window = 0; window < 1 << SKIP_BITS; window++) { /* turns: 1 << SKIP_BITS */
        int used = 0, places = 0;
        bool ends = false;
        while (used < SKIP_BITS && !ends) { /* turns: at most SKIP_BITS: a symbol has a bit */
            int left = SKIP_BITS - used;
            uint32_t ahead = window << used & ((1 << SKIP_BITS) - 1);
            uint16_t found = table->look[ahead >> (SKIP_BITS - LOOK_BITS)];
            int length = found & 255, symbol = found >> 8;
            if (!found) {
                uint32_t code = ahead << (CODE_BITS - SKIP_BITS);
                /* turns: at most CODE_BITS */
                for (length = LOOK_BITS + 1; length <= left; length++)
                    if ((int32_t)code < table->longest[length])
                        break;
                if (length > left)
                    break;
                int place = (int)(code >> (CODE_BITS - length)) + table->offset[length];
                symbol = table->symbols[place & 255];
            }
            if (length > left)
                break;
            int run = symbol >> 4, size = symbol & 15;
            if (places + run + 1 >= BLOCK || used + length + size > 31)
                break;
            used += length + size;
            ends = !size && run != 15;
            if (!ends)
                places += run + 1;
        }
        table->skip[window] = (uint16_t)(used ? used | places << 5 | (int)ends << 15 : SKIP_NOTHING);
    }
    table->skip_made = true;
#else
    build_no_skip(table);
#endif
}

/* Tell of every VALUE_BITS bits which coefficient they begin with. */
static void build_values(struct huffman *table)
{
#ifndef PLAIN_TWIN
    for (uint32_t window = 0; window < 1 << VALUE_BITS; window++) { /* turns: 1 << VALUE_BITS */
        struct bits bits = {.ahead = (uint64_t)window << (64 - VALUE_BITS), .count = 64};
        int symbol = take_symbol(table, &bits);
        if (symbol < 0)
            continue;
        int32_t value = take_value(&bits, symbol & 15);
        int used = 64 - bits.count;
        if (used <= VALUE_BITS)
            table->value[window] = (int32_t)((uint32_t)value << 16 | (uint32_t)symbol << 8) | used;
    }
#endif
    table->value_made = true;
}

/* ---- blocks ---- */

HOT bool take_dc(struct component *component, const struct huffman *table,
                 struct bits *bits, int32_t *found)
{
    refill(bits);
    int32_t entry = table->value[peek(bits, VALUE_BITS)];
    if (VALUE_USED(entry)) {
        drop(bits, VALUE_USED(entry));
        component->dc_before += (uint32_t)VALUE_OF(entry);
    } else {
        int size = take_symbol(table, bits);
        if (size < 0 || size > 11) /* 8-bit samples, F.1.2.1 */
            return false;
        component->dc_before += (uint32_t)take_value(bits, size);
    }
    *found = (int32_t)component->dc_before;
    return true;
}

/* Pass over the AC coefficients of a block from a place on, which is below BLOCK. */
HOT bool skip_ac(const struct huffman *table, struct bits *bits, int place)
{
    for (;;) { /* turns: at most BLOCK: each adds a place or ends it */
        refill(bits);
        uint32_t entry = table->skip[peek(bits, SKIP_BITS)];
        int after = place + (int)SKIP_PLACES(entry);
        if (after < BLOCK) {
            drop(bits, (int)SKIP_USED(entry));
            place = after;
            if (SKIP_ENDS(entry))
                break;
            continue;
        }
        /* A long code, or the block may end within these symbols: one at a time. */
        int symbol = take_symbol(table, bits);
        if (symbol < 0)
            return false;
        int run = symbol >> 4, size = symbol & 15;
        if (!size && run != 15)
            break;
        drop(bits, size);
        place += run + 1;
        if (place > BLOCK)
            return false;
        if (place == BLOCK)
            break;
    }
    return true;
}

/* Read the AC coefficients of a block that is decoded at 1/4. */
HOT bool take_ac(const struct component *component, const struct huffman *table,
                  struct bits *bits, float *parts)
{
    int place = 1;
    while (place < BLOCK) { /* turns: at most BLOCK: likewise */
        refill(bits);
        int32_t entry = table->value[peek(bits, VALUE_BITS)], value;
        int symbol;
        if (VALUE_USED(entry)) {
            drop(bits, VALUE_USED(entry));
            symbol = VALUE_SYMBOL(entry);
            value = VALUE_OF(entry);
        } else {
            symbol = take_symbol(table, bits);
            if (symbol < 0)
                return false;
            value = take_value(bits, symbol & 15);
        }
        if (!(symbol & 15)) {
            if (symbol >> 4 != 15)
                break;
            place += 16;
            continue;
        }
        place += symbol >> 4;
        if (place >= BLOCK)
            return false;
        float added = (float)value * component->weights[place];
        if (fabsf(added) > component->most[place])
            return false;
        parts[component->part[place]] += added;
        place++;
    }
    return place <= BLOCK;
}

/* The farthest from the middle that a DC can be, dequantised. The last bits may come later. */
HOT int32_t most_dc(int32_t quantiser)
{
    return MOST_MEAN + 4 * quantiser;
}

/* Read a block at 1/4 or 1/2, of `size` x `size` samples. */
HOT bool take_scaled(const struct component *component, const struct huffman *table,
                     struct bits *bits, int32_t dc, uint8_t *out, const int size)
{
    const struct scaled *scaled = &component->scaled;
    four sums[MOST_SAMPLES / 4];
    float mean = (float)dc * scaled->patterns[0] + 128.5f;
    for (int n = 0; n < size * size / 4; n++) /* turns: at most MOST_SAMPLES / 4 */
        sums[n] = (four){mean, mean, mean, mean};
    int place = 1;
    bool ended = false;
    while (place < scaled->places) { /* turns: at most MOST_PLACES: likewise */
        refill(bits);
        int32_t entry = table->value[peek(bits, VALUE_BITS)], value;
        int symbol;
        if (VALUE_USED(entry)) {
            drop(bits, VALUE_USED(entry));
            symbol = VALUE_SYMBOL(entry);
            value = VALUE_OF(entry);
        } else {
            symbol = take_symbol(table, bits);
            if (symbol < 0)
                return false;
            value = take_value(bits, symbol & 15);
        }
        if (!(symbol & 15)) {
            ended = symbol >> 4 != 15;
            if (ended)
                break;
            place += 16;
            continue;
        }
        place += symbol >> 4;
        if (place >= BLOCK || abs(value) > component->most_value[place])
            return false;
        if (place < scaled->places)
            add_pattern(sums, scaled->patterns + place * size * size, (float)value, size);
        place++;
    }
    if (place > BLOCK || (!ended && place < BLOCK && !skip_ac(table, bits, place)))
        return false;
    return put_samples(sums, out, scaled->stride, size);
}

/* ---- scans ---- */

enum kind { BASELINE, PROGRESSIVE, SCALED };

struct scan {
    int count;
    struct component *components[MAX_COMPONENTS];
    int first, last, high, low; /* Ss, Se, Ah, Al: B.2.3 */
    uint32_t blocks_to_pass;    /* EOBRUN, G.1.2.2 */
};

HOT bool take_block(struct decoder *decoder, struct scan *scan, struct component *component,
                    size_t index, struct bits *bits, const enum kind kind)
{
    int32_t dc;
    if (kind != PROGRESSIVE) {
        const struct huffman *ac = &decoder->ac_tables[component->ac_table];
        if (!take_dc(component, &decoder->dc_tables[component->dc_table], bits, &dc))
            return false;
        component->dc[index] = (int16_t)dc;
        if (kind == SCALED) {
            const struct scaled *scaled = &component->scaled;
            size_t row = index / (size_t)component->stride, column = index % (size_t)component->stride;
            uint8_t *out = scaled->samples + (row * scaled->stride + column) * (size_t)scaled->size;
            if (scaled->size == 2)
                return take_scaled(component, ac, bits, dc, out, 2);
            if (scaled->size == 4)
                return take_scaled(component, ac, bits, dc, out, 4);
            return take_scaled(component, ac, bits, dc, out, 8);
        }
        if (!component->quartered)
            return skip_ac(ac, bits, 1);
        return take_ac(component, ac, bits, component->parts + index * PARTS);
    }
    if (scan->first == 0 && scan->high == 0) {
        if (!take_dc(component, &decoder->dc_tables[component->dc_table], bits, &dc))
            return false;
        component->dc[index] = (int16_t)((uint32_t)dc << scan->low);
        return true;
    }
    if (scan->first == 0) { /* one more bit of the DC, G.1.2.1 */
        refill(bits);
        component->dc[index] |= (int16_t)(peek(bits, 1) << scan->low);
        drop(bits, 1);
        return true;
    }
    if (scan->blocks_to_pass) {
        scan->blocks_to_pass--;
        return true;
    }
    const struct huffman *ac = &decoder->ac_tables[component->ac_table];
    float *parts = component->parts + index * PARTS;
    /* turns: at most BLOCK: `last` is below */
    for (int place = scan->first; place <= scan->last; place++) {
        refill(bits);
        int symbol = take_symbol(ac, bits);
        if (symbol < 0)
            return false;
        int run = symbol >> 4, size = symbol & 15;
        if (!size && run != 15) {
            scan->blocks_to_pass = (1u << run) - 1;
            if (run) {
                scan->blocks_to_pass += peek(bits, run);
                drop(bits, run);
            }
            return true;
        }
        place += run;
        if (!size)
            continue;
        if (place > scan->last)
            return false;
        int32_t value = (int32_t)((uint32_t)take_value(bits, size) << scan->low);
        float added = (float)value * component->weights[place];
        if (fabsf(added) > component->most[place])
            return false;
        parts[component->part[place]] += added;
    }
    return true;
}

/* True when the entropy-coded data ends here: nothing but padding is left, F.1.2.3. */
static bool at_end(struct bits *bits)
{
    *bits = refill_slowly(*bits);
    return bits->count - bits->made_up < 8; /* no whole byte is left */
}

/* True when the last block is the end of the data: only padding is left, F.1.2.3, or whole
 * bytes of ones or zeros, as some writers fill up. */
static bool ends_here(const struct bits *bits)
{
    struct bits left = *bits;
    /* turns: at most the data's bytes, in all */
    for (int64_t value = -1;; ) {
        left = refill_slowly(left);
        int count = left.count - left.made_up;
        if (count <= 0 || (value < 0 && count < 8))
            return true;
        count = count < 32 ? count : 32;
        uint32_t found = peek(&left, count), ones = (uint32_t)(((uint64_t)1 << count) - 1);
        if (found && found != ones)
            return false;
        if (value >= 0 && value != (found != 0))
            return false;
        value = found != 0;
        drop(&left, count);
    }
}

/* Go to the restart marker that must come now, E.1.4. */
static bool restart(struct scan *scan, struct bits *bits, int number)
{
    if (!at_end(bits))
        return false;
    const uint8_t *at = bits->at;
    /* turns: at most the data's bytes, in all */
    while (bits->end - at >= 2 && at[0] == 0xFF && at[1] == 0xFF)
        at++;
    if (bits->end - at < 2 || at[0] != 0xFF || at[1] != 0xD0 + (number & 7))
        return false;
    *bits = (struct bits){.at = at + 2, .end = bits->end};
    for (int n = 0; n < scan->count; n++) /* turns: at most MAX_COMPONENTS */
        scan->components[n]->dc_before = 0;
    scan->blocks_to_pass = 0;
    return true;
}

/* True when a restart marker follows the data, which nobody waits for. */
static bool is_restart(const struct bits *bits)
{
    return bits->end - bits->at >= 2 && bits->at[0] == 0xFF && bits->at[1] >= 0xD0 &&
           bits->at[1] <= 0xD7;
}

/* True when the DC of a scan looks as if it were shifted from some block on. */
static __attribute__((noinline)) bool has_seam(const struct scan *scan, int columns, int rows)
{
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        const struct component *component = scan->components[n];
        size_t across = scan->count > 1 ? component->across : 1;
        size_t down = scan->count > 1 ? component->down : 1;
        struct dc_plane plane = {
            component->dc, across, down * (size_t)component->stride, columns, rows,
            component->dc_quantiser,
        };
        int64_t found;
        if (find_seams(&plane, &found, 1))
            return true;
    }
    return false;
}

HOT bool take_mcu(struct decoder *decoder, struct scan *scan, int column, int row,
                  struct bits *bits, const enum kind kind)
{
    if (scan->count == 1) {
        struct component *component = scan->components[0];
        size_t index = (size_t)row * component->stride + column;
        return take_block(decoder, scan, component, index, bits, kind);
    }
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = scan->components[n];
        for (int y = 0; y < component->down; y++) { /* turns: at most 2 */
            size_t index = (size_t)(row * component->down + y) * component->stride +
                           (size_t)column * component->across;
            for (int x = 0; x < component->across; x++) /* turns: at most 2 */
                if (!take_block(decoder, scan, component, index + x, bits, kind))
                    return false;
        }
    }
    return true;
}

HOT bool take_mcus(struct decoder *decoder, struct scan *scan, const enum kind kind)
{
    int columns = decoder->mcus_across, rows = decoder->mcus_down;
    if (scan->count == 1) {
        columns = scan->components[0]->columns;
        rows = scan->components[0]->rows;
    }
    for (int n = 0; n < scan->count; n++) /* turns: at most MAX_COMPONENTS */
        scan->components[n]->dc_before = 0;
    struct bits bits = {.at = decoder->at, .end = decoder->end};
    int left = decoder->restart_mcus, restarts = 0;
    for (int row = 0; row < rows; row++) { /* turns: at most MOST_PX / 8 + 1 */
        for (int column = 0; column < columns; column++) { /* turns: at most MOST_PX / 8 + 1 */
            if (decoder->restart_mcus && !left--) {
                struct bits here = bits;
                if (ran_out(&here) || !restart(scan, &here, restarts++))
                    return false;
                bits = here;
                left = decoder->restart_mcus - 1;
            }
            if (!take_mcu(decoder, scan, column, row, &bits, kind))
                return false;
        }
        if (ran_out(&bits))
            return false;
    }
    if (scan->first == 0 && !scan->high && !decoder->restart_mcus && has_seam(scan, columns, rows))
        return false;
    struct bits here = bits;
    if (decoder->all_at_once) /* libjpeg says nothing of what is left */
        return ends_here(&here) && !is_restart(&here);
    if (!at_end(&here)) /* here libjpeg calls it damage */
        return false;
    decoder->at = here.at;
    return true;
}

/* A copy of the loops for each: the one for baseline is short enough for the compiler. */
static bool take_baseline(struct decoder *decoder, struct scan *scan)
{
    return take_mcus(decoder, scan, BASELINE);
}

static bool take_progressive(struct decoder *decoder, struct scan *scan)
{
    return take_mcus(decoder, scan, PROGRESSIVE);
}

static bool take_scaled_blocks(struct decoder *decoder, struct scan *scan)
{
    return take_mcus(decoder, scan, SCALED);
}

static bool take_scan(struct decoder *decoder, struct scan *scan)
{
    if (decoder->progressive)
        return take_progressive(decoder, scan);
    return decoder->shrink == 8 ? take_baseline(decoder, scan) : take_scaled_blocks(decoder, scan);
}

/* ---- segments ---- */

static int word(const uint8_t *at) { return at[0] << 8 | at[1]; }

/* The next marker that ends coded data, restarts included; NULL: there is none. */
static const uint8_t *next_marker(const uint8_t *at, const uint8_t *end)
{
    /* turns: at most the data's bytes */
    while ((at = memchr(at, 0xFF, (size_t)(end - at)))) {
        if (end - at < 2)
            return NULL;
        if (at[1] != 0 && at[1] != 0xFF)
            return at;
        at += at[1] == 0xFF ? 1 : 2;
    }
    return NULL;
}

/* Where the coded data of a scan ends: the next marker but restarts, or the end of the data. */
static const uint8_t *end_of_scan(const uint8_t *at, const uint8_t *end)
{
    /* turns: at most the data's bytes, in all */
    while ((at = next_marker(at, end)) && at[1] >= 0xD0 && at[1] <= 0xD7)
        at += 2;
    return at ? at : end;
}

static bool read_quantisers(struct decoder *decoder, const uint8_t *at, const uint8_t *end)
{
    if (decoder->scans) /* a component keeps the table it began with: not worth the trouble */
        return false;
    while (at < end) { /* turns: at most the segment's bytes */
        int wide = *at >> 4, number = *at & 15;
        at++;
        if (wide > 1 || number >= TABLES || end - at < BLOCK << wide)
            return false;
        for (int place = 0; place < BLOCK; place++, at += 1 + wide) { /* turns: BLOCK */
            int value = wide ? word(at) : *at;
            if (value > MOST_QUANTISER)
                return false;
            decoder->quantisers[number][place] = (uint16_t)value;
        }
        decoder->quantiser_present[number] = true;
    }
    return true;
}

/* Build the Huffman tables of a segment, B.2.4.2: TABLES for DC, as many for AC. */
static bool read_huffman(struct huffman *dc_tables, struct huffman *ac_tables, const uint8_t *at,
                         const uint8_t *end)
{
    while (at < end) { /* turns: at most the segment's bytes */
        if (end - at < 1 + CODE_BITS)
            return false;
        int class = *at >> 4, number = *at & 15, count = 0;
        for (int length = 0; length < CODE_BITS; length++) /* turns: CODE_BITS */
            count += at[1 + length];
        if (class > 1 || number >= TABLES || count > 256 || end - at < 1 + CODE_BITS + count)
            return false;
        struct huffman *tables = class ? ac_tables : dc_tables;
        /* Sizes of DC coefficients: what libjpeg allows. */
        if (!build(&tables[number], at + 1, at + 1 + CODE_BITS, count, class ? 255 : 15))
            return false;
        at += 1 + CODE_BITS + count;
    }
    return true;
}

/* Have room for a component's samples at 1/4 and 1/2. False when there is no memory. */
static bool prepare_scaled(const struct decoder *decoder, struct component *component, bool halved)
{
    struct scaled *scaled = &component->scaled;
    if (decoder->shrink == 8)
        return true;
    scaled->size = (halved ? 16 : 8) / decoder->shrink;
    scaled->places = decoder->shrink == 4 ? PLACES_AT_4 : PLACES_AT_2;
    scaled->stride = (size_t)component->stride * (size_t)scaled->size;
    scaled->samples = calloc(scaled->stride * (size_t)scaled->size, (size_t)component->height);
    return scaled->samples;
}

static enum result read_frame(struct decoder *decoder, const uint8_t *at, const uint8_t *end)
{
    if (decoder->framed || end - at < 6 || at[0] != 8 || word(at + 1) != decoder->height_px ||
        word(at + 3) != decoder->width_px || decoder->height_px > MOST_PX ||
        decoder->width_px > MOST_PX)
        return NOT_MINE;
    decoder->count = at[5];
    if ((decoder->count != 1 && decoder->count != 3) || end - at != 6 + 3 * decoder->count)
        return NOT_MINE;
    for (int n = 0; n < decoder->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = &decoder->components[n];
        const uint8_t *fields = at + 6 + 3 * n;
        component->identifier = fields[0];
        int across = fields[1] >> 4, down = fields[1] & 15;
        if (across < 1 || across > 4 || down < 1 || down > 4) /* B.2.2 */
            return NOT_MINE;
        /* The only component of a picture is never reduced, whatever its factors say: A.2.2. */
        component->across = (uint8_t)(decoder->count == 1 ? 1 : across);
        component->down = (uint8_t)(decoder->count == 1 ? 1 : down);
        component->quantiser = fields[2];
        bool sampled = n ? component->across == 1 && component->down == 1
                         : component->across <= 2 && component->down <= 2;
        if (!sampled || component->quantiser >= TABLES)
            return NOT_MINE;
        for (int before = 0; before < n; before++) /* turns: at most MAX_COMPONENTS */
            if (decoder->components[before].identifier == component->identifier)
                return NOT_MINE;
    }
    int across = decoder->most_across = decoder->components[0].across;
    int down = decoder->most_down = decoder->components[0].down;
    decoder->mcus_across = (decoder->width_px + 8 * across - 1) / (8 * across);
    decoder->mcus_down = (decoder->height_px + 8 * down - 1) / (8 * down);
    for (int n = 0; n < decoder->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = &decoder->components[n];
        int width = (decoder->width_px * component->across + across - 1) / across;
        int height = (decoder->height_px * component->down + down - 1) / down;
        component->columns = (width + 7) / 8;
        component->rows = (height + 7) / 8;
        component->stride = decoder->mcus_across * component->across;
        component->height = decoder->mcus_down * component->down;
        component->quartered = n && across == 2 && down == 2 && decoder->shrink == 8;
        memset(component->low, UNKNOWN, sizeof component->low);
        size_t blocks = (size_t)component->stride * (size_t)component->height;
        component->dc = calloc(blocks, sizeof *component->dc);
        if (component->quartered)
            component->parts = calloc(blocks, PARTS * sizeof *component->parts);
        if (!component->dc || (component->quartered && !component->parts) ||
            !prepare_scaled(decoder, component, n && across == 2 && down == 2))
            return NO_MEMORY;
    }
    decoder->framed = true;
    return DONE;
}

/* What each coefficient adds to the mean of a quadrant, from the inverse DCT (A.3.3): the mean
 * over four of its eight samples of an even cosine is 0, of an odd one plus or minus the same. */
static void weigh(struct component *component, const uint16_t *quantisers)
{
    double mean[8] = {0};
    for (int u = 1; u < 8; u += 2) /* turns: 4 */
        for (int x = 0; x < 4; x++) /* turns: 4 */
            mean[u] += cos((2 * x + 1) * u * 3.14159265358979323846 / 16) / 4;
    for (int place = 1; place < BLOCK; place++) { /* turns: BLOCK */
        int u = ZIGZAG[place] & 7, v = ZIGZAG[place] >> 3;
        double weight = 0;
        enum part part = NOTHING;
        if (u % 2 && !v) {
            part = ACROSS;
            weight = mean[u] * sqrt(0.5) / 4;
        } else if (v % 2 && !u) {
            part = DOWN;
            weight = mean[v] * sqrt(0.5) / 4;
        } else if (u % 2 && v % 2) {
            part = BOTH;
            weight = mean[u] * mean[v] / 4;
        }
        component->part[place] = (uint8_t)part;
        component->weights[place] = (float)(weight * quantisers[place]);
        component->most[place] = (float)(fabs(weight) * (MOST_AC + 0.5));
    }
}

/* The same for 1/4 and 1/2. */
static void weigh_scaled(struct component *component, const uint16_t *quantisers)
{
    find_patterns(&component->scaled, quantisers, ZIGZAG);
    for (int place = 0; place < BLOCK; place++) /* turns: BLOCK */
        component->most_value[place] = quantisers[place] ? MOST_AC / quantisers[place] : MOST_AC;
}

/* Check and note that a scan is the next one for each of its coefficients: the first after the
 * DC, then bit by bit, G.1.1.1.1. So none comes more than MOST_LOW + 1 times. */
static bool in_sequence(const struct scan *scan)
{
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        int8_t *low = scan->components[n]->low;
        if (scan->first && low[0] == UNKNOWN)
            return false;
        for (int place = scan->first; place <= scan->last; place++) { /* turns: at most BLOCK */
            if (low[place] == UNKNOWN ? scan->high : !low[place] || scan->high != low[place])
                return false;
            if (scan->high && scan->low != scan->high - 1)
                return false;
            low[place] = (int8_t)scan->low;
        }
    }
    return true;
}

static bool read_scan(struct decoder *decoder, struct scan *scan, const uint8_t *at,
                      const uint8_t *end)
{
    *scan = (struct scan){0};
    if (!decoder->framed || end - at < 4)
        return false;
    scan->count = at[0];
    if (scan->count < 1 || scan->count > decoder->count || end - at != 4 + 2 * scan->count)
        return false;
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        const uint8_t *fields = at + 1 + 2 * n;
        for (int m = 0; m < decoder->count; m++) /* turns: at most MAX_COMPONENTS */
            if (decoder->components[m].identifier == fields[0])
                scan->components[n] = &decoder->components[m];
        /* In the order of the frame, none twice: B.2.3. */
        if (!scan->components[n] || (n && scan->components[n] <= scan->components[n - 1]))
            return false;
        scan->components[n]->dc_table = fields[1] >> 4;
        scan->components[n]->ac_table = fields[1] & 15;
    }
    const uint8_t *rest = at + 1 + 2 * scan->count;
    scan->first = rest[0];
    scan->last = rest[1];
    scan->high = rest[2] >> 4;
    scan->low = rest[2] & 15;
    if (!decoder->progressive)
        return scan->first == 0 && scan->last == BLOCK - 1 && !rest[2];
    if (scan->low > MOST_LOW || scan->last >= BLOCK || scan->first > scan->last)
        return false;
    return (scan->first ? scan->count == 1 : scan->last == 0) && in_sequence(scan);
}

/* Check that a scan's tables are there; prepare what is made of them. */
static bool ready(struct decoder *decoder, struct scan *scan)
{
    bool dc = scan->first == 0 && scan->high == 0;
    bool ac = !decoder->progressive || scan->first > 0;
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = scan->components[n];
        if (component->dc_table >= TABLES || component->ac_table >= TABLES ||
            !decoder->quantiser_present[component->quantiser])
            return false;
        struct huffman *table = &decoder->ac_tables[component->ac_table];
        if ((dc && !decoder->dc_tables[component->dc_table].present) || (ac && !table->present))
            return false;
        if (ac && !component->quartered && !table->skip_made)
            build_skip(table);
        if (ac && (component->quartered || component->scaled.size) && !table->value_made)
            build_values(table);
        struct huffman *dc_table = &decoder->dc_tables[component->dc_table];
        if (dc && !dc_table->value_made)
            build_values(dc_table);
        int number = (int)(component - decoder->components);
        if (!decoder->progressive && decoder->dc_known[number])
            return false; /* a picture twice */
        decoder->dc_known[number] |= scan->first == 0;
        component->dc_quantiser = decoder->quantisers[component->quantiser][0];
        if (!component->dc_quantiser) /* no file has it, B.2.4.1: damage */
            return false;
        weigh(component, decoder->quantisers[component->quantiser]);
        if (component->scaled.size)
            weigh_scaled(component, decoder->quantisers[component->quantiser]);
    }
    return true;
}

static bool all_known(const struct decoder *decoder)
{
    for (int n = 0; n < decoder->count; n++) /* turns: at most MAX_COMPONENTS */
        if (!decoder->dc_known[n])
            return false;
    return true;
}

/* Three components are YCbCr unless the file says otherwise, as libjpeg decides it. */
static bool is_ycc(const struct decoder *decoder)
{
    const struct component *components = decoder->components;
    if (decoder->count == 1 || decoder->jfif)
        return true;
    if (decoder->adobe)
        return decoder->adobe_transform == 1;
    return !(components[0].identifier == 'R' && components[1].identifier == 'G' &&
             components[2].identifier == 'B');
}

static enum result read_all(struct decoder *decoder)
{
    if (decoder->end - decoder->at < 2 || word(decoder->at) != 0xFFD8)
        return NOT_MINE;
    decoder->at += 2;
    for (;;) { /* turns: at most the data's bytes: each goes on in it */
        if (decoder->end - decoder->at < 2 || decoder->at[0] != 0xFF)
            return NOT_MINE;
        int marker = decoder->at[1];
        if (marker == 0xFF) {
            decoder->at++;
            continue;
        }
        if (marker == 0xD9) /* EOI */
            return all_known(decoder) && decoder->framed ? DONE : NOT_MINE;
        if (decoder->end - decoder->at < 4)
            return NOT_MINE;
        const uint8_t *body = decoder->at + 4;
        int length = word(decoder->at + 2) - 2;
        if (length < 0 || decoder->end - body < length)
            return NOT_MINE;
        const uint8_t *end = body + length;
        decoder->at = end;
        struct scan scan;
        enum result result = DONE;
        switch (marker) {
        case 0xC2:
            if (decoder->shrink != 8) /* needs all of its coefficients, until the end */
                return NOT_MINE;
            decoder->progressive = true; /* fall through */
        case 0xC0:
        case 0xC1:
            result = read_frame(decoder, body, end);
            break;
        case 0xC4:
            result = read_huffman(decoder->dc_tables, decoder->ac_tables, body, end) ? DONE : NOT_MINE;
            break;
        case 0xDB:
            result = read_quantisers(decoder, body, end) ? DONE : NOT_MINE;
            break;
        case 0xDD:
            decoder->restart_mcus = length == 2 ? word(body) : 0;
            result = length == 2 ? DONE : NOT_MINE;
            break;
        case 0xE0:
            decoder->jfif |= length >= 14 && !memcmp(body, "JFIF", 5); /* as libjpeg */
            break;
        case 0xEE:
            if (length >= 12 && !memcmp(body, "Adobe", 5)) {
                decoder->adobe = true;
                decoder->adobe_transform = body[11];
            }
            break;
        case 0xDA:
            if (++decoder->scans > MOST_SCANS || !read_scan(decoder, &scan, body, end) ||
                !is_ycc(decoder))
                return NOT_MINE;
            if (decoder->progressive && scan.first &&
                (scan.high || !scan.components[0]->quartered)) {
                /* It brings nothing for this scale, or a last bit of little. */
                decoder->at = end_of_scan(decoder->at, decoder->end);
                break;
            }
            decoder->all_at_once = !decoder->progressive && scan.count == decoder->count;
            if (!ready(decoder, &scan) || !take_scan(decoder, &scan))
                return NOT_MINE;
            if (decoder->all_at_once)
                return DONE;
            break;
        default:
            /* APPn and COM are passed over. Not other frames (lossless, arithmetic), DNL, DHP, EXP,
             * markers without a length, and those that mean nothing. */
            if (!(marker >= 0xE0 && marker <= 0xEF) && marker != 0xFE)
                return NOT_MINE;
        }
        if (result != DONE)
            return result;
    }
}

/* ---- pixels ---- */

static inline uint8_t level(const struct component *component, int32_t quantiser, size_t index)
{
    return clamped(((component->dc[index] * quantiser + 4) >> 3) + 128);
}

/* The samples of one row of a component, one for each column of the picture at 1/8. False when one
 * is farther from the middle than libjpeg's tables reach. */
static bool fill_row(const struct decoder *decoder, const struct component *component, int row,
                     int columns, uint8_t *samples)
{
    int32_t quantiser = decoder->quantisers[component->quantiser][0];
    if (component->quartered) {
        size_t first = (size_t)(row / 2) * component->stride;
        float down = row % 2 ? -1.0f : 1.0f;
        for (int x = 0; x < columns; x++) { /* turns: at most MOST_PX / 8 + 1 */
            size_t index = first + (size_t)(x / 2);
            const float *parts = component->parts + index * PARTS;
            float across = x % 2 ? -1.0f : 1.0f;
            float value = (float)(component->dc[index] * quantiser) / 8.0f + across * parts[ACROSS] +
                          down * parts[DOWN] + across * down * parts[BOTH] + 128.5f;
            if (value > 0.0f && value < 255.0f)
                samples[x] = (uint8_t)value;
            else if (fabsf(value - 128) < MOST_LEVELS)
                samples[x] = value <= 0.0f ? 0 : 255;
            else
                return false;
        }
        return true;
    }
    int wide = decoder->most_across / component->across;
    int high = decoder->most_down / component->down;
    size_t first = (size_t)(row / high) * component->stride;
    for (int x = 0; x < columns; x++) /* turns: at most MOST_PX / 8 + 1 */
        samples[x] = level(component, quantiser, first + (size_t)(x / wide));
    return true;
}

/* True when no DC is farther from the middle than one can be; more is damage. */
static bool within_reach(const struct decoder *decoder, const struct component *component)
{
    size_t blocks = (size_t)component->stride * (size_t)component->height;
    int32_t quantiser = decoder->quantisers[component->quantiser][0];
    int16_t least = 0, most = 0;
    for (size_t n = 0; n < blocks; n++) { /* turns: all blocks */
        int16_t dc = component->dc[n];
        least = dc < least ? dc : least;
        most = dc > most ? dc : most;
    }
    return most * quantiser <= most_dc(quantiser) && least * quantiser >= -most_dc(quantiser);
}

static enum result write_dc_pixels(const struct decoder *decoder, uint8_t *out, int bands)
{
    int columns = (decoder->width_px + 7) / 8, rows = (decoder->height_px + 7) / 8;
    uint8_t *line = malloc((size_t)columns * 3);
    if (!line)
        return NO_MEMORY;
    /* turns: at most MOST_PX / 8 + 1 */
    for (int row = 0; row < rows; row++, out += (size_t)columns * bands) {
        for (int n = 0; n < decoder->count; n++) /* turns: at most MAX_COMPONENTS */
            if (!fill_row(decoder, &decoder->components[n], row, columns,
                          line + (size_t)n * columns)) {
                free(line);
                return NOT_MINE;
            }
        if (decoder->count == 3)
            fill_rgb(out, line, line + columns, line + 2 * (size_t)columns, columns, bands);
        else
            fill_grey(out, line, columns, bands);
    }
    free(line);
    return DONE;
}

/* One row of chroma at 1/4 or 1/2, as wide as luma: as it is, or with a triangle between its samples,
 * as libjpeg does it, where it has half of the columns or of the rows. `line` has room for a sample
 * more than there are columns. */
static const uint8_t *chroma_row(const struct decoder *decoder, const struct component *component,
                                 int row, int columns, uint8_t *line)
{
    const struct scaled *scaled = &component->scaled;
    int luma = decoder->components[0].scaled.size;
    bool half_across = decoder->most_across * luma > scaled->size;
    bool half_down = decoder->most_down * luma > scaled->size;
    const uint8_t *near = scaled->samples + (size_t)(half_down ? row / 2 : row) * scaled->stride;
    if (half_down) {
        int rows = (decoder->height_px + decoder->shrink - 1) / decoder->shrink;
        int other = row % 2 ? row / 2 + 1 : row / 2 - 1, last = (rows + 1) / 2 - 1;
        const uint8_t *far = scaled->samples +
                             (size_t)(other < 0 ? 0 : other > last ? last : other) * scaled->stride;
        fill_between(line, near, far, columns, 1 + row % 2);
        return line;
    }
    if (!half_across)
        return near;
    fill_twice(line, near, (columns + 1) / 2);
    return line;
}

static enum result write_scaled_pixels(const struct decoder *decoder, uint8_t *out, int bands)
{
    int columns = (decoder->width_px + decoder->shrink - 1) / decoder->shrink;
    int rows = (decoder->height_px + decoder->shrink - 1) / decoder->shrink;
    uint8_t *lines = malloc(((size_t)columns + 1) * 2);
    if (!lines)
        return NO_MEMORY;
    for (int row = 0; row < rows; row++, out += (size_t)columns * bands) { /* turns: MOST_PX / 2 */
        const struct component *components = decoder->components;
        const uint8_t *luma = components[0].scaled.samples + (size_t)row * components[0].scaled.stride;
        if (decoder->count == 3)
            fill_rgb(out, luma, chroma_row(decoder, &components[1], row, columns, lines),
                     chroma_row(decoder, &components[2], row, columns, lines + columns + 1), columns,
                     bands);
        else
            fill_grey(out, luma, columns, bands);
    }
    free(lines);
    return DONE;
}

static enum result write_pixels(const struct decoder *decoder, uint8_t *out, int bands)
{
    return decoder->shrink == 8 ? write_dc_pixels(decoder, out, bands)
                                : write_scaled_pixels(decoder, out, bands);
}

/* Fill `out` with ceil(height_px / shrink) rows of ceil(width_px / shrink) pixels. */
static enum result decode_all(const uint8_t *data, size_t size, int width_px, int height_px,
                              int shrink, uint8_t *out, int bands)
{
    struct decoder *decoder = calloc(1, sizeof *decoder);
    enum result result = NO_MEMORY;
    if (!decoder)
        return NO_MEMORY;
    decoder->dc_tables = calloc(TABLES, sizeof *decoder->dc_tables);
    decoder->ac_tables = calloc(TABLES, sizeof *decoder->ac_tables);
    if (decoder->dc_tables && decoder->ac_tables) {
        decoder->at = decoder->data = data;
        decoder->end = data + size;
        decoder->width_px = width_px;
        decoder->height_px = height_px;
        decoder->shrink = shrink;
        result = read_all(decoder);
        if (result == DONE && decoder->count == 3 && bands == 1)
            result = NOT_MINE;
        /* turns: at most MAX_COMPONENTS */
        for (int n = 0; result == DONE && n < decoder->count; n++)
            if (!within_reach(decoder, &decoder->components[n]))
                result = NOT_MINE;
        if (result == DONE)
            result = write_pixels(decoder, out, bands);
    }
    for (int n = 0; n < MAX_COMPONENTS; n++) { /* turns: MAX_COMPONENTS */
        free(decoder->components[n].dc);
        free(decoder->components[n].parts);
        free(decoder->components[n].scaled.samples);
    }
    free(decoder->dc_tables);
    free(decoder->ac_tables);
    free(decoder);
    return result;
}

#endif
