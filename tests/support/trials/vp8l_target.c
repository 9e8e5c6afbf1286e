/* A target for libFuzzer: pregen's count of the codes of a lossless WebP beside libwebp.
 *
 * Every input is walked through under sanitizers, by the code and by its plain twin (this file
 * compiled with PLAIN_TWIN), which have to find the same. libwebp has to decode what makes sense to
 * the count, and to refuse what does not: then both read the same codes.
 *
 * An input begins with two bytes that width and height follow from; the rest is what follows a
 * picture's header.
 */
#include "vp8l.h"

#define HEAD 2
/* Larger pictures reach nothing new, and take long. */
#define EDGE_PX(byte) (1 + (byte) % 64)

enum codes count_plainly(const uint8_t *data, size_t size, bool *predicted);

#ifdef PLAIN_TWIN

enum codes count_plainly(const uint8_t *data, size_t size, bool *predicted)
{
    return count_lossless(data + HEAD, size - HEAD, EDGE_PX(data[0]), EDGE_PX(data[1]), predicted);
}

#else

#include <webp/decode.h>

#include "target.h"

#define WEBP_HEAD 25

static void put_word(uint8_t *at, size_t value)
{
    for (int n = 0; n < 4; n++)
        at[n] = (uint8_t)(value >> (8 * n));
}

/* True when libwebp shows a picture. */
static bool by_libwebp(const uint8_t *data, size_t size, int width_px, int height_px)
{
    size_t chunk = 5 + size, whole = WEBP_HEAD + size + chunk % 2;
    uint8_t *file = calloc(1, whole);
    if (!file)
        abort();
    memcpy(file, "RIFF....WEBPVP8L", 16);
    put_word(file + 4, whole - 8);
    put_word(file + 16, chunk);
    file[20] = 0x2F;
    put_word(file + 21, (size_t)(width_px - 1) | (size_t)(height_px - 1) << 14);
    memcpy(file + WEBP_HEAD, data, size);
    uint8_t *pixels = WebPDecodeRGBA(file, whole, &width_px, &height_px);
    WebPFree(pixels);
    free(file);
    return pixels;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= HEAD)
        return -1;
    inputs++;
    bool predicted, other;
    int width_px = EDGE_PX(data[0]), height_px = EDGE_PX(data[1]);
    enum codes codes = count_lossless(data + HEAD, size - HEAD, width_px, height_px, &predicted);
    if (codes != count_plainly(data, size, &other) || predicted != other)
        found("the plain twin counts something else");
    struct lossless_walk walk = {.bits = {.at = data + HEAD, .end = data + size}};
    bool good = walk_lossless(&walk, width_px, height_px);
    free(walk.symbols);
    if (codes == CODES_SOUND && !good)
        found("it is sound, and makes no sense");
    if (codes == CODES_NOT_COUNTED)
        return 0;
    bool ran_out = walk.bits.ran_out || walk.bits.count < 0;
    bool shown = by_libwebp(data + HEAD, size - HEAD, width_px, height_px);
    if (good && !shown)
        found("libwebp refuses what makes sense");
    if (!good && !ran_out && shown)
        found("libwebp shows what makes no sense");
    accepted += good;
    return 0;
}

#endif
