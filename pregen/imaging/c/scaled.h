/* Blocks that become 2 x 2, 4 x 4 or 8 x 8 samples: at 1/4 and 1/2.
 *
 * There is no inverse DCT. A sample is the mean of a part of a block, and what a coefficient adds to
 * each of these means is a weight: the mean of its cosines there (A.3.3). Only the first coefficients
 * in zigzag order count, the rest is passed over as at 1/8. To leave out high frequencies is what a
 * reduction does: the pictures are closer to those of the whole decode than libjpeg's (PLACES_AT
 * tells how many are needed).
 *
 * Cosines are mirrored: in the right half of a block those of odd columns have the other sign, and in
 * the lower half those of odd rows. So only the samples of the first quarter are weighed, for four
 * classes of coefficients (columns even or odd, rows even or odd), whose sums and differences are the
 * samples of all four quarters.
 *
 * The sums are of whole numbers and exact: SSE2, NEON and plain C (PLAIN_TWIN leaves only this) give
 * the same bytes. None overflows: a coefficient is at most MOST_AC, a weight below a quarter of ONE, the
 * mean below MOST_MEAN_SCALED / 8 levels, so a sum is below 24 * 2048 * 16384 + 641 * ONE < 1 << 30.
 */
#ifndef PREGEN_SCALED_H
#define PREGEN_SCALED_H

#include <math.h>

#include "bits.h"

#if defined __SSE2__ && !defined PLAIN_TWIN
#include <immintrin.h>
#define ROWS_BY_AVX2
#ifndef CAN_AVX2 /* a fuzz target tries SSE2, too */
#define CAN_AVX2 __builtin_cpu_supports("avx2")
#endif
#endif

/* Coefficients that count, of 64. */
#define PLACES_AT_4 10
#define PLACES_AT_2 25
#define CLASSES 4
/* A block's coefficients in memory: slots by twos, each two of one class, and the classes in turn. */
#define SLOTS 32
#define ROUND_SLOTS (2 * CLASSES)
#define ROUNDS (SLOTS / ROUND_SLOTS)

/* What 8-bit samples become: 1024 at most, and half a quantiser for the rounding. With more than
 * this, libjpeg-turbo's C code and its SIMD code run over, each in its own way. */
#define MOST_AC 2048 /* coefficient times quantiser */
/* Farther from the middle than this libjpeg's tables do not reach; no sound picture has that. */
#define LEAST_SAMPLE (128 - 511)
#define MOST_SAMPLE (128 + 511)
/* A DC, dequantised, beyond which a block has such a sample: it is 8 times their mean. */
#define MOST_MEAN_SCALED (8 * 512)

#define ONE_BITS 16 /* weights and sums: behind the point */
#define ONE (1 << ONE_BITS)

/* Where the coefficients of a scan lie in a block, A.6: zigzag place -> 8 * row + column. */
static const uint8_t ZIGZAG[BLOCK] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

typedef int32_t lanes __attribute__((vector_size(16), aligned(4), may_alias));
typedef int16_t shorts __attribute__((vector_size(16), aligned(2), may_alias));
typedef uint16_t unsigned_shorts __attribute__((vector_size(16), aligned(2), may_alias));

/* What becomes of one component's blocks. */
struct scaled {
    int size; /* samples on each side of a block: 2, 4 or 8; 0: its DC alone */
    size_t stride;
    uint8_t *samples;
    int32_t dc_quantiser;
    /* By slot; 0 and INT16_MAX for those that do not count. */
    int16_t quantisers[SLOTS], most[SLOTS];
    /* For each eight samples of the first quarter (which has 1, 4 or 16), and twos of slots: a weight
     * of both for each sample. Where it has 1: the weights of a round. */
    int16_t weights[2][ROUNDS * CLASSES][16];
};

/* How many coefficients count at a scale. */
HOT int places_at(int shrink)
{
    return shrink == 4 ? PLACES_AT_4 : PLACES_AT_2;
}

/* Tell the slot of each place: those that do not count share one that is not looked at. */
static void find_slots(uint8_t *slots, int places)
{
    int filled[CLASSES] = {0};
    int rounds = places > ROUND_SLOTS * 2 ? ROUNDS : 2;
    for (int place = 0; place < BLOCK; place++) { /* turns: BLOCK */
        int class = (ZIGZAG[place] & 1) | (ZIGZAG[place] >> 2 & 2);
        int n = place < places ? filled[class]++ : 0;
        slots[place] = (uint8_t)(place < places ? n / 2 * ROUND_SLOTS + 2 * class + n % 2
                                                : rounds * ROUND_SLOTS - 1);
    }
}

/* Find the means of the cosines of each frequency in each of `size` parts of a block. */
static void find_means(double means[8][8], int size)
{
    int part = 8 / size;
    for (int frequency = 0; frequency < 8; frequency++) { /* turns: 8 */
        for (int n = 0; n < size; n++) {                  /* turns: at most 8 */
            double sum = 0;
            for (int x = n * part; x < (n + 1) * part; x++) /* turns: at most 4 */
                sum += cos((2 * x + 1) * frequency * 3.14159265358979323846 / 16);
            means[frequency][n] = sum / part * (frequency ? 0.5 : sqrt(0.125));
        }
    }
}

/* Prepare all but the samples, for a table of quantisers in zigzag order. */
static void find_weights(struct scaled *scaled, const uint16_t *quantisers, int places)
{
    double means[8][8];
    uint8_t slots[BLOCK];
    int half = scaled->size / 2;
    find_means(means, scaled->size);
    find_slots(slots, places);
    scaled->dc_quantiser = quantisers[0];
    memset(scaled->quantisers, 0, sizeof scaled->quantisers);
    memset(scaled->weights, 0, sizeof scaled->weights);
    for (int slot = 0; slot < SLOTS; slot++) /* turns: SLOTS */
        scaled->most[slot] = INT16_MAX;
    for (int place = 1; place < places; place++) { /* turns: at most 24 */
        const double *across = means[ZIGZAG[place] & 7], *down = means[ZIGZAG[place] >> 3];
        int slot = slots[place];
        scaled->quantisers[slot] = (int16_t)quantisers[place];
        scaled->most[slot] = (int16_t)(quantisers[place] ? MOST_AC / quantisers[place] : MOST_AC);
        for (int n = 0; n < half * half; n++) { /* turns: at most 16 */
            int16_t weight = (int16_t)lrint(across[n % half] * down[n / half] * ONE);
            if (half == 1)
                scaled->weights[0][slot / ROUND_SLOTS][slot % ROUND_SLOTS] = weight;
            else
                scaled->weights[n / 8][slot / 2][2 * (n % 8) + slot % 2] = weight;
        }
    }
}

/* ---- four sums at once ---- */

/* Add the products of shorts, by twos. */
HOT lanes add_products(lanes sums, shorts values, shorts weights)
{
#if defined __SSE2__ && !defined PLAIN_TWIN
    return sums + (lanes)_mm_madd_epi16((__m128i)values, (__m128i)weights);
#elif defined __ARM_NEON && defined __aarch64__ && !defined PLAIN_TWIN
    int32x4_t low = vmull_s16(vget_low_s16((int16x8_t)values), vget_low_s16((int16x8_t)weights));
    int32x4_t high = vmull_high_s16((int16x8_t)values, (int16x8_t)weights);
    return sums + (lanes)vpaddq_s32(low, high);
#else
    for (int n = 0; n < 4; n++) /* turns: 4 */
        sums[n] += values[2 * n] * weights[2 * n] + values[2 * n + 1] * weights[2 * n + 1];
    return sums;
#endif
}

/* Two times four sums as shorts, cut off where these end, without what is behind the point. */
HOT shorts levels_of(lanes low, lanes high)
{
    low >>= ONE_BITS;
    high >>= ONE_BITS;
#if defined __SSE2__ && !defined PLAIN_TWIN
    return (shorts)_mm_packs_epi32((__m128i)low, (__m128i)high);
#elif defined __ARM_NEON && defined __aarch64__ && !defined PLAIN_TWIN
    return (shorts)vcombine_s16(vqmovn_s32((int32x4_t)low), vqmovn_s32((int32x4_t)high));
#else
    shorts levels;
    for (int n = 0; n < 4; n++) { /* turns: 4; a sum is below 1 << 30, its level a short */
        levels[n] = (int16_t)low[n];
        levels[n + 4] = (int16_t)high[n];
    }
    return levels;
#endif
}

/* Store levels as bytes, cut off below 0 and above 255. */
HOT void put_levels(uint8_t *out, shorts levels)
{
#if defined __SSE2__ && !defined PLAIN_TWIN
    _mm_storel_epi64((__m128i *)out, _mm_packus_epi16((__m128i)levels, (__m128i)levels));
#elif defined __ARM_NEON && defined __aarch64__ && !defined PLAIN_TWIN
    vst1_u8(out, vqmovun_s16((int16x8_t)levels));
#else
    for (int n = 0; n < 8; n++) /* turns: 8 */
        out[n] = (uint8_t)(levels[n] < 0 ? 0 : levels[n] > 255 ? 255 : levels[n]);
#endif
}

/* True when any of the bits of a mask is set. */
HOT bool is_any(shorts mask)
{
    uint64_t parts[2];
    memcpy(parts, &mask, sizeof parts);
    return (parts[0] | parts[1]) != 0;
}

/* A mask of levels that no picture has. */
HOT shorts beyond(shorts levels)
{
    return (shorts)(levels > MOST_SAMPLE) | (shorts)(levels < LEAST_SAMPLE);
}

/* Lanes of two vectors, those of the second from 4 on. GCC has Clang's name for it since version 12. */
#ifdef __clang__
#define SHUFFLE(one, other, ...) __builtin_shufflevector(one, other, __VA_ARGS__)
#else
#define SHUFFLE(one, other, ...) __builtin_shuffle(one, other, (lanes){__VA_ARGS__})
#endif
#define SAME(from, n) SHUFFLE((lanes)(from), (lanes)(from), n, n, n, n)

/* Weigh a block's coefficients for four samples of its first quarter: a sum for each class. */
HOT void weigh(lanes *sums, const shorts *values, const int16_t (*weights)[16], size_t from,
               const int rounds)
{
    for (int n = 0; n < rounds; n++, weights += CLASSES) { /* turns: at most ROUNDS */
        shorts value = values[n];
        sums[0] = add_products(sums[0], (shorts)SAME(value, 0), *(const shorts *)(weights[0] + from));
        if (n == ROUNDS - 1) /* it has coefficients of one class alone */
            break;
        sums[1] = add_products(sums[1], (shorts)SAME(value, 1), *(const shorts *)(weights[1] + from));
        sums[2] = add_products(sums[2], (shorts)SAME(value, 2), *(const shorts *)(weights[2] + from));
        sums[3] = add_products(sums[3], (shorts)SAME(value, 3), *(const shorts *)(weights[3] + from));
    }
}

/* Four samples in each quarter of a block. */
struct quarters {
    lanes top_left, top_right, bottom_left, bottom_right; /* the right ones mirrored */
};

HOT struct quarters quarters_of(const lanes *sums)
{
    lanes even = sums[0] + sums[2], odd = sums[1] + sums[3];
    lanes even_below = sums[0] - sums[2], odd_below = sums[1] - sums[3];
    return (struct quarters){even + odd, even - odd, even_below + odd_below, even_below - odd_below};
}

/* ---- blocks ---- */

HOT shorts put_2(const struct scaled *scaled, const shorts *values, int32_t mean, uint8_t *out)
{
    lanes sums = {mean, 0, 0, 0};
    sums = add_products(sums, values[0], *(const shorts *)scaled->weights[0][0]);
    sums = add_products(sums, values[1], *(const shorts *)scaled->weights[0][1]);
    /* Columns, and then rows. */
    lanes odd = SHUFFLE(sums, sums, 1, 1, 3, 3), minus = {0, -1, 0, -1};
    sums = SHUFFLE(sums, sums, 0, 0, 2, 2) + ((odd ^ minus) - minus);
    lanes below = SHUFFLE(sums, sums, 2, 3, 2, 3);
    minus = (lanes){0, 0, -1, -1};
    sums = SHUFFLE(sums, sums, 0, 1, 0, 1) + ((below ^ minus) - minus);
    shorts levels = levels_of(sums, sums);
    uint8_t samples[8];
    put_levels(samples, levels);
    memcpy(out, samples, 2);
    memcpy(out + scaled->stride, samples + 2, 2);
    return beyond(levels);
}

HOT shorts put_4(const struct scaled *scaled, const shorts *values, int32_t mean, uint8_t *out,
                 const int rounds)
{
    lanes sums[CLASSES] = {{mean, mean, mean, mean}};
    weigh(sums, values, scaled->weights[0], 0, rounds);
    struct quarters parts = quarters_of(sums);
    shorts top = levels_of(SHUFFLE(parts.top_left, parts.top_right, 0, 1, 5, 4),
                           SHUFFLE(parts.top_left, parts.top_right, 2, 3, 7, 6));
    shorts bottom = levels_of(SHUFFLE(parts.bottom_left, parts.bottom_right, 2, 3, 7, 6),
                              SHUFFLE(parts.bottom_left, parts.bottom_right, 0, 1, 5, 4));
    uint8_t samples[16];
    put_levels(samples, top);
    put_levels(samples + 8, bottom);
    for (int y = 0; y < 4; y++) /* turns: 4 */
        memcpy(out + (size_t)y * scaled->stride, samples + 4 * y, 4);
    return beyond(top) | beyond(bottom);
}

HOT shorts put_8(const struct scaled *scaled, const shorts *values, int32_t mean, uint8_t *out)
{
    shorts outside = {0};
    uint8_t *last = out + 7 * scaled->stride;
    for (int y = 0; y < 4; y++, out += scaled->stride, last -= scaled->stride) { /* turns: 4 */
        lanes sums[CLASSES] = {{mean, mean, mean, mean}};
        weigh(sums, values, scaled->weights[y / 2], (size_t)(y % 2 * 8), ROUNDS);
        struct quarters parts = quarters_of(sums);
        shorts top = levels_of(parts.top_left,
                               SHUFFLE(parts.top_right, parts.top_right, 3, 2, 1, 0));
        shorts bottom = levels_of(parts.bottom_left,
                                  SHUFFLE(parts.bottom_right, parts.bottom_right, 3, 2, 1, 0));
        put_levels(out, top);
        put_levels(last, bottom);
        outside |= beyond(top) | beyond(bottom);
    }
    return outside;
}

#ifdef ROWS_BY_AVX2
#define ADD_PRODUCTS(sums, value, order, weights)                                                  \
    _mm256_add_epi32(sums, _mm256_madd_epi16(_mm256_shuffle_epi32(value, order),                   \
                                             _mm256_loadu_si256(weights)))
/* The left and the right quarter of a row, of their even and odd columns' sums. */
#define LEVELS_OF(even, odd)                                                                       \
    _mm256_packs_epi32(                                                                            \
        _mm256_srai_epi32(_mm256_add_epi32(even, odd), ONE_BITS),                                  \
        _mm256_shuffle_epi32(_mm256_srai_epi32(_mm256_sub_epi32(even, odd), ONE_BITS), 0x1B))

/* As put_8, by two rows at once from the top and from the bottom. */
static __attribute__((target("avx2"))) bool put_8_by_avx2(const struct scaled *scaled,
                                                          const shorts *values, int32_t mean,
                                                          uint8_t *out)
{
    const __m256i most = _mm256_set1_epi16(MOST_SAMPLE), least = _mm256_set1_epi16(LEAST_SAMPLE);
    __m256i outside = _mm256_setzero_si256();
    size_t stride = scaled->stride;
    uint8_t *last = out + 7 * stride;
    for (int half = 0; half < 2; half++, out += 2 * stride, last -= 2 * stride) { /* turns: 2 */
        const __m256i *weights = (const __m256i *)scaled->weights[half];
        __m256i sums[CLASSES] = {_mm256_set1_epi32(mean)};
        for (int n = 0; n < ROUNDS; n++, weights += CLASSES) { /* turns: ROUNDS */
            __m256i value = _mm256_broadcastsi128_si256((__m128i)values[n]);
            sums[0] = ADD_PRODUCTS(sums[0], value, 0x00, weights);
            if (n == ROUNDS - 1)
                break;
            sums[1] = ADD_PRODUCTS(sums[1], value, 0x55, weights + 1);
            sums[2] = ADD_PRODUCTS(sums[2], value, 0xAA, weights + 2);
            sums[3] = ADD_PRODUCTS(sums[3], value, 0xFF, weights + 3);
        }
        __m256i even = _mm256_add_epi32(sums[0], sums[2]), odd = _mm256_add_epi32(sums[1], sums[3]);
        __m256i top = LEVELS_OF(even, odd);
        even = _mm256_sub_epi32(sums[0], sums[2]);
        odd = _mm256_sub_epi32(sums[1], sums[3]);
        __m256i bottom = LEVELS_OF(even, odd);
        outside = _mm256_or_si256(outside, _mm256_or_si256(_mm256_cmpgt_epi16(top, most),
                                                           _mm256_cmpgt_epi16(least, top)));
        outside = _mm256_or_si256(outside, _mm256_or_si256(_mm256_cmpgt_epi16(bottom, most),
                                                           _mm256_cmpgt_epi16(least, bottom)));
        __m256i samples = _mm256_packus_epi16(top, bottom);
        __m128i first = _mm256_castsi256_si128(samples), next = _mm256_extracti128_si256(samples, 1);
        _mm_storel_epi64((__m128i *)out, first);
        _mm_storel_epi64((__m128i *)(out + stride), next);
        _mm_storel_epi64((__m128i *)last, _mm_unpackhi_epi64(first, first));
        _mm_storel_epi64((__m128i *)(last - stride), _mm_unpackhi_epi64(next, next));
    }
    return !_mm256_movemask_epi8(outside);
}
#endif

/* Make the samples of a block: of its DC, and of its coefficients by slot (that of the DC is not looked
 * at). False where one of them, or of the samples, is none that a picture has. */
HOT bool put_block(const struct scaled *scaled, int32_t dc, const int16_t *coefficients,
                   uint8_t *out, const int size, const int rounds)
{
    shorts values[ROUNDS], outside = {0};
    for (int n = 0; n < rounds; n++) { /* turns: at most ROUNDS */
        shorts value = *(const shorts *)(coefficients + n * ROUND_SLOTS);
        shorts most = *(const shorts *)(scaled->most + n * ROUND_SLOTS);
        outside |= (shorts)(value > most) | (shorts)(value < -most);
        values[n] = (shorts)((unsigned_shorts)value *
                             *(const unsigned_shorts *)(scaled->quantisers + n * ROUND_SLOTS));
    }
    int64_t mean = (int64_t)dc * scaled->dc_quantiser;
    if (UNLIKELY(is_any(outside) || mean > MOST_MEAN_SCALED || mean < -MOST_MEAN_SCALED))
        return false;
    int32_t sum = (int32_t)mean * (ONE / 8) + 128 * ONE + ONE / 2;
#ifdef ROWS_BY_AVX2
    if (size == 8 && CAN_AVX2)
        return put_8_by_avx2(scaled, values, sum, out);
#endif
    outside = size == 2   ? put_2(scaled, values, sum, out)
              : size == 4 ? put_4(scaled, values, sum, out, rounds)
                          : put_8(scaled, values, sum, out);
    return !is_any(outside);
}

#endif
