/* LZW as TIFF has it (TIFF 6.0, section 13): a strip or tile in one go, all of it or nothing.
 *
 * A string of the table is what an earlier code made and one byte more, so it lies in the result
 * already: the table holds places and lengths. What a damaged strip makes is refused where that can
 * be told: a code that is not in the table, one byte too many or too few, no end.
 */
#ifndef PREGEN_LZW_H
#define PREGEN_LZW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LZW_CLEAR 256
#define LZW_END 257
#define LZW_FIRST 258
#define LZW_CODES 4096
#define LZW_LEAST_BITS 9
#define LZW_MOST_BITS 12
#define LZW_WORD 16 /* bytes that are copied at once */

struct lzw_string {
    uint32_t at, length;
};

/* The bits of a strip, from the highest on. */
struct lzw_bits {
    const uint8_t *at, *end;
    uint64_t bits;
    int count;
};

static inline void fill_lzw(struct lzw_bits *bits)
{
    if (bits->end - bits->at >= 4) {
        const uint8_t *at = bits->at;
        uint64_t more = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        bits->bits |= more << (32 - bits->count);
        bits->at += 4;
        bits->count += 32;
        return;
    }
    for (; bits->count <= 32 && bits->at < bits->end; bits->count += 8) /* turns: 3 */
        bits->bits |= (uint64_t)*bits->at++ << (56 - bits->count);
}

/* The next code of so many bits, or LZW_END where there are not as many. */
static inline unsigned next_lzw(struct lzw_bits *bits, int width)
{
    if (bits->count < width)
        fill_lzw(bits);
    if (bits->count < width)
        return LZW_END;
    unsigned code = (unsigned)(bits->bits >> (64 - width));
    bits->bits <<= width;
    bits->count -= width;
    return code;
}

/* True when a strip that has made all of its bytes ends here: by the code for it, perhaps behind one
 * that clears the table, or because there is no room for a code. */
static bool lzw_ends(struct lzw_bits *bits, int width)
{
    unsigned code = next_lzw(bits, width);
    return code == LZW_END || (code == LZW_CLEAR && next_lzw(bits, LZW_LEAST_BITS) == LZW_END);
}

/* Unpack a strip to exactly `size` bytes, below 2^32; false when it makes others. */
static bool unpack_lzw(const uint8_t *data, size_t data_size, uint8_t *out, size_t size)
{
    struct lzw_string table[LZW_CODES];
    struct lzw_bits bits = {.at = data, .end = data + data_size};
    /* Begun by the lowest bit of a byte, as libtiff before 1990 wrote it: left to others. */
    if (data_size >= 2 && data[0] == 0 && data[1] & 1)
        return false;
    size_t made = 0;
    struct lzw_string last = {0};
    unsigned next = LZW_FIRST - 1; /* the newest string; this one is none */
    bool begins = true;            /* nothing came behind a clear table */
    for (;;) {                     /* turns: the codes of `data`, each of 9 bits at least */
        int width = LZW_LEAST_BITS + (next > 510) + (next > 1022) + (next > 2046);
        if (made == size)
            return lzw_ends(&bits, width);
        unsigned code = next_lzw(&bits, width);
        if (code == LZW_END)
            return false;
        if (code == LZW_CLEAR) {
            next = LZW_FIRST - 1;
            begins = true;
            continue;
        }
        struct lzw_string string = {(uint32_t)made, 1};
        if (!begins)
            table[next] = (struct lzw_string){last.at, last.length + 1};
        if (code < LZW_CLEAR) {
            out[made] = (uint8_t)code;
        } else if (begins || code > next) {
            return false;
        } else {
            struct lzw_string from = table[code];
            if (from.length > size - made)
                return false;
            string.length = from.length;
            uint8_t *to = out + made;
            const uint8_t *source = out + from.at;
            /* Of the newest string the last byte is the first one that is written here. */
            size_t whole = from.length - (code == next);
            if (size - made >= whole + LZW_WORD) {
                for (size_t n = 0; n < whole; n += LZW_WORD) { /* turns: whole / LZW_WORD + 1 */
                    uint64_t word[2];
                    memcpy(word, source + n, sizeof word);
                    memcpy(to + n, word, sizeof word);
                }
            } else {
                memcpy(to, source, whole);
            }
            to[from.length - 1] = code == next ? to[0] : to[from.length - 1];
        }
        made += string.length;
        last = string;
        begins = false;
        if (++next >= LZW_CODES)
            return made == size && lzw_ends(&bits, LZW_MOST_BITS); /* encoders write no more */
    }
}

#endif
