/* A target for libFuzzer: rows, tiles and LZW of other formats, beside plain twins, libpng and the
 * standard's own words.
 *
 * Every input goes through under sanitizers, by the code with SIMD and by its plain twin (this file
 * compiled with PLAIN_TWIN), which have to give the same bytes. Rows with filters are also given to
 * libpng, inside of a sound file; where both take them every mean has to be the mean of libpng's
 * pixels. LZW is unpacked once more by a loop that follows the standard code by code.
 *
 * An input begins with a head of HEAD bytes; the rest are samples, again and again until there are
 * enough, or LZW.
 */
#include "lzw.h"
#include "rows.h"

#define HEAD 12
/* Larger pictures reach nothing new, and take long. */
#define EDGE_PX(byte) (1 + (byte) % 64)

enum kind { OF_ROWS, OF_TILES, OF_FILTERED, OF_LZW, KINDS };

/* What became of an input: bytes that both twins have to give. */
struct outcome {
    bool sound;
    uint8_t *bytes; /* malloc'ed */
    size_t size;
};

#ifdef PLAIN_TWIN
#define MAKE make_plainly
#else
#define MAKE make
#endif

struct outcome MAKE(const uint8_t *data, size_t size);
struct outcome make_plainly(const uint8_t *data, size_t size);

static void set_up(struct rows *rows, const uint8_t *head)
{
    struct boxes *boxes = &rows->boxes;
    boxes->width_px = EDGE_PX(head[1]);
    boxes->height_px = EDGE_PX(head[2]);
    boxes->bands = 1 + head[3] % 4;
    boxes->across = 1 + head[4] % boxes->width_px;
    boxes->down = 1 + head[5] % boxes->height_px;
    boxes->clear = head[6] & 9 && boxes->bands % 2 == 0;
    rows->storing = head[0] % KINDS == OF_FILTERED ? FILTERED : head[6] & 2 ? LESS_LEFT : AS_THEY_ARE;
    if (boxes->bands == 1 && head[6] & 4) {
        boxes->colours = 1 + head[7];
        boxes->clear = head[6] & 1;
        for (int n = 0; n < boxes->colours; n++) { /* turns: colours */
            uint8_t *colour = boxes->palette + n * RESULT_BANDS;
            colour[0] = (uint8_t)(n * 7 + head[8]);
            colour[1] = (uint8_t)(n * 13);
            colour[2] = (uint8_t)~n;
            colour[3] = boxes->clear && n % 3 ? (uint8_t)(n * head[9]) : FULL;
        }
    }
}

/* The rows or tiles of an input, malloc'ed: sound ones, but for what its head breaks. */
static uint8_t *stream_of(const struct rows *rows, const uint8_t *data, size_t size, size_t *count)
{
    const struct boxes *boxes = &rows->boxes;
    size_t high = (size_t)boxes->height_px, wide = (size_t)boxes->width_px;
    if (data[0] % KINDS == OF_TILES) {
        size_t columns = EDGE_PX(data[9]), tall = EDGE_PX(data[10]);
        wide = (wide + columns - 1) / columns * columns;
        high = (high + tall - 1) / tall * tall;
    }
    size_t stored = wide * (size_t)boxes->bands + (rows->storing == FILTERED);
    *count = stored * high;
    uint8_t *bytes = malloc(*count + 1);
    if (!bytes)
        abort();
    for (size_t n = 0; n <= *count; n++) { /* turns: count */
        bytes[n] = data[HEAD + n % (size - HEAD)];
        if (boxes->colours && data[11] != 3)
            bytes[n] = (uint8_t)(bytes[n] % boxes->colours);
        if (boxes->bands % 2 == 0 && !boxes->clear && data[11] != 4 && rows->storing == AS_THEY_ARE)
            bytes[n] |= (n + 1) % (size_t)boxes->bands ? 0 : FULL;
        if (rows->storing == FILTERED && n % stored == 0 && bytes[n] != 255)
            bytes[n] %= FILTERS;
    }
    *count = *count - (data[11] == 1) + (data[11] == 2);
    return bytes;
}

/* Samples as they come, in pieces, or as tiles. */
static bool feed(struct rows *rows, const uint8_t *data, const uint8_t *bytes, size_t count)
{
    const uint8_t *at = bytes, *end = bytes + count;
    if (data[0] % KINDS != OF_TILES) {
        size_t piece = 1 + data[10] * 4u;
        for (; at < end; at += piece) { /* turns: count */
            size_t left = (size_t)(end - at);
            piece = piece < left ? piece : left;
            if (!take_rows(rows, at, piece))
                return false;
        }
        return true;
    }
    int columns = EDGE_PX(data[9]), high = EDGE_PX(data[10]);
    size_t tile = (size_t)columns * (size_t)high * (size_t)rows->boxes.bands;
    for (; (size_t)(end - at) >= tile; at += tile) { /* turns: count */
        bool enough;
        if (!take_tile(rows, at, tile, columns, high, &enough))
            return false;
    }
    return true;
}

/* How many bytes an input of LZW should make: what its head says. */
static size_t wanted_bytes(const uint8_t *head)
{
    return (size_t)EDGE_PX(head[1]) * EDGE_PX(head[2]) * (1 + head[3] % 4u);
}

struct outcome MAKE(const uint8_t *data, size_t size)
{
    struct outcome made = {0};
    if (data[0] % KINDS == OF_LZW) {
        made.size = wanted_bytes(data);
        made.bytes = malloc(made.size);
        if (!made.bytes)
            abort();
        made.sound = unpack_lzw(data + HEAD, size - HEAD, made.bytes, made.size);
        return made;
    }
    struct rows rows = {0};
    set_up(&rows, data);
    if (!begin_rows(&rows))
        abort();
    size_t count;
    uint8_t *bytes = stream_of(&rows, data, size, &count);
    made.sound = feed(&rows, data, bytes, count) && are_rows_done(&rows);
    free(bytes);
    made.size = (size_t)rows.boxes.columns * (size_t)rows.boxes.rows * RESULT_BANDS *
                (are_weighed(&rows.boxes) ? sizeof(float) : 1);
    if (made.sound) {
        made.bytes = rows.boxes.result;
        rows.boxes.result = NULL;
    }
    end_rows(&rows);
    return made;
}

#ifndef PLAIN_TWIN

#include <math.h>

#include <libpng16/png.h> /* not ours, png.h */
#include <zlib.h>

#include "target.h"

/* ---- LZW by the standard ---- */

/* TIFF 6.0, section 13, code by code, with strings kept apart. Writes what comes out, up to `size`
 * bytes; returns how many would, or one more than `size` where that is too many, or a code makes no
 * sense. */
static size_t unpack_slowly(const uint8_t *data, size_t data_size, uint8_t *out, size_t size)
{
    static int before[LZW_CODES];
    static uint8_t last_bytes[LZW_CODES], string[LZW_CODES + 1];
    size_t at_bit = 0, made = 0;
    int next = LZW_FIRST, previous = -1, bits = 9;
    while (at_bit + (size_t)bits <= data_size * 8) { /* turns: codes */
        int code = 0;
        for (int n = 0; n < bits; n++, at_bit++) /* turns: 12 at most */
            code = code << 1 | (data[at_bit / 8] >> (7 - at_bit % 8) & 1);
        if (code == LZW_END)
            return made;
        if (code == LZW_CLEAR) {
            next = LZW_FIRST, previous = -1, bits = 9;
            continue;
        }
        if (code > next || (code == next && previous < 0) || (previous < 0 && code > 255) ||
            next >= LZW_CODES)
            return size + 1;
        int length = 0, one = code == next ? previous : code;
        for (; one > 255; one = before[one]) /* turns: a string's bytes */
            string[length++] = last_bytes[one];
        string[length++] = (uint8_t)one;
        uint8_t first = (uint8_t)one;
        for (int n = length; n--;) { /* turns: a string's bytes */
            if (made >= size)
                return size + 1;
            out[made++] = string[n];
        }
        if (code == next) {
            if (made >= size)
                return size + 1;
            out[made++] = first;
        }
        if (previous >= 0) {
            before[next] = previous;
            last_bytes[next] = first;
            next++;
        }
        previous = code;
        bits = 9 + (next + 1 > 511) + (next + 1 > 1023) + (next + 1 > 2047);
        if (made == size)
            return made;
    }
    return made;
}

static void check_lzw(const uint8_t *data, size_t size, const struct outcome *made)
{
    uint8_t *out = malloc(made->size);
    if (!out)
        abort();
    size_t other = unpack_slowly(data + HEAD, size - HEAD, out, made->size);
    if (made->sound && (other != made->size || memcmp(out, made->bytes, other)))
        found("LZW that the standard unpacks to something else");
    samples += made->sound ? made->size : 0;
    free(out);
}

/* ---- PNG by libpng ---- */

static void put_word(uint8_t *at, size_t value)
{
    for (int n = 0; n < 4; n++)
        at[n] = (uint8_t)(value >> (24 - 8 * n));
}

static uint8_t *put_chunk(uint8_t *at, const char *kind, const uint8_t *body, size_t size)
{
    put_word(at, size);
    memcpy(at + 4, kind, 4);
    if (size)
        memcpy(at + 8, body, size);
    put_word(at + 8 + size, crc32(crc32(0, NULL, 0), at + 4, (uInt)(size + 4)));
    return at + 12 + size;
}

/* Have libpng read these rows as RGBA; false when it refuses them. */
static bool by_libpng(const struct rows *rows, const uint8_t *bytes, size_t count, uint8_t *pixels)
{
    const struct boxes *boxes = &rows->boxes;
    static uint8_t file[1 << 16];
    uint8_t header[13] = {0}, colours[3 * PALETTE_COLOURS], alphas[PALETTE_COLOURS];
    put_word(header, (size_t)boxes->width_px);
    put_word(header + 4, (size_t)boxes->height_px);
    header[8] = 8;
    header[9] = (uint8_t)(boxes->colours ? 3 : (int[]){0, 4, 2, 6}[boxes->bands - 1]);
    memcpy(file, "\x89PNG\r\n\x1a\n", 8);
    uint8_t *at = put_chunk(file + 8, "IHDR", header, sizeof header);
    if (boxes->colours) {
        for (int n = 0; n < boxes->colours; n++) { /* turns: colours */
            memcpy(colours + 3 * n, boxes->palette + 4 * n, 3);
            alphas[n] = boxes->palette[4 * n + 3];
        }
        at = put_chunk(at, "PLTE", colours, 3 * (size_t)boxes->colours);
        at = put_chunk(at, "tRNS", alphas, (size_t)boxes->colours);
    }
    static uint8_t packed[1 << 15];
    uLongf packed_size = sizeof packed;
    if (compress2(packed, &packed_size, bytes, count, 1) != Z_OK)
        abort();
    at = put_chunk(at, "IDAT", packed, packed_size);
    at = put_chunk(at, "IEND", NULL, 0);
    png_image image = {.version = PNG_IMAGE_VERSION};
    bool read = png_image_begin_read_from_memory(&image, file, (size_t)(at - file));
    image.format = PNG_FORMAT_RGBA;
    read = read && png_image_finish_read(&image, NULL, pixels, 0, NULL);
    png_image_free(&image);
    return read && image.warning_or_error == 0;
}

/* Compare means with those of pixels, in long arithmetic. */
static void check_means(const struct boxes *boxes, const uint8_t *pixels, const uint8_t *made)
{
    for (int row = 0; row < boxes->rows; row++)
        for (int column = 0; column < boxes->columns; column++) { /* turns: the result's pixels */
            double sums[RESULT_BANDS] = {0};
            int count = 0;
            for (int y = row * boxes->down; y < (row + 1) * boxes->down && y < boxes->height_px; y++)
                for (int x = column * boxes->across;
                     x < (column + 1) * boxes->across && x < boxes->width_px; x++, count++) {
                    const uint8_t *pixel = pixels + 4 * (y * boxes->width_px + x);
                    for (int band = 0; band < RESULT_BANDS; band++)
                        sums[band] += pixel[band] * (are_weighed(boxes) && band < 3
                                                         ? pixel[3] / 255.0
                                                         : 1.0);
                }
            for (int band = 0; band < RESULT_BANDS; band++) { /* turns: 4 */
                size_t at = ((size_t)row * (size_t)boxes->columns + (size_t)column) * 4 + (size_t)band;
                float weighed;
                memcpy(&weighed, made + at * sizeof weighed * are_weighed(boxes), sizeof weighed);
                double value = are_weighed(boxes) ? (double)weighed : made[at];
                double off = fabs(value - sums[band] / count);
                if (off > (are_weighed(boxes) ? 0.001 : 0.5 + 1e-9))
                    found("a mean that is none of libpng's pixels");
                samples++;
                apart += off > 0.5;
            }
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size <= HEAD)
        return -1;
    inputs++;
    struct outcome made = make(data, size), other = make_plainly(data, size);
    if (made.sound != other.sound || made.size != other.size ||
        (made.sound && memcmp(made.bytes, other.bytes, made.size)))
        found("the plain twin makes something else");
    accepted += made.sound;
    if (data[0] % KINDS == OF_LZW)
        check_lzw(data, size, &made);
    if (data[0] % KINDS == OF_FILTERED) {
        struct rows rows = {0};
        set_up(&rows, data);
        if (!begin_rows(&rows))
            abort();
        static uint8_t pixels[64 * 64 * 4];
        if (made.sound) {
            size_t count;
            uint8_t *bytes = stream_of(&rows, data, size, &count);
            if (!by_libpng(&rows, bytes, count, pixels))
                found("libpng refuses these rows");
            check_means(&rows.boxes, pixels, made.bytes);
            free(bytes);
        }
        end_rows(&rows);
    }
    free(made.bytes);
    free(other.bytes);
    return 0;
}

#endif
