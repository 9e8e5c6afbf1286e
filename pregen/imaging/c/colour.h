/* Rows of samples: levels of DC, and YCbCr to RGB (JFIF 1.02), in 16-bit fixed point, to the last bit
 * as libjpeg does it.
 *
 * SSE2 and NEON take eight at once; PLAIN_TWIN leaves them out, and gives the same bytes.
 */
#ifndef PREGEN_COLOUR_H
#define PREGEN_COLOUR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef PLAIN_TWIN
#if defined __SSE2__
#include <emmintrin.h>
#elif defined __ARM_NEON && defined __aarch64__
#include <arm_neon.h>
#endif
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
#elif defined __ARM_NEON && defined __aarch64__ && !defined PLAIN_TWIN
/* The 16 highest bits of four sums of products, and a half. */
static inline int16x4_t high_half(int32x4_t sum)
{
    return vshrn_n_s32(vaddq_s32(sum, vdupq_n_s32(32768)), 16);
}

/* Pixels of four bands by eights; return how many. */
static int fill_eights(uint8_t *out, const uint8_t *y, const uint8_t *cb, const uint8_t *cr,
                       int columns)
{
    const uint8x8_t middle = vdup_n_u8(128);
    int x = 0;
    for (; x + 8 <= columns; x += 8) { /* turns: columns / 8 */
        int16x8_t luma = vreinterpretq_s16_u16(vmovl_u8(vld1_u8(y + x)));
        int16x8_t b = vreinterpretq_s16_u16(vsubl_u8(vld1_u8(cb + x), middle));
        int16x8_t r = vreinterpretq_s16_u16(vsubl_u8(vld1_u8(cr + x), middle));
        int32x4_t b0 = vmovl_s16(vget_low_s16(b)), b1 = vmovl_s16(vget_high_s16(b));
        int32x4_t r0 = vmovl_s16(vget_low_s16(r)), r1 = vmovl_s16(vget_high_s16(r));
        int16x8_t red = vcombine_s16(high_half(vmulq_n_s32(r0, 91881)),
                                     high_half(vmulq_n_s32(r1, 91881)));
        int16x8_t green =
            vcombine_s16(high_half(vmlaq_n_s32(vmulq_n_s32(b0, -22554), r0, -46802)),
                         high_half(vmlaq_n_s32(vmulq_n_s32(b1, -22554), r1, -46802)));
        int16x8_t blue = vcombine_s16(high_half(vmulq_n_s32(b0, 116130)),
                                      high_half(vmulq_n_s32(b1, 116130)));
        uint8x8x4_t pixels = {{vqmovun_s16(vaddq_s16(luma, red)), vqmovun_s16(vaddq_s16(luma, green)),
                               vqmovun_s16(vaddq_s16(luma, blue)), vdup_n_u8(255)}};
        vst4_u8(out + 4 * x, pixels);
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

/* The levels of blocks from their DC, within their reach. */
static void fill_levels(uint8_t *restrict out, const int16_t *restrict dc, int16_t quantiser,
                        int columns)
{
    int x = 0;
#if !defined PLAIN_TWIN && defined __SSE2__
    const __m128i times = _mm_set1_epi16(quantiser), half = _mm_set1_epi32(4);
    const __m128i middle = _mm_set1_epi16(128);
    for (; x + 8 <= columns; x += 8) { /* turns: columns / 8 */
        __m128i some = _mm_loadu_si128((const __m128i *)(dc + x));
        __m128i low = _mm_mullo_epi16(some, times), high = _mm_mulhi_epi16(some, times);
        __m128i one = _mm_srai_epi32(_mm_add_epi32(_mm_unpacklo_epi16(low, high), half), 3);
        __m128i other = _mm_srai_epi32(_mm_add_epi32(_mm_unpackhi_epi16(low, high), half), 3);
        __m128i levels = _mm_adds_epi16(_mm_packs_epi32(one, other), middle);
        _mm_storel_epi64((__m128i *)(out + x), _mm_packus_epi16(levels, levels));
    }
#elif !defined PLAIN_TWIN && defined __ARM_NEON && defined __aarch64__
    for (; x + 8 <= columns; x += 8) { /* turns: columns / 8 */
        int16x8_t some = vld1q_s16(dc + x);
        int16x8_t levels = vcombine_s16(vqrshrn_n_s32(vmull_n_s16(vget_low_s16(some), quantiser), 3),
                                        vqrshrn_n_s32(vmull_n_s16(vget_high_s16(some), quantiser), 3));
        vst1_u8(out + x, vqmovun_s16(vqaddq_s16(levels, vdupq_n_s16(128))));
    }
#endif
    for (; x < columns; x++) /* turns: columns */
        out[x] = clamped(((dc[x] * quantiser + 4) >> 3) + 128);
}

/* A row twice as wide: two samples from each. */
static void fill_pairs(uint8_t *restrict out, const uint8_t *restrict from, int columns)
{
    for (int x = 0; x < columns; x++) /* turns: columns */
        out[2 * x] = out[2 * x + 1] = from[x];
}

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
