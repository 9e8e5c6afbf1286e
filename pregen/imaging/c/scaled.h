/* Blocks that become 2 x 2, 4 x 4 or 8 x 8 samples: at 1/4 and 1/2, and chroma at half the size.
 *
 * There is no inverse DCT. A sample is the mean of a part of a block, and what a coefficient adds to
 * each of these means is a pattern: the mean of its cosines there (A.3.3), times its quantiser. Only
 * the first coefficients in zigzag order are read so, the rest is passed over as at 1/8. To leave
 * out high frequencies is what a reduction does: the pictures are closer to those of the whole
 * decode than libjpeg's (PLACES_AT tells how many are needed).
 *
 * Sums are of floats, one lane for each sample, in the order of the coefficients: the same on every
 * processor, if nothing contracts a multiplication and an addition (-ffp-contract=off).
 */
#ifndef PREGEN_SCALED_H
#define PREGEN_SCALED_H

#include <math.h>
#include <stdbool.h>
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

/* Coefficients that count, of 64: at 1/4, at 1/2, and of chroma at half the size at 1/8, where
 * libjpeg takes all of them. */
#define PLACES_AT_4 10
#define PLACES_AT_2 25
#define PLACES_AT_8 64
/* Samples of a block, at most: chroma at half the size is decoded whole for 1/2. */
#define MOST_SAMPLES 64

/* Farther from the middle than this libjpeg's tables do not reach; no sound picture has that. */
#define LEAST_SAMPLE (128 - 511)
#define MOST_SAMPLE (128 + 511)

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));

/* What is known of one component's blocks. */
struct scaled {
    int size;   /* samples on each side of a block: 2, 4 or 8; 0: its DC alone */
    int places; /* so many coefficients count */
    size_t stride;
    uint8_t *samples;
    float patterns[PLACES_AT_2 * MOST_SAMPLES]; /* by place, and sample of the block */
};

/* Find the patterns for a table of quantisers. `zigzag` tells the column and row of each place. */
static void find_patterns(struct scaled *scaled, const uint16_t *quantisers, const uint8_t *zigzag)
{
    int size = scaled->size, part = 8 / size;
    double means[8][8]; /* of the cosine of a frequency, in each part of a block */
    for (int frequency = 0; frequency < 8; frequency++) { /* turns: 8 */
        for (int n = 0; n < size; n++) {                  /* turns: at most 8 */
            double sum = 0;
            for (int x = n * part; x < (n + 1) * part; x++) /* turns: at most 4 */
                sum += cos((2 * x + 1) * frequency * 3.14159265358979323846 / 16);
            means[frequency][n] = sum / part * (frequency ? 0.5 : sqrt(0.125));
        }
    }
    for (int place = 0; place < scaled->places; place++) { /* turns: at most 64 */
        const double *across = means[zigzag[place] & 7], *down = means[zigzag[place] >> 3];
        float *pattern = scaled->patterns + place * size * size;
        for (int y = 0; y < size; y++)     /* turns: at most 8 */
            for (int x = 0; x < size; x++) /* turns: at most 8 */
                pattern[y * size + x] = (float)(across[x] * down[y] * quantisers[place]);
    }
}

/* Begin with the DC. */
static inline __attribute__((always_inline)) void begin_sums(four *sums, const struct scaled *scaled,
                                                             int32_t dc, const int size)
{
    float mean = (float)dc * scaled->patterns[0] + 128.5f;
    for (int n = 0; n < size * size / 4; n++) /* turns: at most MOST_SAMPLES / 4 */
        sums[n] = (four){mean, mean, mean, mean};
}

/* Add a coefficient to the samples of a block. */
static inline __attribute__((always_inline)) void add_pattern(four *sums, const float *pattern,
                                                              float value, const int size)
{
    for (int n = 0; n < size * size / 4; n++) /* turns: at most 16 */
        sums[n] += *(const four *)(pattern + 4 * n) * value;
}

/* Store a block's samples. False when one is none that a picture has. */
static inline __attribute__((always_inline)) bool put_samples(const four *sums, uint8_t *out,
                                                              size_t stride, const int size)
{
    uint8_t samples[MOST_SAMPLES];
    int outside = 0;
#if defined __SSE2__ && !defined PLAIN_TWIN
    const __m128i most = _mm_set1_epi16(MOST_SAMPLE), least = _mm_set1_epi16(LEAST_SAMPLE);
    for (int n = 0; n < size * size; n += 8) { /* turns: at most 8 */
        __m128i low = _mm_cvttps_epi32((__m128)sums[n / 4]);
        __m128i high = n + 4 < size * size ? _mm_cvttps_epi32((__m128)sums[n / 4 + 1]) : low;
        __m128i levels = _mm_packs_epi32(low, high);
        outside |= _mm_movemask_epi8(
            _mm_or_si128(_mm_cmpgt_epi16(levels, most), _mm_cmplt_epi16(levels, least)));
        _mm_storel_epi64((__m128i *)(samples + n), _mm_packus_epi16(levels, levels));
    }
#elif defined __ARM_NEON && defined __aarch64__ && !defined PLAIN_TWIN
    const int16x8_t most = vdupq_n_s16(MOST_SAMPLE), least = vdupq_n_s16(LEAST_SAMPLE);
    uint16x8_t beyond = vdupq_n_u16(0);
    for (int n = 0; n < size * size; n += 8) { /* turns: at most 8 */
        int16x4_t low = vqmovn_s32(vcvtq_s32_f32((float32x4_t)sums[n / 4]));
        int16x4_t high = n + 4 < size * size
                             ? vqmovn_s32(vcvtq_s32_f32((float32x4_t)sums[n / 4 + 1]))
                             : low;
        int16x8_t levels = vcombine_s16(low, high);
        beyond = vorrq_u16(beyond, vorrq_u16(vcgtq_s16(levels, most), vcltq_s16(levels, least)));
        vst1_u8(samples + n, vqmovun_s16(levels));
    }
    outside = vmaxvq_u16(beyond);
#else
    for (int n = 0; n < size * size; n++) { /* turns: at most 64 */
        int level = (int)sums[n / 4][n % 4];
        outside |= level > MOST_SAMPLE || level < LEAST_SAMPLE;
        samples[n] = (uint8_t)(level < 0 ? 0 : level > 255 ? 255 : level);
    }
#endif
    for (int y = 0; y < size; y++) /* turns: at most 8 */
        memcpy(out + (size_t)y * stride, samples + y * size, (size_t)size);
    return !outside;
}

#endif
