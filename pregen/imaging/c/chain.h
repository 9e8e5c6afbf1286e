/* A JPEG, or the pixels of another decoder, made into the pictures of entries, up to their zlib
 * streams.
 *
 * This is the only place that knows more than one of its parts: the decoder (jpeg.h), the reduction
 * (lanczos.h) and the compressor (png.h). Each picture is made from the next larger one.
 */
#include <time.h>

#include "jpeg.h"
#include "lanczos.h"
#include "png.h"

#define MOST_PICTURES 8 /* there are four flavors */
/* What rounding leaves of one colour, in levels. */
#define SAME_LEVELS 2

/* One picture of several: wanted of `width_px` x `height_px`, made, perhaps compressed. */
struct picture {
    int width_px, height_px;
    uint8_t *pixels; /* RGBA; malloc'ed */
    struct stream stream;
};

static inline void forget_pictures(struct picture *pictures, int count)
{
    for (int n = 0; n < count; n++) { /* turns: at most MOST_PICTURES */
        free(pictures[n].pixels);
        free(pictures[n].stream.bytes);
    }
}

/* Reduce to each picture, the largest first. Their sizes are as stored and become upright, as they
 * do. False when there is no memory. */
static bool reduce_all(struct samples from, int orientation, struct picture *pictures, int count)
{
    for (int n = 0; n < count; n++) { /* turns: at most MOST_PICTURES */
        struct picture *picture = &pictures[n];
        int width_px = picture->width_px, height_px = picture->height_px;
        picture->pixels = malloc((size_t)width_px * (size_t)height_px * BANDS);
        if (!picture->pixels)
            return false;
        if (turn_of(orientation, width_px, height_px).quarter) {
            picture->width_px = height_px;
            picture->height_px = width_px;
        }
        /* What the next one is made from is upright already. */
        bool enough = n ? reduce(&from, picture->width_px, picture->height_px, 1, picture->pixels)
                        : reduce(&from, width_px, height_px, orientation, picture->pixels);
        if (!enough)
            return false;
        from = (struct samples){picture->pixels, picture->width_px, picture->height_px,
                                picture->width_px, picture->height_px};
    }
    return true;
}

/* True when a picture shows no more than one colour. */
static bool is_flat(const struct picture *picture)
{
    size_t size = (size_t)picture->width_px * (size_t)picture->height_px * BANDS;
    for (int band = 0; band < BANDS - 1; band++) { /* turns: BANDS - 1 */
        int least = 255, most = 0;
        for (size_t at = (size_t)band; at < size; at += BANDS) { /* turns: its pixels */
            int level = picture->pixels[at];
            least = level < least ? level : least;
            most = level > most ? level : most;
            if (most - least > SAME_LEVELS)
                return false;
        }
    }
    return true;
}

/* Replace a last row or column that is mostly the encoder's padding by its neighbour: what a camera
 * pads with is its own affair (T.81, A.2.4), often black or grey. */
static void repair_edges(uint8_t *pixels, int columns, int rows, double across, double down)
{
    size_t row_bytes = (size_t)columns * BANDS;
    double column_share = across - (columns - 1), row_share = down - (rows - 1);
    if (rows > 1 && row_share <= 0.5)
        memcpy(pixels + (size_t)(rows - 1) * row_bytes, pixels + (size_t)(rows - 2) * row_bytes,
               row_bytes);
    if (columns > 1 && column_share <= 0.5)
        for (int row = 0; row < rows; row++) { /* turns: rows */
            uint8_t *last = pixels + (size_t)(row + 1) * row_bytes - BANDS;
            memcpy(last, last - BANDS, BANDS);
        }
}

/* When decoding, reducing and compressing ended, in nanoseconds of the monotonic clock. */
struct stages {
    int64_t begun, decoded, reduced, compressed;
};

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Make all pictures of `samples`. NOT_MINE: they are of one colour, which may be damage, so others
 * look. `pictures` have to be forgotten in any case. */
static enum result finish_pictures(struct samples samples, int orientation,
                                   struct picture *pictures, int count, struct stages *stages)
{
    stages->decoded = now_ns();
    enum result result = reduce_all(samples, orientation, pictures, count) ? DONE : NO_MEMORY;
    stages->reduced = now_ns();
    if (result == DONE && is_flat(&pictures[count - 1]))
        result = NOT_MINE;
    for (int n = 0; result == DONE && n < count; n++) { /* turns: at most MOST_PICTURES */
        struct picture *picture = &pictures[n];
        if (!pack(picture->pixels, picture->width_px, picture->height_px, &picture->stream))
            result = NO_MEMORY;
    }
    stages->compressed = now_ns();
    return result;
}

/* Make all pictures of a JPEG of width_px x height_px, as its frame says, decoded at 1 / shrink.
 * NOT_MINE: it is left to others, as what is of one colour. `pictures` have to be forgotten in any
 * case. */
static enum result make_pictures(const uint8_t *data, size_t size, int width_px, int height_px,
                                 int shrink, int orientation, struct picture *pictures, int count,
                                 int range_bytes, struct stages *stages)
{
    stages->begun = now_ns();
    int columns = (width_px + shrink - 1) / shrink, rows = (height_px + shrink - 1) / shrink;
    uint8_t *pixels = malloc((size_t)columns * (size_t)rows * BANDS);
    if (!pixels)
        return NO_MEMORY;
    enum result result = decode_all(data, size, width_px, height_px, shrink, pixels, BANDS,
                                    range_bytes);
    if (result == DONE) {
        double across = (double)width_px / shrink, down = (double)height_px / shrink;
        repair_edges(pixels, columns, rows, across, down);
        struct samples samples = {pixels, columns, rows, across, down};
        result = finish_pictures(samples, orientation, pictures, count, stages);
    }
    free(pixels);
    return result;
}
