/* Blocks of a JPEG, T.81: F.1.2 and F.2.2: which coefficients are read, and what becomes of them.
 *
 * At 1/8 a sample is the DC. Chroma at half the size in both directions is decoded at 1/4, as
 * libjpeg does: its blocks become 2 x 2 samples, and at 1/4 and 1/2 all blocks become more
 * (scaled.h).
 */
#ifndef PREGEN_BLOCKS_H
#define PREGEN_BLOCKS_H

#include "huffman.h"
#include "scaled.h"

/* What 8-bit samples become: 1024 at most, and half a quantiser for the rounding. With more than
 * this, libjpeg-turbo's C code and its SIMD code run over, each in its own way. */
#define MOST_AC 2048 /* coefficient times quantiser */
/* A DC is 8 times the mean of samples from -128 to 127, and what an encoder rounds. */
#define MOST_MEAN 1024

/* Where the coefficients of a scan lie in a block, A.6: zigzag place -> 8 * row + column. */
static const uint8_t ZIGZAG[BLOCK] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

struct component {
    uint8_t identifier, across, down, quantiser, dc_table, ac_table;
    int dc_quantiser;
    int columns, rows;       /* in blocks, those of a scan of its own, A.2.2 */
    int stride, height;      /* in blocks, whole MCUs */
    uint32_t dc_before;      /* unsigned: what is damaged may overflow */
    int16_t *dc;
    struct scaled scaled;    /* of more than the DC */
    float *sums;             /* progressive: QUARTERS a block, what its AC add to its samples */
    int most_value[BLOCK];   /* what keeps a coefficient within MOST_AC */
    int8_t low[BLOCK];       /* progressive: the lowest bit that is known, or UNKNOWN */
};

#define QUARTERS 4
#define UNKNOWN (-1)

/* The farthest from the middle that a DC can be, dequantised. The last bits may come later. */
HOT int32_t most_dc(int32_t quantiser)
{
    return MOST_MEAN + 4 * quantiser;
}

/* Read the DC of a block; needs 32 bits ready. False: there is no code, or none that a picture
 * has. */
HOT bool take_dc(struct component *component, const struct huffman *table, struct bits *bits,
                 int32_t *found)
{
    int32_t entry = table->value[peek(bits, VALUE_BITS)];
    if (VALUE_USED(entry)) {
        drop(bits, VALUE_USED(entry));
        component->dc_before += (uint32_t)VALUE_OF(entry);
    } else {
        int size = take_symbol(table, bits);
        if (size < 0 || size > MOST_DC_BITS)
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
        int32_t step = table->steps[peek(bits, STEP_BITS)];
        int after = place + STEP_PLACES(step);
        if (after < BLOCK) {
            drop(bits, STEP_USED(step));
            place = after;
            if (step >= 0)
                break;
            continue;
        }
        /* A long code, or the block may end within these: one at a time. */
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

/* Read the next AC coefficient of a block; return its place, BLOCK at the end of the block, or -1
 * where there is no code, or none that can be. `place` is that of the one before. */
HOT int take_ac(const struct huffman *table, struct bits *bits, int place, int32_t *value)
{
    refill(bits);
    int32_t entry = table->value[peek(bits, VALUE_BITS)];
    int places;
    if (VALUE_USED(entry)) {
        drop(bits, VALUE_USED(entry));
        places = VALUE_PLACES(entry);
        *value = VALUE_OF(entry);
    } else {
        int symbol = take_symbol(table, bits);
        if (symbol < 0)
            return -1;
        *value = take_value(bits, symbol & 15);
        places = places_of(symbol);
    }
    if (places == PLACES_END)
        return BLOCK;
    return place + places < BLOCK ? place + places : -1;
}

/* Read the next AC coefficient of a block and add it to its samples; return as take_ac does. */
HOT int add_ac(const struct component *component, const struct huffman *table, struct bits *bits,
               int place, four *sums, const int size, const int places)
{
    int32_t value;
    place = take_ac(table, bits, place, &value);
    if (place < 0 || place == BLOCK)
        return place;
    if (abs(value) > component->most_value[place])
        return -1;
    if (place < places)
        add_pattern(sums, component->scaled.patterns + place * size * size, (float)value, size);
    return place;
}

/* True when more coefficients count: `places` do, and the last one was at `place`. */
HOT bool goes_on(int place, const int places)
{
    return place >= 0 && place < places - 1;
}

/* So many short codes are ready after a refill. */
#define SHORT_CODES (56 / VALUE_BITS)

/* Read the AC of a block that becomes `size` x `size` samples of `places` coefficients, and store
 * these. */
HOT bool take_scaled(const struct component *component, const struct huffman *table,
                     struct bits *bits, int32_t dc, uint8_t *out, const int size, const int places)
{
    const struct scaled *scaled = &component->scaled;
    four sums[MOST_SAMPLES / 4];
    begin_sums(sums, scaled, dc, size);
    int place = 0;
    bool goes_on = true;
    while (goes_on) { /* turns: at most BLOCK: each but the last adds a place */
        refill(bits);
        for (int n = 0; n < SHORT_CODES; n++) { /* turns: SHORT_CODES */
            int32_t entry = table->value[peek(bits, VALUE_BITS)], value = VALUE_OF(entry);
            int after = place + VALUE_PLACES(entry);
            goes_on = after < places;
            if (!goes_on)
                break;
            if (UNLIKELY(abs(value) > component->most_value[after]))
                return false;
            drop(bits, VALUE_USED(entry));
            add_pattern(sums, scaled->patterns + after * size * size, (float)value, size);
            place = after;
        }
        /* It does not count, or the block ends, or the code is a long one. Behind the last that counts
         * there may be the next block's. */
        if (!goes_on && place < places - 1 &&
            UNLIKELY(!VALUE_USED(table->value[peek(bits, VALUE_BITS)]))) {
            place = add_ac(component, table, bits, place, sums, size, places);
            if (place < 0)
                return false;
            goes_on = place < places - 1;
        }
    }
    if (place < BLOCK - 1 && !skip_ac(table, bits, place + 1))
        return false;
    return put_samples(sums, out, scaled->stride, size);
}

/* The same, of any size. */
HOT bool take_any_scaled(const struct component *component, const struct huffman *table,
                         struct bits *bits, int32_t dc, uint8_t *out)
{
    int size = component->scaled.size, places = component->scaled.places;
    if (size == 2)
        return take_scaled(component, table, bits, dc, out, 2, places);
    if (size == 4)
        return take_scaled(component, table, bits, dc, out, 4, places);
    return take_scaled(component, table, bits, dc, out, 8, places);
}

/* Read a progressive block of AC, G.1.2.2, from `first` to `last`. A run of blocks that end at
 * once is counted in `to_pass`. */
static inline bool take_band(struct component *component, const struct huffman *table,
                             struct bits *bits, size_t index, int first, int last, int low,
                             uint32_t *to_pass)
{
    four *sums = (four *)(component->sums + index * QUARTERS);
    for (int place = first; place <= last; place++) { /* turns: at most BLOCK: `last` is below */
        refill(bits);
        int symbol = take_symbol(table, bits);
        if (symbol < 0)
            return false;
        int run = symbol >> 4, size = symbol & 15;
        if (!size && run != 15) {
            *to_pass = (1u << run) - 1;
            if (run) {
                *to_pass += peek(bits, run);
                drop(bits, run);
            }
            return true;
        }
        place += run;
        if (!size)
            continue;
        if (place > last)
            return false;
        int32_t value = (int32_t)((uint32_t)take_value(bits, size) << low);
        if (abs(value) > component->most_value[place])
            return false;
        add_pattern(sums, component->scaled.patterns + place * QUARTERS, (float)value, 2);
    }
    return true;
}

/* Prepare what is made of a component's coefficients. */
static void weigh(struct component *component, const uint16_t *quantisers)
{
    component->dc_quantiser = quantisers[0];
    for (int place = 0; place < BLOCK; place++) /* turns: BLOCK */
        component->most_value[place] = quantisers[place] ? MOST_AC / quantisers[place] : MOST_AC;
    if (component->scaled.size)
        find_patterns(&component->scaled, quantisers, ZIGZAG);
}

#endif
