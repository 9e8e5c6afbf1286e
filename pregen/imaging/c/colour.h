/* Rows of YCbCr to RGB (JFIF 1.02), in 16-bit fixed point, to the last bit as libjpeg does it. */
#ifndef PREGEN_COLOUR_H
#define PREGEN_COLOUR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined __SSE2__ && !defined PLAIN_TWIN
#include <emmintrin.h>
#endif

static inline uint8_t clamped(int32_t value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

#if defined __SSE2__ && !defined PLAIN_TWIN
/* Pixels of four bands by eights; return how many. Products with numbers above a half are split into
 * whole multiples and the rest, which 16 bits hold. */
static int fill_eights(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                       int columns)
{
    const __m128i zero = _mm_setzero_si128(), middle = _mm_set1_epi16(128), one = _mm_set1_epi16(1);
    const __m128i half = _mm_set1_epi32(32768);
    const __m128i green = _mm_set1_epi32((int32_t)((uint32_t)18734 << 16 | (uint16_t)-22554));
    int x = 0;
    for (; x + 8 <= columns; x += 8) { /* turns: columns / 8 */
        __m128i luma = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(y + x)), zero);
        __m128i b = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(cb + x)), zero);
        __m128i r = _mm_unpacklo_epi8(_mm_loadl_epi64((const __m128i *)(cr + x)), zero);
        b = _mm_sub_epi16(b, middle);
        r = _mm_sub_epi16(r, middle);
        /* 91881 = 65536 + 26345, 116130 = 2 * 65536 - 14942, -46802 = 18734 - 65536 */
        __m128i more_r = _mm_mulhi_epi16(_mm_add_epi16(r, r), _mm_set1_epi16(26345));
        __m128i more_b = _mm_mulhi_epi16(_mm_add_epi16(b, b), _mm_set1_epi16(-14942));
        more_r = _mm_srai_epi16(_mm_add_epi16(more_r, one), 1);
        more_b = _mm_srai_epi16(_mm_add_epi16(more_b, one), 1);
        __m128i low = _mm_madd_epi16(_mm_unpacklo_epi16(b, r), green);
        __m128i high = _mm_madd_epi16(_mm_unpackhi_epi16(b, r), green);
        low = _mm_srai_epi32(_mm_add_epi32(low, half), 16);
        high = _mm_srai_epi32(_mm_add_epi32(high, half), 16);
        __m128i reds = _mm_add_epi16(luma, _mm_add_epi16(r, more_r));
        __m128i greens = _mm_add_epi16(luma, _mm_sub_epi16(_mm_packs_epi32(low, high), r));
        __m128i blues = _mm_add_epi16(luma, _mm_add_epi16(_mm_add_epi16(b, b), more_b));
        __m128i two = _mm_unpacklo_epi8(_mm_packus_epi16(reds, reds),
                                        _mm_packus_epi16(greens, greens));
        __m128i rest = _mm_unpacklo_epi8(_mm_packus_epi16(blues, blues), _mm_set1_epi8(-1));
        _mm_storeu_si128((__m128i *)(out + 4 * x), _mm_unpacklo_epi16(two, rest));
        _mm_storeu_si128((__m128i *)(out + 4 * x + 16), _mm_unpackhi_epi16(two, rest));
    }
    return x;
}
#else
static int fill_eights(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                       int columns)
{
    (void)out, (void)y, (void)cb, (void)cr, (void)columns;
    return 0;
}
#endif

/* Three or four bands; the fourth is 255. */
static void fill_rgb(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                     int columns, int bands)
{
    int x = bands == 4 ? fill_eights(out, y, cb, cr, columns) : 0;
    for (out += (ptrdiff_t)x * bands; x < columns; x++, out += bands) { /* turns: columns */
        int32_t blue = cb[x] - 128, red = cr[x] - 128;
        out[0] = clamped(y[x] + ((91881 * red + 32768) >> 16));
        out[1] = clamped(y[x] + ((-22554 * blue - 46802 * red + 32768) >> 16));
        out[2] = clamped(y[x] + ((116130 * blue + 32768) >> 16));
        if (bands == 4)
            out[3] = 255;
    }
}

/* A row between two of chroma, a quarter of the way. */
static void fill_between(uint8_t *restrict out, const uint8_t *restrict near,
                         const uint8_t *restrict far, int columns, int rounding)
{
    for (int x = 0; x < columns; x++) /* turns: columns */
        out[x] = (uint8_t)((3 * near[x] + far[x] + rounding) >> 2);
}

/* A row twice as wide: two samples from each, a quarter of the way to its neighbours. */
static void fill_twice(uint8_t *restrict out, const uint8_t *restrict from, int columns)
{
    int last = columns - 1;
    out[0] = from[0];
    for (int x = 0; x < last; x++) { /* turns: columns */
        out[2 * x + 1] = (uint8_t)((3 * from[x] + from[x + 1] + 2) >> 2);
        out[2 * x + 2] = (uint8_t)((3 * from[x + 1] + from[x] + 1) >> 2);
    }
    out[2 * last + 1] = from[last];
}

/* Grey rows in so many bands. */
static void fill_grey(uint8_t *out, const uint8_t *y, int columns, int bands)
{
    if (bands == 1) {
        memcpy(out, y, (size_t)columns);
        return;
    }
    for (int x = 0; x < columns; x++, out += bands) { /* turns: columns */
        memset(out, y[x], 3);
        if (bands == 4)
            out[3] = 255;
    }
}

#endif
