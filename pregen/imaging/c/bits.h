/* Entropy-coded data of a JPEG as a row of bits, T.81: B.1.1.5 and F.2.2.5.
 *
 * The zero that stands behind each FF is taken out first, a window at a time. So what reads bits
 * need not look for markers: a refill is four operations, and has no branch. A window is slid when
 * less than a block's worth is left of it. Behind the last byte before a marker stand zeros.
 *
 * SSE2 and NEON look for FF in 16 bytes at once; PLAIN_TWIN leaves them out, and reads bits byte by
 * byte.
 */
#ifndef PREGEN_BITS_H
#define PREGEN_BITS_H

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

/* What runs for every block stands in one function, with the state of the bits in registers. */
#define HOT static inline __attribute__((always_inline))
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

#ifndef WINDOW_BYTES /* a fuzz target has a smaller one, which slides in small files */
#define WINDOW_BYTES (128 * 1024)
#endif
#define BLOCK 64 /* coefficients, A.3.1 */
/* A block takes at most 64 codes of 16 bits, each with 15 more: less than this. */
#define BLOCK_BYTES 256
/* Zeros behind the data: a block that begins in its last byte, and what is read at once. */
#define PADDING_BYTES (BLOCK_BYTES + 64)
#define WORD_BYTES 8
#define FOUND_AT_ONCE 16 /* bytes */

struct entropy {
    const uint8_t *at, *end; /* of the file, what is not in the window yet */
    uint8_t *window;
    size_t filled;      /* bytes of the window */
    const uint8_t *low; /* a block that begins behind this needs a slide before */
    bool closed;        /* the data ends with the window */
    bool spent;         /* more was read than there is */
};

struct bits {
    const uint8_t *at; /* in the window */
    uint64_t ahead;    /* the next bits, left-aligned; below `count` there may be more */
    int count;
};

/* ---- the window ---- */

/* Copy up to `size` bytes until an FF; return how many. */
HOT size_t copy_until_ff(uint8_t *out, const uint8_t *from, size_t size)
{
    size_t at = 0;
#if !defined PLAIN_TWIN && defined __SSE2__
    for (; at + FOUND_AT_ONCE <= size; at += FOUND_AT_ONCE) { /* turns: size / FOUND_AT_ONCE */
        __m128i some = _mm_loadu_si128((const __m128i *)(from + at));
        _mm_storeu_si128((__m128i *)(out + at), some);
        int found = _mm_movemask_epi8(_mm_cmpeq_epi8(some, _mm_set1_epi8(-1)));
        if (found)
            return at + (size_t)__builtin_ctz((unsigned)found);
    }
#elif !defined PLAIN_TWIN && defined __ARM_NEON && defined __aarch64__
    for (; at + FOUND_AT_ONCE <= size; at += FOUND_AT_ONCE) { /* turns: size / FOUND_AT_ONCE */
        uint8x16_t some = vld1q_u8(from + at);
        vst1q_u8(out + at, some);
        /* Four bits for each byte. */
        uint8x8_t found = vshrn_n_u16(vreinterpretq_u16_u8(vceqq_u8(some, vdupq_n_u8(0xFF))), 4);
        uint64_t bits = vget_lane_u64(vreinterpret_u64_u8(found), 0);
        if (bits)
            return at + (size_t)__builtin_ctzll(bits) / 4;
    }
#endif
    for (; at < size && from[at] != 0xFF; at++) /* turns: at most size */
        out[at] = from[at];
    return at;
}

/* Fill the window behind what is in it, up to a marker, B.1.1.2. */
static void fill(struct entropy *entropy)
{
    const uint8_t *end = entropy->end;
    for (;;) { /* turns: at most the window's bytes: each adds one, or is the last */
        size_t size = (size_t)(end - entropy->at), room = WINDOW_BYTES - entropy->filled;
        size_t copied = copy_until_ff(entropy->window + entropy->filled, entropy->at,
                                      size < room ? size : room);
        entropy->at += copied;
        entropy->filled += copied;
        entropy->closed = entropy->at == end ||
                         (*entropy->at == 0xFF && (end - entropy->at < 2 || entropy->at[1]));
        if (entropy->closed || entropy->filled == WINDOW_BYTES)
            break;
        entropy->window[entropy->filled++] = 0xFF;
        entropy->at += 2;
    }
    memset(entropy->window + entropy->filled, 0, PADDING_BYTES);
    entropy->low = entropy->window + entropy->filled;
    if (entropy->closed)
        entropy->low += WORD_BYTES; /* what is read behind this is not there */
    else
        entropy->low -= BLOCK_BYTES + WORD_BYTES;
}

/* Begin to read coded data at a place of the file. */
static struct bits open_entropy(struct entropy *entropy, const uint8_t *at)
{
    entropy->at = at;
    entropy->filled = 0;
    entropy->spent = false;
    fill(entropy);
    return (struct bits){.at = entropy->window};
}

/* Slide the window to a place in it. */
static void slide_to(struct entropy *entropy, const uint8_t *at)
{
    entropy->filled -= (size_t)(at - entropy->window);
    memmove(entropy->window, at, entropy->filled);
    fill(entropy);
}

/* Have the next block's codes in the window, or what there is of them. The state of the bits goes
 * in and out by value, so that the loops keep it in registers. */
static __attribute__((noinline)) struct bits slide(struct entropy *entropy, struct bits bits)
{
    if (entropy->closed) {
        entropy->spent = true;
        return (struct bits){.at = entropy->window + entropy->filled};
    }
    slide_to(entropy, bits.at);
    bits.at = entropy->window;
    return bits;
}

/* True when a block may be read: its codes, if they are sound, are in the window. */
HOT bool have_block(struct entropy *entropy, struct bits *bits)
{
    if (UNLIKELY(bits->at > entropy->low)) {
        *bits = slide(entropy, *bits);
        return !entropy->spent;
    }
    return true;
}

/* How many bits are left up to the end of the data, at most 64 if it is not in the window;
 * negative: more were read than there are. */
static int64_t bits_left(struct entropy *entropy, struct bits *bits)
{
    if (entropy->spent)
        return -1;
    if (!entropy->closed && bits->at > entropy->low)
        *bits = slide(entropy, *bits);
    return 8 * (entropy->window + entropy->filled - bits->at) + bits->count;
}

/* ---- bits ---- */

/* The next 64 bits, the first highest. */
static inline uint64_t load_word(const uint8_t *at)
{
#if defined PLAIN_TWIN || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
    uint64_t word = 0;
    for (int n = 0; n < WORD_BYTES; n++) /* turns: WORD_BYTES */
        word = word << 8 | at[n];
    return word;
#else
    uint64_t word;
    memcpy(&word, at, WORD_BYTES);
    return __builtin_bswap64(word);
#endif
}

/* Make at least 56 bits ready: a code and its extra bits are 31 at most. */
HOT void refill(struct bits *bits)
{
#ifdef PLAIN_TWIN
    bits->ahead &= bits->count ? ~(uint64_t)0 << (64 - bits->count) : 0;
    for (; bits->count <= 56; bits->count += 8) /* turns: at most WORD_BYTES */
        bits->ahead |= (uint64_t)*bits->at++ << (56 - bits->count);
#else
    bits->ahead |= load_word(bits->at) >> bits->count;
    bits->at += (63 - bits->count) >> 3;
    bits->count |= 56;
#endif
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

/* The value of `size` extra bits, F.2.2.1. */
HOT int32_t take_value(struct bits *bits, int size)
{
    if (!size)
        return 0;
    int32_t value = (int32_t)peek(bits, size);
    drop(bits, size);
    return value < (1 << (size - 1)) ? value - (1 << size) + 1 : value;
}

/* The bits from a place in the window on, which is told in bits. */
HOT struct bits bits_from(const uint8_t *window, uint32_t at)
{
    struct bits bits = {.at = window + (at >> 3)};
    refill(&bits);
    drop(&bits, (int)(at & 7));
    return bits;
}

/* True when no whole byte is left: nothing but padding, F.1.2.3. */
static bool at_end(struct entropy *entropy, struct bits *bits)
{
    int64_t left = bits_left(entropy, bits);
    return left >= 0 && left < 8;
}

/* Where the marker stands that follows, or the end of the data, if nothing but padding is left before it, or
 * whole bytes of ones or zeros, as some writers fill up. Else NULL. */
static const uint8_t *end_of_padding(const struct entropy *entropy, struct bits bits)
{
    int value = -1;
    const uint8_t *at = entropy->at, *end = entropy->end;
    for (;;) { /* turns: at most the window's bytes / 4 */
        int64_t left = 8 * (entropy->window + entropy->filled - bits.at) + bits.count;
        if (left <= 0 || (entropy->closed && value < 0 && left < 8))
            break;
        refill(&bits);
        int count = left < 32 ? (int)left : 32;
        uint32_t found = peek(&bits, count), ones = (uint32_t)(((uint64_t)1 << count) - 1);
        if ((found && found != ones) || (value >= 0 && value != (found != 0)))
            return NULL;
        value = found != 0;
        drop(&bits, count);
    }
    /* Behind the window: zeros, or ones, each byte of which has its zero. */
    /* turns: at most the data's bytes, in all */
    while (!entropy->closed && at < end && *at == (value ? 0xFF : 0)) {
        if (value && (end - at < 2 || at[1]))
            break;
        at += value ? 2 : 1;
    }
    return at == end || (*at == 0xFF && (end - at < 2 || at[1])) ? at : NULL;
}

/* True when a restart marker stands there. */
static bool is_restart(const uint8_t *at, const uint8_t *end)
{
    return end - at >= 2 && at[0] == 0xFF && at[1] >= 0xD0 && at[1] <= 0xD7;
}

/* Pass over the restart marker that must come now, E.1.4. */
static bool pass_restart(struct entropy *entropy, int number)
{
    const uint8_t *at = entropy->at;
    /* turns: at most the data's bytes, in all */
    while (entropy->end - at >= 2 && at[0] == 0xFF && at[1] == 0xFF)
        at++;
    if (entropy->end - at < 2 || at[0] != 0xFF || at[1] != 0xD0 + (number & 7))
        return false;
    entropy->at = at + 2;
    return true;
}

/* Go to the next restart interval. */
static bool restart(struct entropy *entropy, struct bits *bits, int number)
{
    if (!at_end(entropy, bits) || !pass_restart(entropy, number))
        return false;
    *bits = open_entropy(entropy, entropy->at);
    return true;
}

#endif
