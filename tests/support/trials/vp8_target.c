/* A target for libFuzzer: where pregen and libwebp see the end of the first partition of a lossy WebP.
 *
 * Every input is walked through under sanitizers. libwebp is given the same partition with others
 * that are zeros, so that it can refuse nothing else: it has to show a picture where bits are left,
 * and to refuse one where the codes want more than there is.
 *
 * An input begins with two bytes that width and height follow from; the rest is the partition.
 */
#include "vp8.h"

#include <stdio.h>
#include <stdlib.h>

#include <webp/decode.h>

#define HEAD 2
/* Larger pictures reach nothing new, and take long. */
#define EDGE_PX(byte) (1 + (byte) % 64)
#define CHUNK_HEAD 20
#define MOST_FIRST_BYTES 0x7FFFF /* 19 bits tell its size */
/* Of other partitions: each of the 16 blocks of 16 x 16 pixels has 25 ends of codes of one byte at most. */
#define OTHERS 8
#define OTHER_BYTES 512
/* libwebp takes its bytes so many bits early. */
#define EARLY_BITS 8

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long inputs, accepted;

static void say_counts(void)
{
    /* As all targets do. */
    fprintf(stderr, "counts: %lu inputs, %lu accepted, 0 samples compared, 0 of them apart\n",
            inputs, accepted);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count, (void)arguments;
    atexit(say_counts);
    return 0;
}

static __attribute__((noreturn)) void found(const char *what)
{
    fprintf(stderr, "FOUND: %s\n", what);
    abort();
}

static void put_number(uint8_t *at, size_t value, int bytes)
{
    for (int n = 0; n < bytes; n++)
        at[n] = (uint8_t)(value >> (8 * n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Nothing is written with such a first byte, and decoders make different things of it. */
    if (size <= HEAD || size - HEAD > MOST_FIRST_BYTES || data[HEAD] == UINT8_MAX)
        return -1;
    inputs++;
    size_t first = size - HEAD;
    size_t others = 3 * (OTHERS - 1) + OTHERS * OTHER_BYTES;
    size_t chunk = FRAME_HEADER_BYTES + first + others, whole = CHUNK_HEAD + chunk + chunk % 2;
    uint8_t *file = calloc(1, whole);
    if (!file)
        abort();
    memcpy(file, "RIFF....WEBPVP8 ", 16);
    put_number(file + 4, whole - 8, 4);
    put_number(file + 16, chunk, 4);
    uint8_t *coded = file + CHUNK_HEAD;
    put_number(coded, first << 5 | 1 << 4, 3); /* a key frame that is shown */
    memcpy(coded + 3, "\x9d\x01\x2a", 3);
    put_number(coded + 6, EDGE_PX(data[0]), 2);
    put_number(coded + 8, EDGE_PX(data[1]), 2);
    memcpy(coded + FRAME_HEADER_BYTES, data + HEAD, first);
    for (int n = 0; n < OTHERS - 1; n++)
        put_number(coded + FRAME_HEADER_BYTES + first + 3 * n, OTHER_BYTES, 3);

    uint8_t *exact = malloc(FRAME_HEADER_BYTES + first);
    if (!exact)
        abort();
    memcpy(exact, coded, FRAME_HEADER_BYTES + first);
    int64_t unread = 0, none;
    if (!count_unread(exact, FRAME_HEADER_BYTES + first, &unread))
        found("it does not take a whole partition");
    if (count_unread(exact, FRAME_HEADER_BYTES + first - 1, &none))
        found("it takes a partition that is cut off");
    free(exact);

    int width_px, height_px;
    uint8_t *pixels = WebPDecodeRGBA(file, whole, &width_px, &height_px);
    WebPFree(pixels);
    free(file);
    if (pixels && unread < 0)
        found("libwebp shows what ends too early");
    if (!pixels && unread >= EARLY_BITS)
        found("libwebp refuses what has bits left");
    accepted += pixels != NULL;
    return 0;
}
