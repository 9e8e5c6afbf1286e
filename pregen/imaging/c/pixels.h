/* The pixels of a decoded JPEG: samples from what is known of its blocks, chroma as wide as luma. */
#ifndef PREGEN_PIXELS_H
#define PREGEN_PIXELS_H

#include "colour.h"
#include "decoder.h"

/* True when no DC is farther from the middle than one can be; more is damage. */
static bool within_reach(const struct decoder *decoder, const struct component *component)
{
    size_t blocks = (size_t)component->stride * (size_t)component->height;
    int32_t quantiser = decoder->quantisers[component->quantiser][0];
    int16_t least = 0, most = 0;
    for (size_t n = 0; n < blocks; n++) { /* turns: all blocks */
        int16_t dc = component->dc[n];
        least = dc < least ? dc : least;
        most = dc > most ? dc : most;
    }
    return most * quantiser <= most_dc(quantiser) && least * quantiser >= -most_dc(quantiser);
}

/* Finish the blocks of a progressive file that become more than a sample. False when one has a
 * sample that is none. */
static bool finish_sums(struct component *component)
{
    for (size_t row = 0; row < (size_t)component->height; row++) /* turns: at most MOST_PX / 8 + 1 */
        for (size_t column = 0; column < (size_t)component->stride; column++) { /* turns: likewise */
            size_t index = row * (size_t)component->stride + column;
            four sum = begin_quarters(component->patterns, component->dc[index]);
            sum += component->sums[index];
            if (!put_quarters(sum, samples_of(component, row, column), component->scaled.stride))
                return false;
        }
    return true;
}

/* The samples of one row of a component at 1/8, one for each column of the picture; they may be put
 * into `line`; `spare` is as long. */
static const uint8_t *sample_row(const struct decoder *decoder, const struct component *component,
                                 int row, int columns, uint8_t *line, uint8_t *spare)
{
    if (component->scaled.size)
        return component->scaled.samples + (size_t)row * component->scaled.stride;
    int high = decoder->most_down / component->down;
    const int16_t *dc = component->dc + (size_t)(row / high) * (size_t)component->stride;
    int16_t quantiser = (int16_t)decoder->quantisers[component->quantiser][0];
    if (decoder->most_across == component->across) {
        fill_levels(line, dc, quantiser, columns);
        return line;
    }
    int half = (columns + 1) / 2;
    fill_levels(spare, dc, quantiser, half);
    fill_pairs(line, spare, half);
    return line;
}

static enum result write_dc_pixels(const struct decoder *decoder, uint8_t *out, int bands)
{
    int columns = (decoder->width_px + 7) / 8, rows = (decoder->height_px + 7) / 8;
    size_t room = (size_t)columns + 1; /* for pairs */
    uint8_t *lines = malloc(room * (MAX_COMPONENTS + 1));
    if (!lines)
        return NO_MEMORY;
    /* turns: at most MOST_PX / 8 + 1 */
    for (int row = 0; row < rows; row++, out += (size_t)columns * (size_t)bands) {
        const uint8_t *samples[MAX_COMPONENTS];
        for (int n = 0; n < decoder->count; n++) /* turns: at most MAX_COMPONENTS */
            samples[n] = sample_row(decoder, &decoder->components[n], row, columns,
                                    lines + (size_t)n * room, lines + MAX_COMPONENTS * room);
        if (decoder->count == 3)
            fill_rgb(out, samples[0], samples[1], samples[2], columns, bands);
        else
            fill_grey(out, samples[0], columns, bands);
    }
    free(lines);
    return DONE;
}

/* One row of chroma at 1/4 or 1/2, as wide as luma: as it is, or with a triangle between its samples,
 * as libjpeg does it, where it has half of the columns or of the rows. `line` has room for a sample
 * more than there are columns. */
static const uint8_t *scaled_chroma_row(const struct decoder *decoder, const struct component *component,
                                 int row, int columns, uint8_t *line)
{
    const struct scaled *scaled = &component->scaled;
    int luma = decoder->components[0].scaled.size;
    bool half_across = decoder->most_across * luma > scaled->size;
    bool half_down = decoder->most_down * luma > scaled->size;
    const uint8_t *near = scaled->samples + (size_t)(half_down ? row / 2 : row) * scaled->stride;
    if (half_down) {
        int rows = (decoder->height_px + decoder->shrink - 1) / decoder->shrink;
        int other = row % 2 ? row / 2 + 1 : row / 2 - 1, last = (rows + 1) / 2 - 1;
        const uint8_t *far = scaled->samples +
                             (size_t)(other < 0 ? 0 : other > last ? last : other) * scaled->stride;
        fill_between(line, near, far, columns, 1 + row % 2);
        return line;
    }
    if (!half_across)
        return near;
    fill_twice(line, near, (columns + 1) / 2);
    return line;
}

static enum result write_scaled_pixels(const struct decoder *decoder, uint8_t *out, int bands)
{
    int columns = (decoder->width_px + decoder->shrink - 1) / decoder->shrink;
    int rows = (decoder->height_px + decoder->shrink - 1) / decoder->shrink;
    uint8_t *lines = malloc(((size_t)columns + 1) * 2);
    if (!lines)
        return NO_MEMORY;
    for (int row = 0; row < rows; row++, out += (size_t)columns * bands) { /* turns: MOST_PX / 2 */
        const struct component *components = decoder->components;
        const uint8_t *luma = components[0].scaled.samples + (size_t)row * components[0].scaled.stride;
        if (decoder->count == 3)
            fill_rgb(out, luma, scaled_chroma_row(decoder, &components[1], row, columns, lines),
                     scaled_chroma_row(decoder, &components[2], row, columns, lines + columns + 1), columns,
                     bands);
        else
            fill_grey(out, luma, columns, bands);
    }
    free(lines);
    return DONE;
}

/* Fill `out` with ceil(height_px / shrink) rows of ceil(width_px / shrink) pixels. */
static enum result write_pixels(struct decoder *decoder, uint8_t *out, int bands)
{
    if (decoder->count == 3 && bands == 1)
        return NOT_MINE;
    for (int n = 0; n < decoder->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = &decoder->components[n];
        if (!within_reach(decoder, component) || (component->sums && !finish_sums(component)))
            return NOT_MINE;
    }
    return decoder->shrink == 8 ? write_dc_pixels(decoder, out, bands)
                                : write_scaled_pixels(decoder, out, bands);
}

#endif
