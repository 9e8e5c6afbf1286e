/* A JPEG at 1/8, 1/4 or 1/2, from some of the coefficients of each block.
 *
 * At 1/8 libjpeg-turbo spends nearly all of its time on reading AC coefficients that it then throws
 * away, one symbol at a time. Here they are passed over several at once, in three places at once. At 1/4
 * and 1/2 the first ones are kept, one at a time in each of the three places.
 * The pixels are those of libjpeg-turbo at that scale, or a level beside them.
 *
 * Anything unusual, damaged or cut short makes decode() return False: it is then libjpeg-turbo's
 * work to forgive or refuse. So every rule may be strict, and what is accepted has to be what
 * libjpeg-turbo accepts without a warning, and to look the same. Section numbers are those of
 * ITU T.81. No input makes this read outside `data` or write outside its own arrays, and each loop
 * tells in a comment how many turns it takes. `scripts/soak fuzz` tries to prove all this wrong.
 *
 *     segments.h   the frame, tables and scans, one after the other
 *     indexed.h    a baseline scan, where its blocks are known to begin
 *     cursors.h    where they begin, found in three places at once (steps.h)
 *     scans.h      all scans, block after block
 *     decoder.h    what is known of the file
 *     blocks.h     a block's coefficients, and what becomes of them (quarters.h, scaled.h)
 *     huffman.h    codes, and tables of them
 *     bits.h       the data without its stuffing
 *     pixels.h     samples and colours (colour.h)
 *
 * Headers, so that module.c (for Python) and each fuzz target are one piece for the compiler.
 */
#ifndef PREGEN_JPEG_H
#define PREGEN_JPEG_H

#include "pixels.h"
#include "segments.h"

/* Fill `out` with ceil(height_px / shrink) rows of ceil(width_px / shrink) pixels.
 *
 * `range_bytes`: what each of three cursors reads at a time; 0: there is one. RANGE_BYTES for all
 * but tests, which find the same with less. */
static enum result decode_all(const uint8_t *data, size_t size, int width_px, int height_px,
                              int shrink, uint8_t *out, int bands, int range_bytes)
{
    struct decoder *decoder = calloc(1, sizeof *decoder);
    enum result result = NO_MEMORY;
    if (!decoder)
        return NO_MEMORY;
    decoder->dc_tables = calloc(TABLES, sizeof *decoder->dc_tables);
    decoder->ac_tables = calloc(TABLES, sizeof *decoder->ac_tables);
    decoder->entropy.window = calloc(1, WINDOW_BYTES + PADDING_BYTES);
    if (decoder->dc_tables && decoder->ac_tables && decoder->entropy.window) {
        decoder->at = decoder->data = data;
        decoder->end = data + size;
        decoder->entropy.end = decoder->end;
        decoder->width_px = width_px;
        decoder->height_px = height_px;
        decoder->shrink = shrink;
        find_slots(decoder->slots, places_at(shrink));
        decoder->range_bytes = range_bytes;
        result = read_all(decoder);
        if (result == DONE)
            result = write_pixels(decoder, out, bands);
    }
    for (int n = 0; n < MAX_COMPONENTS; n++) { /* turns: MAX_COMPONENTS */
        free(decoder->components[n].dc);
        free(decoder->components[n].sums);
        free(decoder->components[n].scaled.samples);
    }
    free(decoder->entropy.window);
    free(decoder->dc_tables);
    free(decoder->ac_tables);
    free(decoder);
    return result;
}

#endif
