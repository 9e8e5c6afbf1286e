/* A target for libFuzzer: from samples or a JPEG to the pictures of entries, beside a plain twin.
 *
 * Every input is made into two pictures under sanitizers, by the code with SIMD and by its plain
 * twin (this file compiled with PLAIN_TWIN), which have to give the same bytes: with AVX2 and BMI2,
 * where the processor has them, or with SSE2. zlib has to unpack each stream to the pixels that it was made of.
 *
 * An input begins with a head of HEAD bytes; the rest are samples, or a JPEG. Compiled with PRINTS
 * it is a program that tells what becomes of files, to compare other processors with this one.
 */
#include <stdbool.h>
#include <stdio.h>

/* An input tells whether AVX2 and BMI2 may be used where the processor has them. */
static __attribute__((unused)) bool may_all = true;
#define CAN_AVX2 (may_all && __builtin_cpu_supports("avx2"))
#define CAN_BMI2 (may_all && __builtin_cpu_supports("bmi2"))

#include "chain.h"

#define HEAD 10
#define COUNT 2

/* What became of an input. */
struct outcome {
    enum result result;
    struct picture pictures[COUNT];
};

#ifdef PLAIN_TWIN
#define MAKE make_plainly
#define CURSOR_RANGE_BYTES 0
#else
#define MAKE make
#define CURSOR_RANGE_BYTES 48
#endif

struct outcome MAKE(const uint8_t *data, size_t size, bool jpeg);
struct outcome make_plainly(const uint8_t *data, size_t size, bool jpeg);

/* Larger pictures reach nothing new, and take long. */
#define MOST_AREA_PX (1 << 13)
#define MOST_SAMPLES_PX 40

/* The size in the first frame header, or false. */
static bool frame_size(const uint8_t *data, size_t size, int *width_px, int *height_px)
{
    for (size_t at = 2; at + 9 < size && data[at] == 0xFF;) { /* turns: the data's bytes */
        if (data[at + 1] >= 0xC0 && data[at + 1] <= 0xC2) {
            *height_px = word(data + at + 5);
            *width_px = word(data + at + 7);
            return *width_px && *height_px && *width_px * (long)*height_px <= MOST_AREA_PX;
        }
        at += data[at + 1] == 0xFF ? 1 : 2 + (size_t)word(data + at + 2);
    }
    return false;
}

struct outcome MAKE(const uint8_t *data, size_t size, bool jpeg)
{
    struct outcome made = {.result = NOT_MINE};
    int orientation = data[9] % 9;
    for (int n = 0; n < COUNT; n++) /* turns: COUNT */
        made.pictures[n] = (struct picture){.width_px = 1 + data[5 + 2 * n] % MOST_SAMPLES_PX,
                                            .height_px = 1 + data[6 + 2 * n] % MOST_SAMPLES_PX};
    if (jpeg) {
        int width_px, height_px;
        struct stages stages;
        if (frame_size(data + HEAD, size - HEAD, &width_px, &height_px))
            made.result = make_pictures(data + HEAD, size - HEAD, width_px, height_px,
                                        8 >> data[9] / 9 % 3, orientation, made.pictures, COUNT,
                                        CURSOR_RANGE_BYTES, &stages);
        return made;
    }
    struct samples samples = {.columns = 1 + data[1] % MOST_SAMPLES_PX,
                              .rows = 1 + data[2] % MOST_SAMPLES_PX};
    samples.extent_across = samples.columns - data[3] / 256.0;
    samples.extent_down = samples.rows - data[4] / 256.0;
    size_t count = (size_t)samples.columns * (size_t)samples.rows * BANDS;
    uint8_t *pixels = malloc(count);
    if (!pixels)
        abort();
    for (size_t n = 0; n < count; n++) /* turns: count */
        pixels[n] = size > HEAD ? data[HEAD + n % (size - HEAD)] : (uint8_t)(n * 37);
    repair_edges(pixels, samples.columns, samples.rows, samples.extent_across, samples.extent_down);
    samples.pixels = pixels;
    made.result = reduce_all(samples, orientation, made.pictures, COUNT) ? DONE : NO_MEMORY;
    for (int n = 0; made.result == DONE && n < COUNT; n++) { /* turns: COUNT */
        struct picture *picture = &made.pictures[n];
        if (!pack(picture->pixels, picture->width_px, picture->height_px, &picture->stream))
            made.result = NO_MEMORY;
    }
    free(pixels);
    return made;
}

#if defined PRINTS

static uint32_t digest(const uint8_t *data, size_t size)
{
    uint32_t sum = 2166136261u; /* FNV-1a */
    for (size_t n = 0; n < size; n++) /* turns: size */
        sum = (sum ^ data[n]) * 16777619u;
    return sum;
}

int main(int count, char **names)
{
    static uint8_t data[1 << 20];
    for (int n = 1; n < count; n++) { /* turns: count */
        FILE *file = fopen(names[n], "rb");
        size_t size = file ? fread(data, 1, sizeof data, file) : 0;
        if (file)
            fclose(file);
        if (size < HEAD)
            return 1;
        may_all = data[0] & 2;
        struct outcome made = MAKE(data, size, data[0] & 1);
        printf("%d", made.result);
        for (int m = 0; m < COUNT && made.result == DONE; m++) { /* turns: COUNT */
            const struct picture *picture = &made.pictures[m];
            size_t pixels = (size_t)picture->width_px * (size_t)picture->height_px * BANDS;
            printf(" %dx%d %08x %08x", picture->width_px, picture->height_px,
                   digest(picture->pixels, pixels),
                   digest(picture->stream.bytes, picture->stream.size));
        }
        printf("\n");
        forget_pictures(made.pictures, COUNT);
    }
    return 0;
}

#elif !defined PLAIN_TWIN

#include <zlib.h>

#include "target.h"

/* The rows as the standard says it, PNG 9.2, one byte after the other. */
static void check_stream(const struct picture *picture)
{
    size_t row = (size_t)picture->width_px * 4, size = (row + 1) * (size_t)picture->height_px;
    uint8_t *rows = malloc(size + 1);
    uLongf filled = size + 1;
    const struct stream *stream = &picture->stream;
    if (!rows)
        abort();
    if (!stream->whole) {
        if (stream->size != size)
            found("filtered rows of another size");
        memcpy(rows, stream->bytes, size);
    } else if (uncompress(rows, &filled, stream->bytes, stream->size) != Z_OK || filled != size) {
        found("zlib does not unpack the stream");
    }
    for (int y = 0; y < picture->height_px; y++) { /* turns: height_px */
        const uint8_t *filtered = rows + (size_t)y * (row + 1);
        if (*filtered++ != 1)
            found("another filter than Sub");
        for (size_t x = 0; x < row; x++) { /* turns: row */
            const uint8_t *pixels = picture->pixels + (size_t)y * row;
            uint8_t left = x < 4 ? 0 : pixels[x - 4];
            if ((uint8_t)(filtered[x] + left) != pixels[x])
                found("the stream holds another picture");
        }
    }
    free(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < HEAD)
        return -1;
    inputs++;
    bool jpeg = data[0] & 1;
    may_all = data[0] & 2;
    struct outcome ours = make(data, size, jpeg), plain = make_plainly(data, size, jpeg);
    if (ours.result != plain.result)
        found("the plain twin accepts something else");
    for (int n = 0; n < COUNT && ours.result == DONE; n++) { /* turns: COUNT */
        const struct picture *one = &ours.pictures[n], *other = &plain.pictures[n];
        size_t count = (size_t)one->width_px * (size_t)one->height_px * BANDS;
        if (one->width_px != other->width_px || one->height_px != other->height_px ||
            memcmp(one->pixels, other->pixels, count))
            found("the plain twin makes another picture");
        if (one->stream.whole != other->stream.whole || one->stream.size != other->stream.size ||
            memcmp(one->stream.bytes, other->stream.bytes, one->stream.size))
            found("the plain twin compresses otherwise");
        check_stream(one);
        for (size_t at = 3; at < count; at += BANDS) /* turns: its pixels */
            if (one->pixels[at] != 255)
                found("a pixel that is not opaque");
        samples += count;
        accepted += n == 0;
    }
    forget_pictures(ours.pictures, COUNT);
    forget_pictures(plain.pictures, COUNT);
    return 0;
}

#endif
