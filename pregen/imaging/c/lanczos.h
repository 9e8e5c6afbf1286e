/* Four-band pictures made smaller with Lanczos-3, in 16-bit fixed point, and turned upright.
 *
 * Each pixel of the result is the mean of the pixels around its place, weighed by a sinc in the
 * window of a wider one (Lanczos-3), first down and then across. The picture may end within its
 * last column or row (`extent_across`, `extent_down`): 2322 rows at 1/8 are 290.25.
 *
 * Weights are whole numbers that add up to 1 << WEIGHT_BITS. The sums are exact, so AVX2 where the
 * processor has it, SSE2, NEON and plain C give the same bytes; PLAIN_TWIN leaves only the last.
 * Between the two directions a sample has FRACTION_BITS behind the point and may be below 0 or above
 * 255: to round and to cut it there would cost up to 0.4 dB, and no less time.
 */
#ifndef PREGEN_LANCZOS_H
#define PREGEN_LANCZOS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef PLAIN_TWIN
#if defined __SSE2__
#include <immintrin.h>
#define HAS_SSE2
#ifndef CAN_AVX2 /* a fuzz target tries SSE2, too */
#define CAN_AVX2 __builtin_cpu_supports("avx2")
#endif
#elif defined __ARM_NEON && defined __aarch64__
#include <arm_neon.h>
#define HAS_NEON
#endif
#endif

#define BANDS 4
#define OPAQUE 255
#define WEIGHT_BITS 14
#define FRACTION_BITS 6
#define LOBES 3 /* of the sinc, on each side */
/* Of a picture and of what it is made to, in pixels. */
#define MOST_SIDE 65536

/* The weights of one direction. For each pixel of the result: where they begin, and `count` of
 * them, padded with zeros. */
struct weights {
    int results, count;
    int *first;
    int16_t *values;
    int16_t *spread; /* as weigh_line_by_avx2 reads them, or NULL */
};

#define PI 3.14159265358979323846

/* A point that goes round the unit circle: the sine and the cosine of an angle. */
struct angle {
    double sine, cosine;
};

static struct angle angle_of(double radians)
{
    return (struct angle){sin(radians), cos(radians)};
}

/* The sum of two, without a sine: each weight would take two. */
static struct angle sum_of_angles(struct angle one, struct angle two)
{
    return (struct angle){one.sine * two.cosine + one.cosine * two.sine,
                          one.cosine * two.cosine - one.sine * two.sine};
}

/* The weight at a distance, of which `third` is pi / LOBES times. Lanczos-3 is
 * 3 sin(pi x) sin(pi x / 3) / (pi x)^2, and sin(3 a) is sin(a) (3 - 4 sin(a)^2). */
static double lanczos(double distance, struct angle third)
{
    if (fabs(distance) < 1e-8)
        return 1;
    if (fabs(distance) >= LOBES)
        return 0;
    double square = third.sine * third.sine;
    return LOBES * square * (3 - 4 * square) / (PI * PI * distance * distance);
}

/* Weigh `extent` pixels, of which `pixels` are there (the last one perhaps not all of it), for each
 * of `results`. The count is a multiple of `step`. False when there is no memory. */
static bool weigh_pixels(struct weights *weights, int pixels, double extent, int results, int step)
{
    double scale = extent / results, stretch = scale > 1 ? scale : 1;
    int count = (int)ceil(2 * LOBES * stretch);
    count = (count + step - 1) / step * step;
    double *exact = malloc((size_t)count * sizeof *exact);
    *weights = (struct weights){results, count, malloc((size_t)results * sizeof(int)),
                                calloc((size_t)results * (size_t)count, sizeof(int16_t)), NULL};
    if (!exact || !weights->first || !weights->values) {
        free(exact);
        return false;
    }
    const struct angle step_angle = angle_of(PI / LOBES / stretch);
    for (int n = 0; n < results; n++) { /* turns: at most MOST_SIDE */
        double middle = (n + 0.5) * scale, sum = 0;
        int first = (int)(middle - LOBES * stretch + 0.5);
        int end = (int)(middle + LOBES * stretch + 0.5);
        /* The pixel below the middle is within, so there are some, and their sum is above 0. */
        if (first < 0)
            first = 0;
        if (end > pixels)
            end = pixels;
        if (end - first > count)
            end = first + count; /* by rounding; its weight is next to 0 */
        struct angle third = angle_of(PI / LOBES * (first + 0.5 - middle) / stretch);
        for (int at = first; at < end; at++) { /* turns: at most count */
            double weight = lanczos((at + 0.5 - middle) / stretch, third);
            exact[at - first] = weight;
            sum += weight;
            third = sum_of_angles(third, step_angle);
        }
        double share = (1 << WEIGHT_BITS) / sum;
        int16_t *values = weights->values + (size_t)n * (size_t)count;
        int left = 1 << WEIGHT_BITS, largest = 0;
        for (int at = 0; at < end - first; at++) { /* turns: at most count */
            values[at] = (int16_t)lrint(exact[at] * share);
            left -= values[at];
            if (values[at] > values[largest])
                largest = at;
        }
        values[largest] = (int16_t)(values[largest] + left); /* what rounding left over */
        weights->first[n] = first;
    }
    free(exact);
    return true;
}

/* Have each two weights as often as a pixel has bands. False when there is no memory. */
static bool spread_weights(struct weights *weights)
{
    size_t pairs = (size_t)weights->results * (size_t)weights->count / 2;
    int16_t *out = weights->spread = malloc(pairs * 2 * BANDS * sizeof *out);
    for (size_t n = 0; out && n < pairs; n++)      /* turns: the pairs */
        for (int band = 0; band < BANDS; band++, out += 2) /* turns: BANDS */
            memcpy(out, weights->values + 2 * n, 2 * sizeof *out);
    return out != NULL;
}

static void forget_weights(struct weights *weights)
{
    free(weights->first);
    free(weights->values);
    free(weights->spread);
}

/* ---- the two directions ---- */

/* Half of what is cut off: of a sum of samples down, and of these across. */
#define DOWN_BITS (WEIGHT_BITS - FRACTION_BITS)
#define HALF_DOWN (1 << (DOWN_BITS - 1))
#define ACROSS_BITS (WEIGHT_BITS + FRACTION_BITS)
#define HALF_ACROSS (1 << (ACROSS_BITS - 1))

#ifdef HAS_SSE2
/* Two weights, in each lane. */
static inline __m128i two_weights(const int16_t *values)
{
    int32_t both;
    memcpy(&both, values, sizeof both);
    return _mm_set1_epi32(both);
}
#endif

/* One row of `size` samples from `count` rows (even), from sample `at` on. Within 16 bits:
 * 255 << FRACTION_BITS is half of what they hold, and weights of both signs add up to less than 1.6. */
static void weigh_rows_from(int at, const uint8_t *const *rows, const int16_t *values, int count,
                            int size, int16_t *out)
{
#if defined HAS_SSE2
    const __m128i zero = _mm_setzero_si128(), half = _mm_set1_epi32(HALF_DOWN);
    for (; at + 16 <= size; at += 16) { /* turns: size / 16 */
        __m128i a = half, b = half, c = half, d = half;
        for (int n = 0; n < count; n += 2) { /* turns: count / 2 */
            __m128i weight = two_weights(values + n);
            __m128i one = _mm_loadu_si128((const __m128i *)(rows[n] + at));
            __m128i two = _mm_loadu_si128((const __m128i *)(rows[n + 1] + at));
            __m128i low = _mm_unpacklo_epi8(one, two), high = _mm_unpackhi_epi8(one, two);
            a = _mm_add_epi32(a, _mm_madd_epi16(_mm_unpacklo_epi8(low, zero), weight));
            b = _mm_add_epi32(b, _mm_madd_epi16(_mm_unpackhi_epi8(low, zero), weight));
            c = _mm_add_epi32(c, _mm_madd_epi16(_mm_unpacklo_epi8(high, zero), weight));
            d = _mm_add_epi32(d, _mm_madd_epi16(_mm_unpackhi_epi8(high, zero), weight));
        }
        __m128i low = _mm_packs_epi32(_mm_srai_epi32(a, DOWN_BITS), _mm_srai_epi32(b, DOWN_BITS));
        __m128i high = _mm_packs_epi32(_mm_srai_epi32(c, DOWN_BITS), _mm_srai_epi32(d, DOWN_BITS));
        _mm_storeu_si128((__m128i *)(out + at), low);
        _mm_storeu_si128((__m128i *)(out + at + 8), high);
    }
#elif defined HAS_NEON
    for (; at + 16 <= size; at += 16) { /* turns: size / 16 */
        int32x4_t a = vdupq_n_s32(HALF_DOWN), b = a, c = a, d = a;
        for (int n = 0; n < count; n++) { /* turns: count */
            uint8x16_t row = vld1q_u8(rows[n] + at);
            int16x8_t low = vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(row)));
            int16x8_t high = vreinterpretq_s16_u16(vmovl_u8(vget_high_u8(row)));
            a = vmlal_n_s16(a, vget_low_s16(low), values[n]);
            b = vmlal_n_s16(b, vget_high_s16(low), values[n]);
            c = vmlal_n_s16(c, vget_low_s16(high), values[n]);
            d = vmlal_n_s16(d, vget_high_s16(high), values[n]);
        }
        vst1q_s16(out + at, vcombine_s16(vqshrn_n_s32(a, DOWN_BITS), vqshrn_n_s32(b, DOWN_BITS)));
        vst1q_s16(out + at + 8,
                  vcombine_s16(vqshrn_n_s32(c, DOWN_BITS), vqshrn_n_s32(d, DOWN_BITS)));
    }
#endif
    for (; at < size; at++) { /* turns: at most size */
        int32_t sum = HALF_DOWN;
        for (int n = 0; n < count; n++) /* turns: count */
            sum += values[n] * rows[n][at];
        out[at] = (int16_t)(sum >> DOWN_BITS);
    }
}

/* One pixel from `count` neighbours (a multiple of 4). */
static inline void weigh_pixel(const int16_t *pixels, const int16_t *values, int count, uint8_t *out)
{
#if defined HAS_SSE2
    __m128i even = _mm_set1_epi32(HALF_ACROSS), odd = _mm_setzero_si128();
    for (int n = 0; n < count; n += 4) { /* turns: count / 4 */
        __m128i one = _mm_loadu_si128((const __m128i *)(pixels + n * BANDS));
        __m128i two = _mm_loadu_si128((const __m128i *)(pixels + (n + 2) * BANDS));
        /* Samples of a band stand side by side, to be weighed and added at once. */
        one = _mm_unpacklo_epi16(one, _mm_unpackhi_epi64(one, one));
        two = _mm_unpacklo_epi16(two, _mm_unpackhi_epi64(two, two));
        even = _mm_add_epi32(even, _mm_madd_epi16(one, two_weights(values + n)));
        odd = _mm_add_epi32(odd, _mm_madd_epi16(two, two_weights(values + n + 2)));
    }
    __m128i sums = _mm_srai_epi32(_mm_add_epi32(even, odd), ACROSS_BITS);
    sums = _mm_packs_epi32(sums, sums);
    int32_t pixel = _mm_cvtsi128_si32(_mm_packus_epi16(sums, sums));
    memcpy(out, &pixel, BANDS);
#elif defined HAS_NEON
    int32x4_t sums = vdupq_n_s32(HALF_ACROSS);
    for (int n = 0; n < count; n += 2) { /* turns: count / 2 */
        int16x8_t two = vld1q_s16(pixels + n * BANDS);
        sums = vmlal_n_s16(sums, vget_low_s16(two), values[n]);
        sums = vmlal_n_s16(sums, vget_high_s16(two), values[n + 1]);
    }
    int16x4_t narrow = vqmovn_s32(vshrq_n_s32(sums, ACROSS_BITS));
    uint8x8_t bytes = vqmovun_s16(vcombine_s16(narrow, narrow));
    uint32_t pixel = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    memcpy(out, &pixel, BANDS);
#else
    for (int band = 0; band < BANDS; band++) { /* turns: BANDS */
        int32_t sum = HALF_ACROSS;
        for (int n = 0; n < count; n++) /* turns: count */
            sum += values[n] * pixels[n * BANDS + band];
        sum >>= ACROSS_BITS;
        out[band] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
#endif
    out[BANDS - 1] = OPAQUE;
}

/* One row of the result from `line`; its pixels are `step` pixels from each other. */
static void weigh_line(const int16_t *line, const struct weights *across, uint8_t *to,
                       ptrdiff_t step)
{
    for (int x = 0; x < across->results; x++, to += step * BANDS) /* turns: at most MOST_SIDE */
        weigh_pixel(line + (size_t)across->first[x] * BANDS,
                    across->values + (size_t)x * (size_t)across->count, across->count, to);
}

static void weigh_rows(const uint8_t *const *rows, const int16_t *values, int count, int size,
                       int16_t *out)
{
    weigh_rows_from(0, rows, values, count, size, out);
}

#ifdef HAS_SSE2
/* As weigh_rows, twice as many samples at once. */
static __attribute__((target("avx2"))) void weigh_rows_by_avx2(const uint8_t *const *rows,
                                                               const int16_t *values, int count,
                                                               int size, int16_t *out)
{
    const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi32(HALF_DOWN);
    int at = 0;
    for (; at + 32 <= size; at += 32) { /* turns: size / 32 */
        __m256i a = half, b = half, c = half, d = half;
        for (int n = 0; n < count; n += 2) { /* turns: count / 2 */
            int32_t both;
            memcpy(&both, values + n, sizeof both);
            __m256i weight = _mm256_set1_epi32(both);
            __m256i one = _mm256_loadu_si256((const __m256i *)(rows[n] + at));
            __m256i two = _mm256_loadu_si256((const __m256i *)(rows[n + 1] + at));
            __m256i low = _mm256_unpacklo_epi8(one, two), high = _mm256_unpackhi_epi8(one, two);
            a = _mm256_add_epi32(a, _mm256_madd_epi16(_mm256_unpacklo_epi8(low, zero), weight));
            b = _mm256_add_epi32(b, _mm256_madd_epi16(_mm256_unpackhi_epi8(low, zero), weight));
            c = _mm256_add_epi32(c, _mm256_madd_epi16(_mm256_unpacklo_epi8(high, zero), weight));
            d = _mm256_add_epi32(d, _mm256_madd_epi16(_mm256_unpackhi_epi8(high, zero), weight));
        }
        /* Each half has 16 samples, in `low` their first eights. */
        __m256i low = _mm256_packs_epi32(_mm256_srai_epi32(a, DOWN_BITS),
                                         _mm256_srai_epi32(b, DOWN_BITS));
        __m256i high = _mm256_packs_epi32(_mm256_srai_epi32(c, DOWN_BITS),
                                          _mm256_srai_epi32(d, DOWN_BITS));
        _mm256_storeu_si256((__m256i *)(out + at), _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((__m256i *)(out + at + 16), _mm256_permute2x128_si256(low, high, 0x31));
    }
    weigh_rows_from(at, rows, values, count, size, out);
}

/* As weigh_line: two pixels at once, and four neighbours of each. */
static __attribute__((target("avx2"))) void weigh_line_by_avx2(const int16_t *line,
                                                               const struct weights *across,
                                                               uint8_t *to, ptrdiff_t step)
{
    /* Samples of a band side by side in each half, of two neighbours. */
    const __m256i bands = _mm256_setr_epi8(0, 1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15, 0,
                                           1, 8, 9, 2, 3, 10, 11, 4, 5, 12, 13, 6, 7, 14, 15);
    const __m256i half = _mm256_set1_epi32(HALF_ACROSS);
    const size_t count = (size_t)across->count * BANDS, results = (size_t)across->results;
    const int16_t *spread = across->spread;
    const int *first = across->first;
    /* turns: at most MOST_SIDE / 2; where there is one pixel left, it is made twice */
    for (size_t x = 0; x < results; x += 2, spread += 2 * count) {
        size_t more = x + 1 < results;
        const int16_t *here = line + (size_t)first[x] * BANDS;
        const int16_t *there = line + (size_t)first[x + more] * BANDS;
        const int16_t *others = spread + more * count;
        __m256i one = _mm256_setzero_si256(), two = one;
        for (size_t n = 0; n < count; n += 4 * BANDS) { /* turns: the neighbours / 4 */
            __m256i some = _mm256_loadu_si256((const __m256i *)(here + n));
            __m256i other = _mm256_loadu_si256((const __m256i *)(there + n));
            some = _mm256_madd_epi16(_mm256_shuffle_epi8(some, bands),
                                     _mm256_loadu_si256((const __m256i *)(spread + n)));
            other = _mm256_madd_epi16(_mm256_shuffle_epi8(other, bands),
                                      _mm256_loadu_si256((const __m256i *)(others + n)));
            one = _mm256_add_epi32(one, some);
            two = _mm256_add_epi32(two, other);
        }
        /* Each sum is in two halves; then there is a pixel in each. */
        one = _mm256_add_epi32(_mm256_permute2x128_si256(one, two, 0x20),
                               _mm256_permute2x128_si256(one, two, 0x31));
        one = _mm256_srai_epi32(_mm256_add_epi32(one, half), ACROSS_BITS);
        one = _mm256_packs_epi32(one, one);
        one = _mm256_packus_epi16(one, one);
        int32_t pixel = _mm256_cvtsi256_si32(one);
        memcpy(to, &pixel, BANDS);
        to[BANDS - 1] = OPAQUE;
        to += (ptrdiff_t)more * step * BANDS;
        pixel = _mm_cvtsi128_si32(_mm256_extracti128_si256(one, 1));
        memcpy(to, &pixel, BANDS);
        to[BANDS - 1] = OPAQUE;
        to += step * BANDS;
    }
}
#endif

/* How each direction is weighed on this processor. */
struct directions {
    bool spreads; /* `across` needs weights that are spread */
    void (*down)(const uint8_t *const *rows, const int16_t *values, int count, int size,
                 int16_t *out);
    void (*across)(const int16_t *line, const struct weights *across, uint8_t *to, ptrdiff_t step);
};

static struct directions directions_here(void)
{
#ifdef HAS_SSE2
    if (CAN_AVX2)
        return (struct directions){true, weigh_rows_by_avx2, weigh_line_by_avx2};
#endif
    return (struct directions){false, weigh_rows, weigh_line};
}

/* ---- turning ---- */

/* Where the stored pixel 0, 0 goes and how far the next column and row are, in pixels of the upright
 * picture (EXIF 2.3, Orientation). */
struct turn {
    ptrdiff_t origin, across, down;
    bool quarter; /* rows become columns */
};

static struct turn turn_of(int orientation, int width_px, int height_px)
{
    ptrdiff_t width = width_px, height = height_px;
    switch (orientation) {
    case 2:
        return (struct turn){width - 1, -1, width, false};
    case 3:
        return (struct turn){width * height - 1, -1, -width, false};
    case 4:
        return (struct turn){(height - 1) * width, 1, -width, false};
    case 5:
        return (struct turn){0, height, 1, true};
    case 6:
        return (struct turn){height - 1, height, -1, true};
    case 7:
        return (struct turn){width * height - 1, -height, -1, true};
    case 8:
        return (struct turn){(width - 1) * height, -height, 1, true};
    default:
        return (struct turn){0, 1, width, false};
    }
}

/* ---- all of it ---- */

/* A picture of four bands; the fourth means nothing. */
struct samples {
    const uint8_t *pixels;
    int columns, rows;
    double extent_across, extent_down; /* where it ends: above columns - 1 and rows - 1 */
};

/* Fill `out` with the picture at width_px x height_px, turned upright; its fourth band is 255.
 * False when there is no memory. */
static bool reduce(const struct samples *from, int width_px, int height_px, int orientation,
                   uint8_t *out)
{
    struct weights across = {0}, down = {0};
    size_t row_samples = (size_t)from->columns * BANDS;
    struct turn turn = turn_of(orientation, width_px, height_px);
    const struct directions directions = directions_here();
    bool enough = weigh_pixels(&across, from->columns, from->extent_across, width_px, 4) &&
                  weigh_pixels(&down, from->rows, from->extent_down, height_px, 2) &&
                  (!directions.spreads || spread_weights(&across));
    const uint8_t **rows = enough ? malloc((size_t)down.count * sizeof *rows) : NULL;
    /* Zeros behind the row: weights of 0 reach there. */
    size_t behind = (size_t)across.count * BANDS;
    int16_t *line = enough ? calloc(row_samples + behind, sizeof *line) : NULL;
    enough = rows && line;
    for (int y = 0; enough && y < height_px; y++) { /* turns: at most MOST_SIDE */
        for (int n = 0; n < down.count; n++) { /* turns: down.count */
            int row = down.first[y] + n;
            if (row >= from->rows)
                row = from->rows - 1; /* its weight is 0 */
            rows[n] = from->pixels + (size_t)row * row_samples;
        }
        directions.down(rows, down.values + (size_t)y * (size_t)down.count, down.count,
                        (int)row_samples, line);
        directions.across(line, &across, out + (turn.origin + y * turn.down) * BANDS, turn.across);
    }
    free(rows);
    free(line);
    forget_weights(&across);
    forget_weights(&down);
    return enough;
}

#endif
