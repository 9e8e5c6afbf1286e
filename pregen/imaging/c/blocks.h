/* Blocks of a JPEG, T.81: F.1.2 and F.2.2: which coefficients are read, and what becomes of them.
 *
 * At 1/8 a sample is the DC. Chroma at half the size in both directions is decoded at 1/4, as
 * libjpeg does: its blocks become 2 x 2 samples, and at 1/4 and 1/2 all blocks become more
 * (scaled.h).
 */
#ifndef PREGEN_BLOCKS_H
#define PREGEN_BLOCKS_H

#include "huffman.h"
#include "quarters.h"

/* A DC is 8 times the mean of samples from -128 to 127, and what an encoder rounds. */
#define MOST_MEAN 1024

struct component {
    uint8_t identifier, across, down, quantiser, dc_table, ac_table;
    int dc_quantiser;
    int columns, rows;       /* in blocks, those of a scan of its own, A.2.2 */
    int stride, height;      /* in blocks, whole MCUs */
    uint32_t dc_before;      /* unsigned: what is damaged may overflow */
    int16_t *dc;
    struct scaled scaled;    /* of more than the DC */
    four patterns[BLOCK];    /* chroma at 1/8 that becomes 2 x 2 samples: what they add to these */
    four *sums;              /* progressive: for a block, what its AC add to its samples */
    int most_value[BLOCK];   /* what keeps a coefficient within MOST_AC */
    int8_t low[BLOCK];       /* progressive: the lowest bit that is known, or UNKNOWN */
};

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

/* Read the next AC coefficient of a block and add it to its quarters; return as take_ac does. */
HOT int add_ac(const struct component *component, const struct huffman *table, struct bits *bits,
               int place, four *sums)
{
    int32_t value;
    place = take_ac(table, bits, place, &value);
    if (place < 0 || place == BLOCK)
        return place;
    if (abs(value) > component->most_value[place])
        return -1;
    *sums += component->patterns[place] * (float)value;
    return place;
}

/* True when more coefficients follow the one at `place`. */
HOT bool goes_on(int place)
{
    return place >= 0 && place < BLOCK - 1;
}

/* Read the AC of a block of chroma that becomes 2 x 2 samples at 1/8, and store these. */
HOT bool take_quarters(const struct component *component, const struct huffman *table,
                       struct bits *bits, int32_t dc, uint8_t *out)
{
    four sums = begin_quarters(component->patterns, dc);
    int place = 0;
    while (goes_on(place)) /* turns: at most BLOCK: each but the last adds a place */
        place = add_ac(component, table, bits, place, &sums);
    return place >= 0 && put_quarters(sums, out, component->scaled.stride);
}

/* Make the samples of a block at 1/4 or 1/2, of its coefficients by slot. */
HOT bool put_scaled(const struct scaled *scaled, int32_t dc, const int16_t *coefficients,
                    uint8_t *out, const int shrink)
{
    if (shrink == 4)
        return scaled->size == 2 ? put_block(scaled, dc, coefficients, out, 2, 2)
                                 : put_block(scaled, dc, coefficients, out, 4, 2);
    return scaled->size == 4 ? put_block(scaled, dc, coefficients, out, 4, ROUNDS)
                             : put_block(scaled, dc, coefficients, out, 8, ROUNDS);
}

/* Read the AC of a block at 1/4 or 1/2, and store its samples. */
HOT bool take_scaled(const struct component *component, const struct huffman *table,
                     struct bits *bits, int32_t dc, const uint8_t *slots, uint8_t *out,
                     const int shrink)
{
    int16_t coefficients[SLOTS] = {0};
    int place = 0;
    while (place < places_at(shrink) - 1) { /* turns: at most BLOCK: each adds a place or ends it */
        int32_t value;
        place = take_ac(table, bits, place, &value);
        if (place < 0)
            return false;
        if (place < BLOCK)
            coefficients[slots[place]] = (int16_t)value;
    }
    if (place < BLOCK - 1 && !skip_ac(table, bits, place + 1))
        return false;
    return put_scaled(&component->scaled, dc, coefficients, out, shrink);
}

/* Read a progressive block of AC, G.1.2.2, from `first` to `last`. A run of blocks that end at
 * once is counted in `to_pass`. */
static inline bool take_band(struct component *component, const struct huffman *table,
                             struct bits *bits, size_t index, int first, int last, int low,
                             uint32_t *to_pass)
{
    four *sums = component->sums + index;
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
        *sums += component->patterns[place] * (float)value;
    }
    return true;
}

/* Prepare what is made of a component's coefficients at a scale. */
static void weigh_component(struct component *component, const uint16_t *quantisers, int shrink)
{
    component->dc_quantiser = quantisers[0];
    for (int place = 0; place < BLOCK; place++) /* turns: BLOCK */
        component->most_value[place] = quantisers[place] ? MOST_AC / quantisers[place] : MOST_AC;
    if (shrink < 8)
        find_weights(&component->scaled, quantisers, places_at(shrink));
    else if (component->scaled.size)
        find_patterns(component->patterns, quantisers);
}

#endif
