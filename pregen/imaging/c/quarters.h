/* Chroma blocks that become 2 x 2 samples at 1/8: of pictures whose chroma has half the size in both
 * directions, which libjpeg decodes at 1/4.
 *
 * There is no inverse DCT. A sample is the mean of a quarter of a block, and what a coefficient adds to
 * each of these means is a pattern: the mean of its cosines there (A.3.3), times its quantiser. All
 * coefficients count, as in libjpeg.
 *
 * Sums are of floats, one lane for each sample, in the order of the coefficients: the same on every
 * processor, if nothing contracts a multiplication and an addition (-ffp-contract=off). A progressive
 * file adds to them scan by scan.
 */
#ifndef PREGEN_QUARTERS_H
#define PREGEN_QUARTERS_H

#include "scaled.h"

#define QUARTERS 4

/* A sum for each quarter of a block. */
typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* Find the patterns of all coefficients, by zigzag place, for a table of quantisers. */
static void find_patterns(four *patterns, const uint16_t *quantisers)
{
    double means[8][8];
    find_means(means, 2);
    for (int place = 0; place < BLOCK; place++) { /* turns: BLOCK */
        const double *across = means[ZIGZAG[place] & 7], *down = means[ZIGZAG[place] >> 3];
        for (int n = 0; n < QUARTERS; n++) /* turns: QUARTERS */
            patterns[place][n] = (float)(across[n % 2] * down[n / 2] * quantisers[place]);
    }
}

/* What the DC makes of each quarter, and half a level for the rounding. */
HOT four begin_quarters(const four *patterns, int32_t dc)
{
    float mean = (float)dc * patterns[0][0] + 128.5f;
    return (four){mean, mean, mean, mean};
}

/* Store a block's samples. False when one is none that a picture has. */
HOT bool put_quarters(four sums, uint8_t *out, size_t stride)
{
    uint8_t samples[2 * QUARTERS];
    int outside = 0;
#if defined __SSE2__ && !defined PLAIN_TWIN
    const __m128i most = _mm_set1_epi16(MOST_SAMPLE), least = _mm_set1_epi16(LEAST_SAMPLE);
    __m128i levels = _mm_cvttps_epi32((__m128)sums);
    levels = _mm_packs_epi32(levels, levels);
    outside = _mm_movemask_epi8(
        _mm_or_si128(_mm_cmpgt_epi16(levels, most), _mm_cmplt_epi16(levels, least)));
    _mm_storel_epi64((__m128i *)samples, _mm_packus_epi16(levels, levels));
#elif defined __ARM_NEON && defined __aarch64__ && !defined PLAIN_TWIN
    const int16x8_t most = vdupq_n_s16(MOST_SAMPLE), least = vdupq_n_s16(LEAST_SAMPLE);
    int16x4_t half = vqmovn_s32(vcvtq_s32_f32((float32x4_t)sums));
    int16x8_t levels = vcombine_s16(half, half);
    outside = vmaxvq_u16(vorrq_u16(vcgtq_s16(levels, most), vcltq_s16(levels, least)));
    vst1_u8(samples, vqmovun_s16(levels));
#else
    for (int n = 0; n < QUARTERS; n++) { /* turns: QUARTERS */
        bool fits = sums[n] > INT16_MIN && sums[n] < INT16_MAX;
        int level = fits ? (int)sums[n] : INT16_MAX;
        outside |= level > MOST_SAMPLE || level < LEAST_SAMPLE;
        samples[n] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
#endif
    memcpy(out, samples, 2);
    memcpy(out + stride, samples + 2, 2);
    return !outside;
}

#endif
