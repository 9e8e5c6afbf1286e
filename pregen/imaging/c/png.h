/* The zlib stream of a PNG of 8-bit RGBA (PNG, 9.2 and 10.1; RFC 1950 and 1951).
 *
 * Each row is filtered by its left neighbour (Sub), and what is left becomes one block of Huffman
 * codes made for it. Nothing is looked for that was there before: photos hardly repeat themselves,
 * and the search would take most of the time. Pictures that do (screens, drawings, scanned text)
 * are told by how many pairs of pixels come again, and left to a compressor that searches. Both, what
 * codes there are and whether it repeats itself, are learnt from some rows of a large picture.
 *
 * SSE2 and NEON subtract and add up; PLAIN_TWIN leaves them out, and gives the same bytes.
 */
#ifndef PREGEN_PNG_H
#define PREGEN_PNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef PLAIN_TWIN
#if defined __SSE2__
#include <emmintrin.h>
#elif defined __ARM_NEON && defined __aarch64__
#include <arm_neon.h>
#endif
#endif

#define PIXEL_BYTES 4
#define SUB 1              /* the filter's type */
#define SYMBOLS 257        /* of literals and the end of a block */
#define END_OF_BLOCK 256
#define CODE_LENGTHS 16    /* lengths of codes, which have codes of their own: RFC 1951, 3.2.7 */
#define PAIR_BYTES 8
#define PAIR_BITS 11       /* 16 KiB of pairs */
#define GREY_PAIR 0x0000FFFF0000FFFFu /* of a pair and itself a byte later: colours that differ */
#define MOST_CODE_BITS 14  /* 15 are allowed; four codes and 7 bits are 63, which one word takes */
#define MOST_LENGTH_BITS 7 /* likewise, of the codes for lengths */
#define BEFORE_ADLER 65521 /* RFC 1950 */
/* So many bytes can be added up before 32 bits run over. */
#define ADLER_BYTES 5552
/* Rows that are looked at before the first one is written, at least, of a picture that has more.
 * Streams are within 0.04 % of those whose codes are from all rows. Of 64 rows too few pairs repeat
 * themselves. */
#define LOOKED_AT 96

/* ---- codes ---- */

/* Lengths of Huffman codes for `count` symbols, none above `most`; 0 for what does not occur.
 * Shortest first by weight; where a code would be too long, the shortest ones that can be are made
 * longer instead, which costs next to nothing. */
static void find_lengths(const uint32_t *frequencies, int count, int most, uint8_t *lengths)
{
    uint16_t leaves[SYMBOLS];
    int used = 0;
    for (int n = 0; n < count; n++) { /* turns: at most SYMBOLS */
        lengths[n] = 0;
        if (!frequencies[n])
            continue;
        int at = used++;
        /* turns: at most SYMBOLS: the rarest stand first */
        for (; at && frequencies[leaves[at - 1]] > frequencies[n]; at--)
            leaves[at] = leaves[at - 1];
        leaves[at] = (uint16_t)n;
    }
    if (used < 2) {
        if (used)
            lengths[leaves[0]] = 1;
        return;
    }
    uint32_t weights[2 * SYMBOLS];
    uint16_t parents[2 * SYMBOLS];
    for (int n = 0; n < used; n++) /* turns: at most SYMBOLS */
        weights[n] = frequencies[leaves[n]];
    int leaf = 0, node = used;
    for (int made = used; made < 2 * used - 1; made++) { /* turns: at most SYMBOLS */
        weights[made] = 0;
        for (int child = 0; child < 2; child++) { /* turns: 2: the two lightest */
            bool is_leaf = leaf < used && (node >= made || weights[leaf] <= weights[node]);
            int lightest = is_leaf ? leaf++ : node++;
            weights[made] += weights[lightest];
            parents[lightest] = (uint16_t)made;
        }
    }
    uint16_t depths[2 * SYMBOLS];
    uint32_t of_length[MOST_CODE_BITS + 1] = {0}; /* how many codes */
    depths[2 * used - 2] = 0;
    for (int n = 2 * used - 3; n >= 0; n--) { /* turns: at most 2 * SYMBOLS */
        depths[n] = (uint16_t)(depths[parents[n]] + 1);
        if (n < used)
            of_length[depths[n] > most ? most : depths[n]]++;
    }
    /* How much of all codes there can be is taken: more than 1 << most by what was cut. */
    uint32_t taken = 0;
    for (int length = 1; length <= most; length++) /* turns: at most MOST_CODE_BITS */
        taken += of_length[length] << (most - length);
    while (taken > 1u << most) { /* turns: at most SYMBOLS: each makes a code of `most` shorter */
        of_length[most]--;
        int length = most - 1;
        while (!of_length[length]) /* turns: at most MOST_CODE_BITS: 2 to the 14th codes are not */
            length--;
        of_length[length]--;
        of_length[length + 1] += 2;
        taken--;
    }
    int next = 0;
    for (int length = most; length > 0; length--) /* turns: at most MOST_CODE_BITS */
        for (uint32_t n = 0; n < of_length[length]; n++) /* turns: at most SYMBOLS in all */
            lengths[leaves[next++]] = (uint8_t)length;
}

/* Codes of these lengths, RFC 1951, 3.2.2; the first bit lowest, as they are written. */
static void find_codes(const uint8_t *lengths, int count, uint16_t *codes)
{
    uint32_t of_length[MOST_CODE_BITS + 1] = {0}, next[MOST_CODE_BITS + 1] = {0};
    for (int n = 0; n < count; n++) /* turns: at most SYMBOLS */
        of_length[lengths[n]]++;
    of_length[0] = 0;
    for (int length = 1; length <= MOST_CODE_BITS; length++) /* turns: MOST_CODE_BITS */
        next[length] = (next[length - 1] + of_length[length - 1]) << 1;
    for (int n = 0; n < count; n++) { /* turns: at most SYMBOLS */
        uint32_t code = lengths[n] ? next[lengths[n]]++ : 0, turned = 0;
        for (int bit = 0; bit < lengths[n]; bit++) /* turns: at most MOST_CODE_BITS */
            turned |= (code >> bit & 1) << (lengths[n] - 1 - bit);
        codes[n] = (uint16_t)turned;
    }
}

/* ---- filtered rows ---- */

/* Write the filter's type and the row, less its left neighbours. */
static void filter_row(const uint8_t *row, size_t size, uint8_t *out)
{
    *out++ = SUB;
    memcpy(out, row, PIXEL_BYTES);
    size_t at = PIXEL_BYTES;
#if !defined PLAIN_TWIN && defined __SSE2__
    for (; at + 16 <= size; at += 16) { /* turns: size / 16 */
        __m128i here = _mm_loadu_si128((const __m128i *)(row + at));
        __m128i left = _mm_loadu_si128((const __m128i *)(row + at - PIXEL_BYTES));
        _mm_storeu_si128((__m128i *)(out + at), _mm_sub_epi8(here, left));
    }
#elif !defined PLAIN_TWIN && defined __ARM_NEON && defined __aarch64__
    for (; at + 16 <= size; at += 16) /* turns: size / 16 */
        vst1q_u8(out + at, vsubq_u8(vld1q_u8(row + at), vld1q_u8(row + at - PIXEL_BYTES)));
#endif
    for (; at < size; at++) /* turns: at most size */
        out[at] = (uint8_t)(row[at] - row[at - PIXEL_BYTES]);
}

/* The sum with some bytes more, RFC 1950, 8.2; that of none is 1. */
static uint32_t adler_of(uint32_t before, const uint8_t *data, size_t size)
{
    uint32_t sum = before & 0xFFFF, sums = before >> 16;
    while (size) { /* turns: size / ADLER_BYTES + 1 */
        size_t part = size < ADLER_BYTES ? size : ADLER_BYTES;
        size -= part;
#if !defined PLAIN_TWIN && defined __SSE2__
        const __m128i zero = _mm_setzero_si128();
        const __m128i first = _mm_setr_epi16(16, 15, 14, 13, 12, 11, 10, 9);
        const __m128i second = _mm_setr_epi16(8, 7, 6, 5, 4, 3, 2, 1);
        /* By lane: the bytes so far, the same before each 16, and each by how often it counts. */
        __m128i bytes = zero, before = zero, counted = zero;
        size_t sixteens = part / 16;
        part -= 16 * sixteens;
        for (size_t n = 0; n < sixteens; n++, data += 16) { /* turns: ADLER_BYTES / 16 */
            __m128i some = _mm_loadu_si128((const __m128i *)data);
            before = _mm_add_epi32(before, bytes);
            bytes = _mm_add_epi32(bytes, _mm_sad_epu8(some, zero));
            counted = _mm_add_epi32(counted, _mm_madd_epi16(_mm_unpacklo_epi8(some, zero), first));
            counted = _mm_add_epi32(counted, _mm_madd_epi16(_mm_unpackhi_epi8(some, zero), second));
        }
        uint32_t lanes[3][4];
        _mm_storeu_si128((__m128i *)lanes[0], bytes);
        _mm_storeu_si128((__m128i *)lanes[1], before);
        _mm_storeu_si128((__m128i *)lanes[2], counted);
        sums += 16 * (uint32_t)sixteens * sum + 16 * (lanes[1][0] + lanes[1][2]) + lanes[2][0] +
                lanes[2][1] + lanes[2][2] + lanes[2][3];
        sum += lanes[0][0] + lanes[0][2];
#elif !defined PLAIN_TWIN && defined __ARM_NEON && defined __aarch64__
        static const uint8_t weights[16] = {16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
        const uint8x8_t first = vld1_u8(weights), second = vld1_u8(weights + 8);
        /* By lane, as above. */
        uint32x4_t bytes = vdupq_n_u32(0), before = bytes, counted = bytes;
        size_t sixteens = part / 16;
        part -= 16 * sixteens;
        for (size_t n = 0; n < sixteens; n++, data += 16) { /* turns: ADLER_BYTES / 16 */
            uint8x16_t some = vld1q_u8(data);
            before = vaddq_u32(before, bytes);
            bytes = vpadalq_u16(bytes, vpaddlq_u8(some));
            counted = vpadalq_u16(counted, vmull_u8(vget_low_u8(some), first));
            counted = vpadalq_u16(counted, vmull_u8(vget_high_u8(some), second));
        }
        sums += 16 * (uint32_t)sixteens * sum + 16 * vaddvq_u32(before) + vaddvq_u32(counted);
        sum += vaddvq_u32(bytes);
#endif
        for (size_t n = 0; n < part; n++) { /* turns: at most ADLER_BYTES */
            sum += *data++;
            sums += sum;
        }
        sum %= BEFORE_ADLER;
        sums %= BEFORE_ADLER;
    }
    return sums << 16 | sum;
}

/* ---- the stream ---- */

struct writer {
    uint8_t *at;
    uint64_t bits; /* not yet written, the first lowest */
    int count;     /* of them: below 8 between two calls of `flush` */
};

/* Of these there is room for so many between two calls of `flush`. */
#define MOST_PUT_BITS 56

static inline void put(struct writer *writer, uint64_t bits, int count)
{
    writer->bits |= bits << writer->count;
    writer->count += count;
}

/* Write whole bytes; needs room for 8. */
static inline void flush(struct writer *writer)
{
    /* turns: 8, one store for the compiler */
    for (int n = 0; n < 8; n++)
        writer->at[n] = (uint8_t)(writer->bits >> (8 * n));
    writer->at += writer->count >> 3;
    writer->bits >>= writer->count & ~7;
    writer->count &= 7;
}

/* The zlib stream of a picture; of one that repeats itself the filtered rows, to be compressed by
 * one that searches. */
struct stream {
    uint8_t *bytes; /* malloc'ed */
    size_t size;
    bool whole; /* it is a zlib stream */
};

/* The bytes of a pixel, the first lowest. */
static inline uint32_t word_of(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* What is known of a picture's pixels, less their left neighbours, before they are written. */
struct survey {
    /* Two tables of bytes take turns, as two of the same byte would wait for each other. */
    uint32_t counts[2][PIXEL_BYTES][256];
    uint64_t last[1 << PAIR_BITS]; /* of each value of a hash the last pair of pixels */
    size_t pairs, repeats;         /* that were there before, or are grey: one byte three times */
    uint32_t rows;
};

/* Count the bytes of a filtered row: nearly all pixels are as opaque as their left neighbour. */
static void count_bytes(struct survey *survey, const uint8_t *row, size_t size)
{
    uint32_t zeros = 0;
    for (size_t at = 0; at < size; at += PIXEL_BYTES) { /* turns: size / PIXEL_BYTES */
        uint32_t(*some)[256] = survey->counts[at / PIXEL_BYTES % 2], pixel = word_of(row + at);
        some[0][pixel & 255]++;
        some[1][pixel >> 8 & 255]++;
        some[2][pixel >> 16 & 255]++;
        if (pixel >> 24)
            some[3][pixel >> 24]++;
        else
            zeros++;
    }
    survey->counts[0][3][0] += zeros;
}

static void count_repeats(struct survey *survey, const uint8_t *row, size_t size)
{
    size_t repeats = 0;
    for (size_t at = 0; at + PAIR_BYTES <= size; at += PAIR_BYTES) { /* turns: the pairs */
        uint64_t pair = word_of(row + at) | (uint64_t)word_of(row + at + PIXEL_BYTES) << 32;
        uint64_t *place = &survey->last[(pair * 0x9E3779B97F4A7C15u) >> (64 - PAIR_BITS)];
        bool grey = !((pair ^ pair >> 8) & GREY_PAIR);
        repeats += (*place == pair) | grey; /* no branch: it would be guessed wrong */
        *place = pair;
    }
    survey->pairs += size / PAIR_BYTES;
    survey->repeats += repeats;
}

/* True when a search pays: it saves 5 % of a picture of which 45 % of the pairs repeat. Of
 * the pairs of photos in colour that is less than 40 %. */
static bool repeats_itself(const struct survey *survey)
{
    return survey->pairs == 0 || survey->repeats > survey->pairs * 45 / 100;
}

/* How often each symbol comes. */
static void find_frequencies(const struct survey *survey, uint32_t *frequencies)
{
    for (int n = 0; n < 256; n++) { /* turns: 256 */
        frequencies[n] = n == SUB ? survey->rows : 0;
        for (int table = 0; table < 2; table++)              /* turns: 2 */
            for (int band = 0; band < PIXEL_BYTES; band++) /* turns: PIXEL_BYTES */
                frequencies[n] += survey->counts[table][band][n];
    }
    frequencies[END_OF_BLOCK] = 1;
}

static void write_codes(struct writer *writer, const uint8_t *lengths)
{
    static const uint8_t order[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    /* The lengths of SYMBOLS codes, and of one for distances: none is used. */
    uint32_t frequencies[CODE_LENGTHS] = {0};
    uint8_t of_lengths[CODE_LENGTHS];
    uint16_t codes[CODE_LENGTHS];
    for (int n = 0; n < SYMBOLS; n++) /* turns: SYMBOLS */
        frequencies[lengths[n]]++;
    frequencies[0]++;
    find_lengths(frequencies, CODE_LENGTHS, MOST_LENGTH_BITS, of_lengths);
    find_codes(of_lengths, CODE_LENGTHS, codes);
    put(writer, 1 | 2 << 1, 3);            /* the last block; codes of its own */
    put(writer, SYMBOLS - 257, 5);         /* literals and lengths beyond 257 */
    put(writer, 0, 5);                     /* distances beyond 1 */
    put(writer, sizeof order - 4, 4);      /* codes for lengths beyond 4 */
    flush(writer);
    for (size_t n = 0; n < sizeof order; n++) { /* turns: 19 */
        put(writer, order[n] < CODE_LENGTHS ? of_lengths[order[n]] : 0, 3);
        flush(writer);
    }
    for (int n = 0; n <= SYMBOLS; n++) { /* turns: SYMBOLS + 1 */
        int length = n < SYMBOLS ? lengths[n] : 0;
        put(writer, codes[length], of_lengths[length]);
        flush(writer);
    }
}

/* What a header, the codes and the end take at most, and what `flush` writes beyond. */
#define MOST_OVERHEAD 512

/* Codes by byte: the code << 8 | its length. */
struct entries {
    uint64_t one[256];
    uint64_t last[256]; /* of a third byte and of a fourth that is 0, at once */
};

#define ENTRY_LENGTH(entry) ((int)((entry) & 63))
#define ENTRY_CODE(entry) ((entry) >> 8)

/* A code behind another. */
static inline uint64_t joined(uint64_t entry, uint64_t next)
{
    return (ENTRY_CODE(entry) | ENTRY_CODE(next) << ENTRY_LENGTH(entry)) << 8 |
           (uint64_t)(ENTRY_LENGTH(entry) + ENTRY_LENGTH(next));
}

static void find_entries(struct entries *entries, const uint8_t *lengths, const uint16_t *codes)
{
    for (int n = 0; n < 256; n++) /* turns: 256 */
        entries->one[n] = (uint64_t)codes[n] << 8 | lengths[n];
    for (int n = 0; n < 256; n++) /* turns: 256 */
        entries->last[n] = joined(entries->one[n], entries->one[0]);
}

/* All codes of a pixel, 56 bits at most; return how many bits. */
static inline int codes_of(const struct entries *entries, uint32_t pixel, uint64_t *codes)
{
    uint64_t one = entries->one[pixel & 255], two = entries->one[pixel >> 8 & 255];
    uint64_t last = entries->last[pixel >> 16 & 255];
    if (pixel >> 24)
        last = joined(entries->one[pixel >> 16 & 255], entries->one[pixel >> 24]);
    int length = ENTRY_LENGTH(one) + ENTRY_LENGTH(two);
    *codes = ENTRY_CODE(one) | ENTRY_CODE(two) << ENTRY_LENGTH(one) | ENTRY_CODE(last) << length;
    return length + ENTRY_LENGTH(last);
}

/* Write the pixels of a filtered row. Two at once, if their codes are as short as usual. */
static inline void write_row(struct writer *writer, const struct entries *entries,
                             const uint8_t *row, size_t size)
{
    size_t at = 0;
    for (; at + 2 * PIXEL_BYTES <= size; at += 2 * PIXEL_BYTES) { /* turns: size / 8 */
        uint64_t one, two;
        int length = codes_of(entries, word_of(row + at), &one);
        int other = codes_of(entries, word_of(row + at + PIXEL_BYTES), &two);
        if (length + other <= MOST_PUT_BITS) {
            put(writer, one | two << length, length + other);
        } else {
            put(writer, one, length);
            flush(writer);
            put(writer, two, other);
        }
        flush(writer);
    }
    for (; at < size; at += PIXEL_BYTES) { /* turns: 1 at most */
        uint64_t codes;
        int length = codes_of(entries, word_of(row + at), &codes);
        put(writer, codes, length);
        flush(writer);
    }
}

typedef void row_writer(struct writer *writer, const struct entries *entries, const uint8_t *row,
                        size_t size);

static void write_row_by_shifts(struct writer *writer, const struct entries *entries,
                                const uint8_t *row, size_t size)
{
    write_row(writer, entries, row, size);
}

#if !defined PLAIN_TWIN && defined __x86_64__
#define HAS_BMI2
#ifndef CAN_BMI2 /* a fuzz target tries both */
#define CAN_BMI2 __builtin_cpu_supports("bmi2")
#endif

/* As write_row_by_shifts: a shift by a variable is one operation, where it is three. */
static __attribute__((target("bmi2"))) void write_row_by_bmi2(struct writer *writer,
                                                              const struct entries *entries,
                                                              const uint8_t *row, size_t size)
{
    write_row(writer, entries, row, size);
}
#endif

static row_writer *row_writer_here(void)
{
#ifdef HAS_BMI2
    if (CAN_BMI2)
        return write_row_by_bmi2;
#endif
    return write_row_by_shifts;
}

/* Filter all rows of a picture. False when there is no memory. */
static bool filter(const uint8_t *pixels, size_t row_bytes, int height_px, struct stream *stream)
{
    size_t size = (row_bytes + 1) * (size_t)height_px;
    *stream = (struct stream){malloc(size), size, false};
    if (!stream->bytes)
        return false;
    for (int y = 0; y < height_px; y++) /* turns: height_px */
        filter_row(pixels + (size_t)y * row_bytes, row_bytes,
                   stream->bytes + (size_t)y * (row_bytes + 1));
    return true;
}

/* Write a picture with codes of these lengths; `row` is room for a filtered row. False when there is
 * no memory. */
static bool write_rows(const uint8_t *pixels, size_t row_bytes, int height_px,
                       const uint8_t *lengths, uint8_t *row, struct stream *stream)
{
    uint16_t codes[SYMBOLS];
    struct entries entries;
    find_codes(lengths, SYMBOLS, codes);
    find_entries(&entries, lengths, codes);
    uint8_t *out = malloc((row_bytes + 1) * (size_t)height_px / 8 * MOST_CODE_BITS + MOST_OVERHEAD);
    if (!out)
        return false;
    struct writer writer = {.at = out};
    row_writer *write_here = row_writer_here();
    uint32_t adler = 1;
    put(&writer, 0x0178, 16); /* deflate, 32 KiB, fastest */
    write_codes(&writer, lengths);
    for (int y = 0; y < height_px; y++) { /* turns: height_px */
        filter_row(pixels + (size_t)y * row_bytes, row_bytes, row);
        adler = adler_of(adler, row, row_bytes + 1);
        put(&writer, codes[*row], lengths[*row]);
        flush(&writer);
        write_here(&writer, &entries, row + 1, row_bytes);
    }
    put(&writer, codes[END_OF_BLOCK], lengths[END_OF_BLOCK]);
    writer.count = (writer.count + 7) & ~7;
    flush(&writer);
    for (int n = 0; n < 4; n++) /* turns: 4 */
        *writer.at++ = (uint8_t)(adler >> (24 - 8 * n));
    *stream = (struct stream){out, (size_t)(writer.at - out), true};
    return true;
}

/* Compress a picture of width_px x height_px RGBA pixels. False when there is no memory. */
static bool pack(const uint8_t *pixels, int width_px, int height_px, struct stream *stream)
{
    size_t row_bytes = (size_t)width_px * PIXEL_BYTES;
    *stream = (struct stream){0};
    uint8_t *row = malloc(row_bytes + 1);
    if (!row)
        return false;
    struct survey survey = {0};
    int step = height_px < 2 * LOOKED_AT ? 1 : height_px / LOOKED_AT;
    for (int y = 0; y < height_px; y += step) { /* turns: height_px */
        filter_row(pixels + (size_t)y * row_bytes, row_bytes, row);
        count_bytes(&survey, row + 1, row_bytes);
        count_repeats(&survey, row + 1, row_bytes);
        survey.rows++;
    }
    bool enough;
    if (repeats_itself(&survey)) {
        enough = filter(pixels, row_bytes, height_px, stream);
    } else {
        uint32_t frequencies[SYMBOLS];
        uint8_t lengths[SYMBOLS];
        find_frequencies(&survey, frequencies);
        for (int n = 0; step > 1 && n < 256; n++) /* turns: 256 */
            frequencies[n] += !frequencies[n]; /* it may come in a row that was not looked at */
        find_lengths(frequencies, SYMBOLS, MOST_CODE_BITS, lengths);
        enough = write_rows(pixels, row_bytes, height_px, lengths, row, stream);
    }
    free(row);
    return enough;
}

#endif
