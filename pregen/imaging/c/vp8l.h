/* Whether the codes of a lossless WebP are those that were written: they are counted, no pixel is made.
 *
 * libwebp decodes damaged codes without a word: prefix codes find their way again after a few
 * pixels. Two things tell. The codes of a sound picture have its pixels exactly, and nothing but
 * zeros is left behind them. And an encoder gives each symbol a code by how often it uses it, so the
 * tables of codes are a sum over all that follows: a code that is not the best one for what was read
 * was made for something else. That is certain only where other codes of the file are the best ones;
 * who writes a file by other rules has none.
 *
 * What a code means depends on no pixel of the picture, but for the image that says which codes
 * hold where: that one alone is decoded. Section numbers are those of RFC 9649. No input makes this
 * read outside `data`, and each loop tells in a comment how many turns it takes.
 */
#ifndef PREGEN_VP8L_H
#define PREGEN_VP8L_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What the codes of a picture are found to be. */
enum codes { CODES_SOUND, CODES_DAMAGED, CODES_NOT_COUNTED, CODES_NO_MEMORY };

#define PREFIX_CODE_BITS 15 /* the longest prefix code, 6.2.1 */
#define PREFIX_LOOK_BITS 8
#define LONGER 15 /* in a table: the code is longer than PREFIX_LOOK_BITS */
#define LITERALS 256
#define LENGTHS 24
#define DISTANCES 40
#define MOST_CACHE_BITS 11
#define MOST_SYMBOLS (LITERALS + LENGTHS + (1 << MOST_CACHE_BITS))
#define LENGTH_CODES 19
#define NEAR_DISTANCES 120
/* libwebp writes at most 2,600 groups of codes, others one. More are not counted, for their memory. */
#define MOST_GROUPS 4096
#define MOST_LOSSLESS_PX (1 << 14)
/* libwebp of 2012 wrote zeros up to a word. */
#define MOST_LEFT_BITS 31
/* A code of fewer symbols is the best one by chance. */
#define TELLING_SYMBOLS 9
/* Where a code would be too long, libwebp takes rare symbols for more frequent, twice as often until
 * none is. That leaves long codes, and for the largest picture these are so many uses at most. */
#define FAKED_BITS 12
#define MOST_FAKED (1u << 14)

enum channel { GREEN, RED, BLUE, ALPHA, DISTANCE, CHANNELS };

/* A symbol that has a code. */
struct symbol {
    uint32_t uses;
    uint16_t value;
};

struct prefix_code {
    /* By the next PREFIX_LOOK_BITS bits: the symbol's place << 4 | the length of its code, or LONGER. */
    uint16_t look[1 << PREFIX_LOOK_BITS];
    uint16_t count[PREFIX_CODE_BITS + 1]; /* codes of each length */
    uint16_t longer_first, longer_place;  /* of the codes longer than PREFIX_LOOK_BITS: the first */
    int used;                             /* symbols that have a code */
    size_t begin;                         /* in the walk's symbols, which are in order of their codes */
    struct symbol *symbols;
};

struct prefix_group {
    struct prefix_code codes[CHANNELS];
    bool empty; /* one literal, of no bits */
};

struct lossless_bits {
    const uint8_t *at, *end;
    uint64_t ahead; /* the next bits, the first one lowest; zeros behind the end of the data */
    int count;      /* how many of them are real; below zero: so many were used that are not */
    bool ran_out;
};

struct lossless_walk {
    struct lossless_bits bits;
    struct symbol *symbols; /* of all codes that are in use */
    size_t count, room;
    enum codes found;
    int64_t best, other; /* telling codes that are the best ones for what was read, and that are not */
    int64_t alike;       /* of the best ones: they are so for numbers of neighbours that were made alike */
    int64_t longest;     /* those that are not, and have codes as long as may be */
    bool predicted;      /* pixels are differences from those before */
};

/* The groups of codes of one image, and where each holds. */
struct image_codes {
    struct prefix_group *groups;
    int count;
    int cache_bits;     /* 0: there is no cache */
    uint16_t *group_of; /* of each block; NULL: there is one group */
    int block_bits, blocks_across;
};

/* ---- bits, 3 ---- */

/* At least 56 bits are ahead then, or all there are. */
static inline void refill_lossless(struct lossless_bits *bits)
{
#if !defined PLAIN_TWIN && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (bits->end - bits->at >= 8) {
        uint64_t word;
        memcpy(&word, bits->at, 8);
        bits->ahead |= word << bits->count;
        bits->at += (63 - bits->count) >> 3;
        bits->count |= 56;
        return;
    }
    /* The fast way leaves more than `count` bits behind. */
    if (bits->count >= 0)
        bits->ahead &= ((uint64_t)1 << bits->count) - 1;
#endif
    if (bits->count < 0) {
        bits->ran_out = true;
        bits->count = 0;
    }
    while (bits->count < 56 && bits->at < bits->end) { /* turns: at most 7 */
        bits->ahead |= (uint64_t)*bits->at++ << bits->count;
        bits->count += 8;
    }
}

static inline void use_bits(struct lossless_bits *bits, int count)
{
    bits->ahead >>= count;
    bits->count -= count;
}

/* At most 25 bits. */
static int read_bits(struct lossless_bits *bits, int count)
{
    refill_lossless(bits);
    int value = (int)(bits->ahead & ((1u << count) - 1));
    use_bits(bits, count);
    return value;
}

/* ---- prefix codes, 6.2 ---- */

static int longer_place(const struct prefix_code *code, struct lossless_bits *bits)
{
    uint32_t value = 0;
    for (int n = 0; n < PREFIX_LOOK_BITS; n++) /* turns: PREFIX_LOOK_BITS */
        value = value << 1 | (uint32_t)(bits->ahead >> n & 1);
    uint32_t first = code->longer_first, place = code->longer_place;
    for (int length = PREFIX_LOOK_BITS + 1;; length++) { /* turns: at most 7: codes are complete */
        value = value << 1 | (uint32_t)(bits->ahead >> (length - 1) & 1);
        if (value - first < code->count[length] || length == PREFIX_CODE_BITS) {
            use_bits(bits, length);
            return (int)(place + (value - first));
        }
        place += code->count[length];
        first = (first + code->count[length]) << 1;
    }
}

/* 15 bits have to be ahead. */
static inline int next_symbol(const struct prefix_code *code, struct lossless_bits *bits)
{
    uint16_t entry = code->look[bits->ahead & ((1 << PREFIX_LOOK_BITS) - 1)];
    int place = entry >> 4;
    if ((entry & 15) == LONGER)
        place = longer_place(code, bits);
    else
        use_bits(bits, entry & 15);
    code->symbols[place].uses++;
    return code->symbols[place].value;
}

static uint32_t reversed(uint32_t value, int count)
{
    uint32_t found = 0;
    for (int n = 0; n < count; n++) /* turns: at most PREFIX_CODE_BITS */
        found |= (value >> n & 1) << (count - 1 - n);
    return found;
}

static bool has_room(struct lossless_walk *walk, int count)
{
    if (walk->room - walk->count >= (size_t)count)
        return true;
    size_t room = 2 * walk->room + MOST_SYMBOLS;
    struct symbol *more = realloc(walk->symbols, room * sizeof *more);
    if (!more) {
        walk->found = CODES_NO_MEMORY;
        return false;
    }
    walk->symbols = more;
    walk->room = room;
    return true;
}

/* False where the lengths are no complete code, 6.2.1, and where there is no memory. */
static bool build_prefix_code(struct lossless_walk *walk, struct prefix_code *code,
                              const uint8_t *lengths, int symbols)
{
    memset(code->count, 0, sizeof code->count);
    for (int value = 0; value < symbols; value++) /* turns: at most MOST_SYMBOLS */
        code->count[lengths[value]]++;
    code->used = symbols - code->count[0];
    code->count[0] = 0;
    uint16_t next[PREFIX_CODE_BITS + 1] = {0}, places[PREFIX_CODE_BITS + 1] = {0};
    uint32_t first = 0, place = 0;
    int64_t left = 1;
    for (int length = 1; length <= PREFIX_CODE_BITS; length++) { /* turns: PREFIX_CODE_BITS */
        first = (first + code->count[length - 1]) << 1;
        left = 2 * left - code->count[length];
        if (left < 0)
            return false;
        next[length] = (uint16_t)first;
        places[length] = (uint16_t)place;
        place += code->count[length];
    }
    if (!code->used || (code->used > 1 && left) || !has_room(walk, code->used))
        return false;
    code->begin = walk->count;
    walk->count += (size_t)code->used;
    code->symbols = walk->symbols + code->begin;
    code->longer_first = next[PREFIX_LOOK_BITS + 1];
    code->longer_place = places[PREFIX_LOOK_BITS + 1];
    for (int n = 0; n < 1 << PREFIX_LOOK_BITS; n++) /* turns: the table's size */
        code->look[n] = LONGER;
    for (int value = 0; value < symbols; value++) { /* turns: at most MOST_SYMBOLS */
        int length = lengths[value];
        if (!length)
            continue;
        uint16_t at = places[length]++;
        code->symbols[at] = (struct symbol){.value = (uint16_t)value};
        uint32_t key = reversed(next[length]++, length);
        if (code->used == 1) /* it takes no bits */
            length = 0, key = 0;
        /* turns: the table's size, for all symbols together */
        for (; length <= PREFIX_LOOK_BITS && key < 1 << PREFIX_LOOK_BITS; key += 1u << length)
            code->look[key] = (uint16_t)(at << 4 | length);
    }
    return true;
}

/* Read the lengths of a code of so many symbols. False: damaged, or there is no memory. */
static bool read_lengths(struct lossless_walk *walk, uint8_t *lengths, int symbols)
{
    static const uint8_t ORDER[LENGTH_CODES] = {17, 18, 0, 1, 2,  3,  4,  5,  16, 6,
                                                7,  8,  9, 10, 11, 12, 13, 14, 15};
    struct lossless_bits *bits = &walk->bits;
    uint8_t lengths_of_lengths[LENGTH_CODES] = {0};
    int count = 4 + read_bits(bits, 4);
    for (int n = 0; n < count; n++) /* turns: at most LENGTH_CODES */
        lengths_of_lengths[ORDER[n]] = (uint8_t)read_bits(bits, 3);
    struct prefix_code code;
    if (!build_prefix_code(walk, &code, lengths_of_lengths, LENGTH_CODES))
        return false;
    walk->count = code.begin; /* its symbols are not kept */
    int codes_left = symbols;
    if (read_bits(bits, 1)) {
        codes_left = 2 + read_bits(bits, 2 + 2 * read_bits(bits, 3));
        if (codes_left > symbols)
            return false;
    }
    uint8_t before = 8;
    for (int value = 0; value < symbols && codes_left--;) { /* turns: at most MOST_SYMBOLS */
        refill_lossless(bits);
        int length = next_symbol(&code, bits);
        if (length <= PREFIX_CODE_BITS) {
            lengths[value++] = (uint8_t)length;
            before = length ? (uint8_t)length : before;
            continue;
        }
        int times = length == 16 ? 3 + read_bits(bits, 2)
                                 : length == 17 ? 3 + read_bits(bits, 3) : 11 + read_bits(bits, 7);
        if (times > symbols - value)
            return false;
        memset(lengths + value, length == 16 ? before : 0, (size_t)times);
        value += times;
    }
    return true;
}

static bool read_prefix_code(struct lossless_walk *walk, struct prefix_code *code, int symbols)
{
    struct lossless_bits *bits = &walk->bits;
    uint8_t lengths[MOST_SYMBOLS] = {0};
    if (read_bits(bits, 1)) {
        bool two = read_bits(bits, 1), wide = read_bits(bits, 1);
        lengths[read_bits(bits, wide ? 8 : 1)] = 1;
        if (two)
            lengths[read_bits(bits, 8)] = 1;
    } else if (!read_lengths(walk, lengths, symbols)) {
        return false;
    }
    return build_prefix_code(walk, code, lengths, symbols);
}

static int alphabet(int channel, int cache_bits)
{
    if (channel == GREEN)
        return LITERALS + LENGTHS + (cache_bits ? 1 << cache_bits : 0);
    return channel == DISTANCE ? DISTANCES : LITERALS;
}

static bool read_group(struct lossless_walk *walk, struct prefix_group *group, int cache_bits)
{
    for (int n = 0; n < CHANNELS; n++) /* turns: CHANNELS */
        if (!read_prefix_code(walk, &group->codes[n], alphabet(n, cache_bits)))
            return false;
    group->empty = walk->symbols[group->codes[GREEN].begin].value < LITERALS;
    for (int n = GREEN; n <= ALPHA; n++) /* turns: 4 */
        group->empty &= group->codes[n].used == 1;
    return true;
}

/* ---- is a code the best one for what was read? ---- */

/* Make neighbours that are used about as often alike, as libwebp does to write shorter tables: runs
 * of four or more within four of their mean. */
static void smooth(uint32_t *uses, int count)
{
    bool alike[MOST_SYMBOLS + 1] = {0}; /* in a run that is as it should be already */
    while (count && !uses[count - 1]) /* turns: at most MOST_SYMBOLS */
        count--;
    for (int begin = 0, end; begin < count; begin = end) { /* turns: at most MOST_SYMBOLS */
        for (end = begin; end < count && uses[end] == uses[begin]; end++) /* turns: likewise, in all */
            continue;
        if (end - begin >= (uses[begin] ? 7 : 5))
            memset(alike + begin, true, (size_t)(end - begin));
    }
    int64_t run = 0, sum = 0, middle = count ? uses[0] : 0;
    for (int n = 0; n <= count; n++) { /* turns: at most MOST_SYMBOLS + 1 */
        if (n == count || alike[n] || (n && alike[n - 1]) || llabs(uses[n] - middle) >= 4) {
            int64_t mean = run ? (sum + run / 2) / run : 0;
            mean = sum && mean < 1 ? 1 : mean;
            if (run >= 4 || (run == 3 && !sum))
                for (int64_t m = n - run; m < n; m++) /* turns: at most MOST_SYMBOLS, in all */
                    uses[m] = (uint32_t)mean;
            run = sum = 0;
            if (n + 3 < count)
                middle = ((int64_t)uses[n] + uses[n + 1] + uses[n + 2] + uses[n + 3] + 2) / 4;
            else if (n < count)
                middle = uses[n];
        }
        run++;
        if (n < count)
            sum += uses[n];
        if (run >= 4)
            middle = (sum + run / 2) / run;
    }
}

static int by_number(const void *first, const void *second)
{
    uint64_t a = *(const uint64_t *)first, b = *(const uint64_t *)second;
    return (a > b) - (a < b);
}

/* The bits that the best code takes, Huffman's, for symbols that are used so often. */
static uint64_t least_bits(uint64_t *uses, int count)
{
    uint64_t joined[MOST_SYMBOLS], bits = 0;
    qsort(uses, (size_t)count, sizeof *uses, by_number);
    int symbol = 0, pair = 0;
    for (int made = 0; made < count - 1; made++) { /* turns: at most MOST_SYMBOLS */
        joined[made] = 0;
        for (int n = 0; n < 2; n++) /* turns: 2 */
            joined[made] += symbol < count && (pair == made || uses[symbol] <= joined[pair])
                                ? uses[symbol++]
                                : joined[pair++];
        bits += joined[made];
    }
    return bits;
}

/* True when a code is a best one for symbols that are used so often, at least `least` times each, and
 * of which each has a code. */
static bool is_best(const struct prefix_code *code, const uint32_t *uses, uint32_t least)
{
    uint64_t numbers[MOST_SYMBOLS], bits = 0;
    int place = 0;
    for (int length = 1; length <= PREFIX_CODE_BITS; length++) { /* turns: PREFIX_CODE_BITS */
        for (int n = 0; n < code->count[length]; n++, place++) { /* turns: MOST_SYMBOLS, in all */
            uint32_t times = uses[code->symbols[place].value];
            if (!times)
                return false;
            numbers[place] = times < least ? least : times;
            bits += numbers[place] * (uint64_t)length;
        }
    }
    return bits == least_bits(numbers, code->used);
}

/* Count whether a code is one of the best for what was read by it. */
static void judge_code(struct lossless_walk *walk, const struct prefix_code *code, int symbols)
{
    uint32_t uses[MOST_SYMBOLS] = {0};
    if (code->used < TELLING_SYMBOLS)
        return;
    for (int place = 0; place < code->used; place++) /* turns: at most MOST_SYMBOLS */
        uses[code->symbols[place].value] = code->symbols[place].uses;
    bool best = is_best(code, uses, 1), plainly = best, is_long = false;
    for (int length = FAKED_BITS; length <= PREFIX_CODE_BITS; length++) /* turns: 4 */
        is_long |= code->count[length] > 0;
    if (!best) {
        smooth(uses, symbols);
        uint32_t most = is_long ? MOST_FAKED : 1;
        for (uint32_t least = 1; least <= most && !best; least *= 2) /* turns: at most 15 */
            best = is_best(code, uses, least);
    }
    walk->best += best;
    walk->alike += best && !plainly;
    /* Encoders differ in what they do where a code would be too long. Those that make neighbours alike
     * as libwebp does are libwebp. */
    if (code->count[PREFIX_CODE_BITS])
        walk->longest += !best;
    else
        walk->other += !best;
}

/* ---- pixels, 5.2 ---- */

/* Lengths and distances stand for a range, and bits that tell where in it. */
static int in_range(struct lossless_bits *bits, int symbol)
{
    if (symbol < 4)
        return symbol + 1;
    int more = (symbol - 2) >> 1;
    return ((2 + (symbol & 1)) << more) + read_bits(bits, more) + 1;
}

/* Codes up to NEAR_DISTANCES are places around the pixel, 5.2.2: columns to the left, and rows up. */
static int64_t distance_of(int code, int width_px)
{
    static const int8_t NEAR[NEAR_DISTANCES][2] = {
        {0, 1},  {1, 0},  {1, 1},  {-1, 1}, {0, 2},  {2, 0},  {1, 2},  {-1, 2}, {2, 1},  {-2, 1},
        {2, 2},  {-2, 2}, {0, 3},  {3, 0},  {1, 3},  {-1, 3}, {3, 1},  {-3, 1}, {2, 3},  {-2, 3},
        {3, 2},  {-3, 2}, {0, 4},  {4, 0},  {1, 4},  {-1, 4}, {4, 1},  {-4, 1}, {3, 3},  {-3, 3},
        {2, 4},  {-2, 4}, {4, 2},  {-4, 2}, {0, 5},  {3, 4},  {-3, 4}, {4, 3},  {-4, 3}, {5, 0},
        {1, 5},  {-1, 5}, {5, 1},  {-5, 1}, {2, 5},  {-2, 5}, {5, 2},  {-5, 2}, {4, 4},  {-4, 4},
        {3, 5},  {-3, 5}, {5, 3},  {-5, 3}, {0, 6},  {6, 0},  {1, 6},  {-1, 6}, {6, 1},  {-6, 1},
        {2, 6},  {-2, 6}, {6, 2},  {-6, 2}, {4, 5},  {-4, 5}, {5, 4},  {-5, 4}, {3, 6},  {-3, 6},
        {6, 3},  {-6, 3}, {0, 7},  {7, 0},  {1, 7},  {-1, 7}, {5, 5},  {-5, 5}, {7, 1},  {-7, 1},
        {4, 6},  {-4, 6}, {6, 4},  {-6, 4}, {2, 7},  {-2, 7}, {7, 2},  {-7, 2}, {3, 7},  {-3, 7},
        {7, 3},  {-7, 3}, {5, 6},  {-5, 6}, {6, 5},  {-6, 5}, {8, 0},  {4, 7},  {-4, 7}, {7, 4},
        {-7, 4}, {8, 1},  {8, 2},  {6, 6},  {-6, 6}, {8, 3},  {5, 7},  {-5, 7}, {7, 5},  {-7, 5},
        {8, 4},  {6, 7},  {-6, 7}, {7, 6},  {-7, 6}, {8, 5},  {7, 7},  {-7, 7}, {8, 6},  {8, 7}};
    if (code > NEAR_DISTANCES)
        return code - NEAR_DISTANCES;
    int64_t found = NEAR[code - 1][0] + (int64_t)NEAR[code - 1][1] * width_px;
    return found < 1 ? 1 : found;
}

/* The pixels of an image, where they are wanted, and the colours that its codes may name, 5.2.3. */
struct lossless_pixels {
    uint32_t *colours; /* NULL: none are made */
    int cache_bits;
    uint32_t cache[1 << MOST_CACHE_BITS];
};

/* Fill so many pixels with those at a distance before; where that is 0, with a colour. */
static void put_colours(struct lossless_pixels *pixels, int64_t at, int64_t count, int64_t distance,
                        uint32_t colour)
{
    for (int64_t n = at; pixels->colours && n < at + count; n++) { /* turns: an image's pixels, in all */
        pixels->colours[n] = colour = distance ? pixels->colours[n - distance] : colour;
        if (pixels->cache_bits)
            pixels->cache[(0x1e35a7bdu * colour) >> (32 - pixels->cache_bits)] = colour;
    }
}

/* Read what the next code of an image stands for; return how many pixels these are. 0: damaged. */
static inline int64_t walk_code(const struct prefix_code *codes, struct lossless_bits *bits,
                                int width_px, int64_t at, int64_t all, struct lossless_pixels *pixels)
{
    refill_lossless(bits);
    int symbol = next_symbol(&codes[GREEN], bits);
    if (symbol < LITERALS) {
        uint32_t red = (uint32_t)next_symbol(&codes[RED], bits);
        refill_lossless(bits);
        uint32_t blue = (uint32_t)next_symbol(&codes[BLUE], bits);
        uint32_t alpha = (uint32_t)next_symbol(&codes[ALPHA], bits);
        put_colours(pixels, at, 1, 0, alpha << 24 | red << 16 | (uint32_t)symbol << 8 | blue);
        return 1;
    }
    if (symbol >= LITERALS + LENGTHS) {
        put_colours(pixels, at, 1, 0, pixels->cache[symbol - LITERALS - LENGTHS]);
        return 1;
    }
    int length = in_range(bits, symbol - LITERALS);
    refill_lossless(bits);
    int64_t distance = distance_of(in_range(bits, next_symbol(&codes[DISTANCE], bits)), width_px);
    if (distance > at || length > all - at)
        return 0;
    put_colours(pixels, at, length, distance, 0);
    return length;
}

/* Pass over the codes of an image. False: damaged. */
static bool walk_pixels(struct lossless_walk *walk, const struct image_codes *codes, int width_px,
                        int height_px, struct lossless_pixels *pixels)
{
    struct lossless_bits bits = walk->bits;
    int64_t at = 0, all = (int64_t)width_px * height_px;
    bool good = true;
    while (at < all && good && !bits.ran_out) { /* turns: at most the image's pixels */
        int x = (int)(at % width_px), y = (int)(at / width_px), stop = width_px;
        const struct prefix_group *group = codes->groups;
        if (codes->group_of) {
            int block = x >> codes->block_bits;
            group += codes->group_of[(y >> codes->block_bits) * codes->blocks_across + block];
            int64_t edge = (int64_t)(block + 1) << codes->block_bits;
            stop = edge < width_px ? (int)edge : width_px;
        }
        int64_t end = at + stop - x;
        if (group->empty && !pixels->colours)
            at = end;
        while (at < end && good) { /* turns: at most the image's pixels, in all */
            int64_t count = walk_code(group->codes, &bits, width_px, at, all, pixels);
            good = count > 0;
            at += count;
        }
    }
    walk->bits = bits;
    return good && bits.count >= 0 && !bits.ran_out;
}

/* ---- images, 5.1 and 6.2.2 ---- */

static int blocks_of(int edge_px, int bits) { return (edge_px + (1 << bits) - 1) >> bits; }

static bool walk_image(struct lossless_walk *walk, int width_px, int height_px, uint32_t *colours);

/* Read which group of codes holds where. */
static bool read_group_image(struct lossless_walk *walk, struct image_codes *codes, int width_px,
                             int height_px)
{
    codes->block_bits = 2 + read_bits(&walk->bits, 3);
    codes->blocks_across = blocks_of(width_px, codes->block_bits);
    int down = blocks_of(height_px, codes->block_bits);
    size_t count = (size_t)codes->blocks_across * (size_t)down;
    uint32_t *colours = malloc(count * sizeof *colours);
    codes->group_of = malloc(count * sizeof *codes->group_of);
    bool good = colours && codes->group_of;
    if (!good)
        walk->found = CODES_NO_MEMORY;
    good = good && walk_image(walk, codes->blocks_across, down, colours);
    for (size_t n = 0; good && n < count; n++) { /* turns: at most a 16th of the image's pixels */
        codes->group_of[n] = (uint16_t)(colours[n] >> 8);
        if (codes->group_of[n] >= codes->count)
            codes->count = codes->group_of[n] + 1;
    }
    free(colours);
    if (good && codes->count > MOST_GROUPS) {
        walk->found = CODES_NOT_COUNTED;
        good = false;
    }
    return good;
}

/* Read the groups of codes, and pass over the pixels by them. */
static bool walk_groups(struct lossless_walk *walk, struct image_codes *codes, int width_px,
                        int height_px, struct lossless_pixels *pixels)
{
    codes->groups = malloc((size_t)codes->count * sizeof *codes->groups);
    if (!codes->groups) {
        walk->found = CODES_NO_MEMORY;
        return false;
    }
    for (int n = 0; n < codes->count; n++) /* turns: at most MOST_GROUPS */
        if (walk->bits.ran_out || !read_group(walk, &codes->groups[n], codes->cache_bits))
            return false;
    /* There are all symbols now, and they stay where they are. */
    for (int n = 0; n < codes->count; n++) /* turns: at most MOST_GROUPS */
        for (int m = 0; m < CHANNELS; m++) /* turns: CHANNELS */
            codes->groups[n].codes[m].symbols = walk->symbols + codes->groups[n].codes[m].begin;
    if (!walk_pixels(walk, codes, width_px, height_px, pixels))
        return false;
    for (int n = 0; n < codes->count; n++) /* turns: at most MOST_GROUPS */
        for (int m = 0; m < CHANNELS; m++) /* turns: CHANNELS */
            judge_code(walk, &codes->groups[n].codes[m], alphabet(m, codes->cache_bits));
    return true;
}

/* Read the codes of an image, and pass over its pixels; they go to `colours`, where that is not NULL.
 * False: damaged, or not counted. */
static bool walk_coded(struct lossless_walk *walk, bool may_have_groups, int width_px, int height_px,
                       uint32_t *colours)
{
    struct image_codes codes = {.count = 1};
    struct lossless_pixels pixels = {.colours = colours};
    size_t before = walk->count;
    if (read_bits(&walk->bits, 1)) {
        codes.cache_bits = pixels.cache_bits = read_bits(&walk->bits, 4);
        if (codes.cache_bits < 1 || codes.cache_bits > MOST_CACHE_BITS)
            return false;
    }
    bool good = !may_have_groups || !read_bits(&walk->bits, 1) ||
                read_group_image(walk, &codes, width_px, height_px);
    good = good && walk_groups(walk, &codes, width_px, height_px, &pixels);
    free(codes.group_of);
    free(codes.groups);
    walk->count = before;
    return good;
}

static bool walk_image(struct lossless_walk *walk, int width_px, int height_px, uint32_t *colours)
{
    return walk_coded(walk, false, width_px, height_px, colours);
}

/* Read the transforms, 4, and pass over the picture. */
static bool walk_lossless(struct lossless_walk *walk, int width_px, int height_px)
{
    enum { PREDICTORS, CROSS_COLOURS, NO_GREEN, PALETTE };
    unsigned seen = 0;
    while (read_bits(&walk->bits, 1)) { /* turns: at most 4: each kind comes once */
        int kind = read_bits(&walk->bits, 2);
        if (seen >> kind & 1)
            return false;
        seen |= 1u << kind;
        bool good = true;
        if (kind == PREDICTORS || kind == CROSS_COLOURS) {
            int bits = 2 + read_bits(&walk->bits, 3);
            good = walk_image(walk, blocks_of(width_px, bits), blocks_of(height_px, bits), NULL);
        } else if (kind == PALETTE) {
            int count = 1 + read_bits(&walk->bits, 8);
            good = walk_image(walk, count, 1, NULL);
            width_px = blocks_of(width_px, count > 16 ? 0 : count > 4 ? 1 : count > 2 ? 2 : 3);
        }
        if (!good)
            return false;
    }
    walk->predicted = seen >> PREDICTORS & 1;
    return walk_coded(walk, true, width_px, height_px, NULL);
}

/* True when nothing but zeros is left, and few of them. */
static bool ends_lossless(struct lossless_bits bits)
{
    if (bits.end - bits.at > MOST_LEFT_BITS / 8 + 8 ||
        8 * (bits.end - bits.at) + bits.count > MOST_LEFT_BITS)
        return false;
    uint64_t rest = bits.count ? bits.ahead & (~(uint64_t)0 >> (64 - bits.count)) : 0;
    for (; bits.at < bits.end; bits.at++) /* turns: at most MOST_LEFT_BITS / 8 */
        rest |= *bits.at;
    return !rest;
}

/* What the codes of a stream without a header are found to be; `predicted` says whether its pixels are
 * differences. Edges are 1 to MOST_LOSSLESS_PX. */
static enum codes count_lossless(const uint8_t *data, size_t size, int width_px, int height_px,
                                 bool *predicted)
{
    struct lossless_walk walk = {.bits = {.at = data, .end = data + size}, .found = CODES_SOUND};
    bool good = walk_lossless(&walk, width_px, height_px);
    free(walk.symbols);
    *predicted = walk.predicted;
    if (walk.found != CODES_SOUND)
        return walk.found;
    bool written = !walk.best || !(walk.other + (walk.alike ? walk.longest : 0));
    return good && written && ends_lossless(walk.bits) ? CODES_SOUND : CODES_DAMAGED;
}

#endif
