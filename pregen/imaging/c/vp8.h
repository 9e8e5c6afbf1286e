/* Whether the first partition of a lossy WebP ends where its codes do: they are passed over, no pixel is
 * made.
 *
 * It says how each block of 16 x 16 pixels is predicted. Its codes are arithmetic, so that damage
 * makes other ones of all that follow, which take more bytes or fewer. libwebp tells where they take
 * more. No code here depends on a pixel or on the other partitions.
 *
 * Section numbers are those of RFC 6386. No input makes this read outside `data`, and each loop tells
 * in a comment how many turns it takes.
 */
#ifndef PREGEN_VP8_H
#define PREGEN_VP8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FRAME_HEADER_BYTES 10 /* 9.1: size of the partition, start code, edges */
#define BLOCK_PX 16
#define MOST_BLOCKS_ACROSS 1024 /* edges have 14 bits */
#define SEGMENTS 4
#define ODDS 1056 /* of coefficients: 4 kinds, 8 bands, 3 contexts, 11 decisions, 13.4 */
#define EVEN 128

/* How a block of 4 x 4 pixels is predicted, 8.1. */
enum mode { MODE_DC, MODE_TM, MODE_VE, MODE_HE, MODE_LD, MODE_RD, MODE_VR, MODE_VL, MODE_HD, MODE_HU,
            MODES };

/* By the modes above and to the left, 11.5. */
static const uint8_t MODE_ODDS[MODES][MODES][MODES - 1] = {
    {{231, 120, 48, 89, 115, 113, 120, 152, 112}, {152, 179, 64, 126, 170, 118, 46, 70, 95},
     {175, 69, 143, 80, 85, 82, 72, 155, 103}, {56, 58, 10, 171, 218, 189, 17, 13, 152},
     {144, 71, 10, 38, 171, 213, 144, 34, 26}, {114, 26, 17, 163, 44, 195, 21, 10, 173},
     {121, 24, 80, 195, 26, 62, 44, 64, 85}, {170, 46, 55, 19, 136, 160, 33, 206, 71},
     {63, 20, 8, 114, 114, 208, 12, 9, 226}, {81, 40, 11, 96, 182, 84, 29, 16, 36}},
    {{134, 183, 89, 137, 98, 101, 106, 165, 148}, {72, 187, 100, 130, 157, 111, 32, 75, 80},
     {66, 102, 167, 99, 74, 62, 40, 234, 128}, {41, 53, 9, 178, 241, 141, 26, 8, 107},
     {104, 79, 12, 27, 217, 255, 87, 17, 7}, {74, 43, 26, 146, 73, 166, 49, 23, 157},
     {65, 38, 105, 160, 51, 52, 31, 115, 128}, {87, 68, 71, 44, 114, 51, 15, 186, 23},
     {47, 41, 14, 110, 182, 183, 21, 17, 194}, {66, 45, 25, 102, 197, 189, 23, 18, 22}},
    {{88, 88, 147, 150, 42, 46, 45, 196, 205}, {43, 97, 183, 117, 85, 38, 35, 179, 61},
     {39, 53, 200, 87, 26, 21, 43, 232, 171}, {56, 34, 51, 104, 114, 102, 29, 93, 77},
     {107, 54, 32, 26, 51, 1, 81, 43, 31}, {39, 28, 85, 171, 58, 165, 90, 98, 64},
     {34, 22, 116, 206, 23, 34, 43, 166, 73}, {68, 25, 106, 22, 64, 171, 36, 225, 114},
     {34, 19, 21, 102, 132, 188, 16, 76, 124}, {62, 18, 78, 95, 85, 57, 50, 48, 51}},
    {{193, 101, 35, 159, 215, 111, 89, 46, 111}, {60, 148, 31, 172, 219, 228, 21, 18, 111},
     {112, 113, 77, 85, 179, 255, 38, 120, 114}, {40, 42, 1, 196, 245, 209, 10, 25, 109},
     {100, 80, 8, 43, 154, 1, 51, 26, 71}, {88, 43, 29, 140, 166, 213, 37, 43, 154},
     {61, 63, 30, 155, 67, 45, 68, 1, 209}, {142, 78, 78, 16, 255, 128, 34, 197, 171},
     {41, 40, 5, 102, 211, 183, 4, 1, 221}, {51, 50, 17, 168, 209, 192, 23, 25, 82}},
    {{125, 98, 42, 88, 104, 85, 117, 175, 82}, {95, 84, 53, 89, 128, 100, 113, 101, 45},
     {75, 79, 123, 47, 51, 128, 81, 171, 1}, {57, 17, 5, 71, 102, 57, 53, 41, 49},
     {115, 21, 2, 10, 102, 255, 166, 23, 6}, {38, 33, 13, 121, 57, 73, 26, 1, 85},
     {41, 10, 67, 138, 77, 110, 90, 47, 114}, {101, 29, 16, 10, 85, 128, 101, 196, 26},
     {57, 18, 10, 102, 102, 213, 34, 20, 43}, {117, 20, 15, 36, 163, 128, 68, 1, 26}},
    {{138, 31, 36, 171, 27, 166, 38, 44, 229}, {67, 87, 58, 169, 82, 115, 26, 59, 179},
     {63, 59, 90, 180, 59, 166, 93, 73, 154}, {40, 40, 21, 116, 143, 209, 34, 39, 175},
     {57, 46, 22, 24, 128, 1, 54, 17, 37}, {47, 15, 16, 183, 34, 223, 49, 45, 183},
     {46, 17, 33, 183, 6, 98, 15, 32, 183}, {65, 32, 73, 115, 28, 128, 23, 128, 205},
     {40, 3, 9, 115, 51, 192, 18, 6, 223}, {87, 37, 9, 115, 59, 77, 64, 21, 47}},
    {{104, 55, 44, 218, 9, 54, 53, 130, 226}, {64, 90, 70, 205, 40, 41, 23, 26, 57},
     {54, 57, 112, 184, 5, 41, 38, 166, 213}, {30, 34, 26, 133, 152, 116, 10, 32, 134},
     {75, 32, 12, 51, 192, 255, 160, 43, 51}, {39, 19, 53, 221, 26, 114, 32, 73, 255},
     {31, 9, 65, 234, 2, 15, 1, 118, 73}, {88, 31, 35, 67, 102, 85, 55, 186, 85},
     {56, 21, 23, 111, 59, 205, 45, 37, 192}, {55, 38, 70, 124, 73, 102, 1, 34, 98}},
    {{102, 61, 71, 37, 34, 53, 31, 243, 192}, {69, 60, 71, 38, 73, 119, 28, 222, 37},
     {68, 45, 128, 34, 1, 47, 11, 245, 171}, {62, 17, 19, 70, 146, 85, 55, 62, 70},
     {75, 15, 9, 9, 64, 255, 184, 119, 16}, {37, 43, 37, 154, 100, 163, 85, 160, 1},
     {63, 9, 92, 136, 28, 64, 32, 201, 85}, {86, 6, 28, 5, 64, 255, 25, 248, 1},
     {56, 8, 17, 132, 137, 255, 55, 116, 128}, {58, 15, 20, 82, 135, 57, 26, 121, 40}},
    {{164, 50, 31, 137, 154, 133, 25, 35, 218}, {51, 103, 44, 131, 131, 123, 31, 6, 158},
     {86, 40, 64, 135, 148, 224, 45, 183, 128}, {22, 26, 17, 131, 240, 154, 14, 1, 209},
     {83, 12, 13, 54, 192, 255, 68, 47, 28}, {45, 16, 21, 91, 64, 222, 7, 1, 197},
     {56, 21, 39, 155, 60, 138, 23, 102, 213}, {85, 26, 85, 85, 128, 128, 32, 146, 171},
     {18, 11, 7, 63, 144, 171, 4, 4, 246}, {35, 27, 10, 146, 174, 171, 12, 26, 128}},
    {{190, 80, 35, 99, 180, 80, 126, 54, 45}, {85, 126, 47, 87, 176, 51, 41, 20, 32},
     {101, 75, 128, 139, 118, 146, 116, 128, 85}, {56, 41, 15, 176, 236, 85, 37, 9, 62},
     {146, 36, 19, 30, 171, 255, 97, 27, 20}, {71, 30, 17, 119, 118, 255, 17, 18, 138},
     {101, 38, 60, 138, 55, 70, 43, 26, 142}, {138, 45, 61, 62, 219, 1, 81, 188, 64},
     {32, 41, 20, 117, 151, 142, 20, 21, 163}, {112, 19, 12, 61, 195, 128, 48, 4, 24}}};

/* How likely an entry of the odds of coefficients stays as it is, 13.4: so many entries at 255, and the
 * next one. All behind the last one are at 255. */
static const struct {
    uint8_t certain, odds;
} STAYS[] = {
    {33, 176}, {0, 246}, {9, 223}, {0, 241}, {0, 252}, {8, 249}, {0, 253}, {0, 253}, {9, 244},
    {0, 252}, {8, 234}, {0, 254}, {0, 254}, {8, 253}, {11, 246}, {0, 254}, {8, 239}, {0, 253},
    {0, 254}, {8, 254}, {1, 254}, {9, 248}, {0, 254}, {8, 251}, {1, 254}, {20, 253}, {0, 254},
    {8, 251}, {0, 254}, {0, 254}, {8, 254}, {1, 254}, {9, 254}, {0, 253}, {1, 254}, {6, 250},
    {1, 254}, {1, 254}, {6, 254}, {43, 217}, {10, 225}, {0, 252}, {0, 241}, {0, 253}, {2, 254},
    {4, 234}, {0, 250}, {0, 241}, {0, 250}, {0, 253}, {1, 253}, {0, 254}, {4, 254}, {9, 223},
    {0, 254}, {0, 254}, {8, 238}, {0, 253}, {0, 254}, {0, 254}, {8, 248}, {0, 254}, {8, 249},
    {0, 254}, {21, 253}, {9, 247}, {0, 254}, {21, 253}, {0, 254}, {8, 252}, {22, 254}, {0, 254},
    {8, 253}, {22, 254}, {0, 253}, {8, 250}, {10, 254}, {43, 186}, {0, 251}, {0, 250}, {8, 234},
    {0, 251}, {0, 244}, {0, 254}, {7, 251}, {0, 251}, {0, 243}, {0, 253}, {0, 254}, {1, 254},
    {5, 253}, {0, 254}, {8, 236}, {0, 253}, {0, 254}, {8, 251}, {0, 253}, {0, 253}, {0, 254},
    {0, 254}, {7, 254}, {0, 254}, {8, 254}, {0, 254}, {0, 254}, {20, 254}, {9, 254}, {0, 254},
    {9, 254}, {21, 254}, {120, 248}, {10, 250}, {0, 254}, {0, 252}, {0, 254}, {7, 248}, {0, 254},
    {0, 249}, {0, 253}, {8, 253}, {0, 253}, {8, 246}, {0, 253}, {0, 253}, {8, 252}, {0, 254},
    {0, 251}, {0, 254}, {0, 254}, {7, 254}, {0, 252}, {8, 248}, {0, 254}, {0, 253}, {8, 253},
    {1, 254}, {0, 254}, {8, 251}, {0, 254}, {8, 245}, {0, 251}, {0, 254}, {8, 253}, {0, 253},
    {0, 254}, {9, 251}, {0, 253}, {8, 252}, {0, 253}, {0, 254}, {9, 254}, {10, 252}, {9, 249},
    {1, 254}, {10, 254}, {10, 253}, {8, 250}, {32, 254}};

struct bool_reader {
    const uint8_t *at, *end;
    uint64_t value; /* the next bits, the first one highest; zeros behind the end of the data */
    int count;      /* how many of them there are behind the first eight */
    uint32_t range;
    int64_t used; /* bits that were read */
};

/* ---- arithmetic code, 7.3 ---- */

static void refill_bools(struct bool_reader *bits)
{
    while (bits->count < 48) { /* turns: at most 7 */
        uint64_t byte = bits->at < bits->end ? *bits->at++ : 0;
        bits->value |= byte << (48 - bits->count);
        bits->count += 8;
    }
}

/* A decision that is false with `odds` in 256. */
static inline bool read_bool(struct bool_reader *bits, uint32_t odds)
{
    if (bits->count < 0)
        refill_bools(bits);
    uint32_t split = 1 + (((bits->range - 1) * odds) >> 8);
    bool found = bits->value >= (uint64_t)split << 56;
    bits->range = found ? bits->range - split : split;
    bits->value -= found ? (uint64_t)split << 56 : 0;
    int shift = __builtin_clz(bits->range) - 24;
    bits->range <<= shift;
    bits->value <<= shift;
    bits->count -= shift;
    bits->used += shift;
    return found;
}

static uint32_t read_number(struct bool_reader *bits, int count)
{
    uint32_t value = 0;
    while (count--) /* turns: at most 8 */
        value = value << 1 | read_bool(bits, EVEN);
    return value;
}

/* Read so many numbers, of so many bits and maybe a sign, each of which may be left out. */
static void read_optional(struct bool_reader *bits, int numbers, int count)
{
    while (numbers--) /* turns: at most 5 */
        if (read_bool(bits, EVEN))
            read_number(bits, count);
}

/* ---- header, 9.2 to 9.11 ---- */

struct block_odds {
    bool has_segments, may_be_empty;
    uint8_t segments[SEGMENTS - 1];
    uint8_t empty;
};

static void read_segments(struct bool_reader *bits, struct block_odds *odds)
{
    odds->has_segments = read_bool(bits, EVEN);
    if (read_bool(bits, EVEN)) {
        read_bool(bits, EVEN);
        read_optional(bits, SEGMENTS, 7 + 1);
        read_optional(bits, SEGMENTS, 6 + 1);
    }
    for (int n = 0; n < SEGMENTS - 1; n++) /* turns: SEGMENTS - 1 */
        odds->segments[n] =
            odds->has_segments && read_bool(bits, EVEN) ? (uint8_t)read_number(bits, 8) : 255;
}

static void read_stays(struct bool_reader *bits)
{
    size_t telling = 0;
    int certain = STAYS[0].certain;
    for (int n = 0; n < ODDS; n++) { /* turns: ODDS */
        uint32_t odds = 255;
        if (!certain--) {
            odds = STAYS[telling++].odds;
            certain = telling < sizeof STAYS / sizeof *STAYS ? STAYS[telling].certain : ODDS;
        }
        if (read_bool(bits, odds))
            read_number(bits, 8);
    }
}

static void read_frame_header(struct bool_reader *bits, struct block_odds *odds)
{
    read_number(bits, 2); /* colours, clamping */
    if (read_bool(bits, EVEN))
        read_segments(bits, odds);
    read_number(bits, 1 + 6 + 3); /* the loop filter */
    if (read_bool(bits, EVEN) && read_bool(bits, EVEN)) {
        read_optional(bits, 4, 6 + 1);
        read_optional(bits, 4, 6 + 1);
    }
    read_number(bits, 2 + 7); /* partitions, quantiser */
    read_optional(bits, 5, 4 + 1);
    read_bool(bits, EVEN); /* whether odds hold for later pictures */
    read_stays(bits);
    odds->may_be_empty = read_bool(bits, EVEN);
    if (odds->may_be_empty)
        odds->empty = (uint8_t)read_number(bits, 8);
}

/* ---- blocks, 11.2 to 11.5 ---- */

static enum mode read_mode(struct bool_reader *bits, const uint8_t *odds)
{
    if (!read_bool(bits, odds[0]))
        return MODE_DC;
    if (!read_bool(bits, odds[1]))
        return MODE_TM;
    if (!read_bool(bits, odds[2]))
        return MODE_VE;
    if (!read_bool(bits, odds[3])) {
        if (!read_bool(bits, odds[4]))
            return MODE_HE;
        return read_bool(bits, odds[5]) ? MODE_VR : MODE_RD;
    }
    if (!read_bool(bits, odds[6]))
        return MODE_LD;
    if (!read_bool(bits, odds[7]))
        return MODE_VL;
    return read_bool(bits, odds[8]) ? MODE_HU : MODE_HD;
}

/* Read a block of 16 x 16 pixels; `above` and `left` are the modes of four neighbours each. */
static void read_block(struct bool_reader *bits, const struct block_odds *odds, uint8_t *above,
                       uint8_t *left)
{
    if (odds->has_segments)
        read_bool(bits, odds->segments[1 + read_bool(bits, odds->segments[0])]);
    if (odds->may_be_empty)
        read_bool(bits, odds->empty);
    if (read_bool(bits, 145)) {
        enum mode mode = read_bool(bits, 156) ? (read_bool(bits, 128) ? MODE_TM : MODE_HE)
                                              : (read_bool(bits, 163) ? MODE_VE : MODE_DC);
        memset(above, mode, 4);
        memset(left, mode, 4);
    } else {
        for (int y = 0; y < 4; y++)     /* turns: 4 */
            for (int x = 0; x < 4; x++) /* turns: 4 */
                above[x] = left[y] = (uint8_t)read_mode(bits, MODE_ODDS[above[x]][left[y]]);
    }
    if (read_bool(bits, 142) && read_bool(bits, 114)) /* its colours */
        read_bool(bits, 183);
}

/* How many bits the codes of the first partition leave unread; below zero where they want more. `data`
 * begins with the picture's header, and holds the partition or more. False: it does not. */
static bool count_unread(const uint8_t *data, size_t size, int64_t *unread)
{
    if (size < FRAME_HEADER_BYTES)
        return false;
    size_t first = (size_t)(data[0] | data[1] << 8 | data[2] << 16) >> 5;
    int across = ((data[6] | data[7] << 8) & 0x3FFF) + BLOCK_PX - 1;
    int down = ((data[8] | data[9] << 8) & 0x3FFF) + BLOCK_PX - 1;
    across /= BLOCK_PX, down /= BLOCK_PX;
    if (!across || !down || first > size - FRAME_HEADER_BYTES)
        return false;
    const uint8_t *begin = data + FRAME_HEADER_BYTES;
    struct bool_reader bits = {.at = begin, .end = begin + first, .count = -8, .range = 255};
    struct block_odds odds = {0};
    read_frame_header(&bits, &odds);
    uint8_t above[4 * MOST_BLOCKS_ACROSS] = {MODE_DC};
    if (first && *begin == UINT8_MAX) { /* beyond the first range: nothing is written so */
        *unread = 8 * (int64_t)first;
        return true;
    }
    for (int y = 0; y < down && bits.used <= 8 * (int64_t)first; y++) { /* turns: at most 1024 */
        uint8_t left[4] = {MODE_DC};
        for (int x = 0; x < across; x++) /* turns: at most MOST_BLOCKS_ACROSS */
            read_block(&bits, &odds, above + (size_t)4 * x, left);
    }
    *unread = 8 * (int64_t)first - bits.used;
    return true;
}

#endif
