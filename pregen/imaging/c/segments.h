/* Segments of a JPEG, T.81: annex B: the frame, the tables, the scans, one after the other.
 *
 * Anything unusual, damaged or cut short is left to others. What is accepted has to be what
 * libjpeg-turbo accepts without a warning.
 */
#ifndef PREGEN_SEGMENTS_H
#define PREGEN_SEGMENTS_H

#include "indexed.h"

/* As libjpeg's own fuzzers limit it; files have a dozen. */
#define MOST_SCANS 500
#define MOST_LOW 13 /* as libjpeg */
#define MOST_QUANTISER INT16_MAX

static int word(const uint8_t *at) { return at[0] << 8 | at[1]; }

/* The next marker that ends coded data, restarts included; NULL: there is none. */
static const uint8_t *next_marker(const uint8_t *at, const uint8_t *end)
{
    /* turns: at most the data's bytes */
    while ((at = memchr(at, 0xFF, (size_t)(end - at)))) {
        if (end - at < 2)
            return NULL;
        if (at[1] != 0 && at[1] != 0xFF)
            return at;
        at += at[1] == 0xFF ? 1 : 2;
    }
    return NULL;
}

/* Where the coded data of a scan ends: the next marker but restarts, or the end of the data. */
static const uint8_t *end_of_scan(const uint8_t *at, const uint8_t *end)
{
    /* turns: at most the data's bytes, in all */
    while ((at = next_marker(at, end)) && at[1] >= 0xD0 && at[1] <= 0xD7)
        at += 2;
    return at ? at : end;
}

/* ---- tables ---- */

static bool read_quantisers(struct decoder *decoder, const uint8_t *at, const uint8_t *end)
{
    if (decoder->scans) /* a component keeps the table it began with: not worth the trouble */
        return false;
    while (at < end) { /* turns: at most the segment's bytes */
        int wide = *at >> 4, number = *at & 15;
        at++;
        if (wide > 1 || number >= TABLES || end - at < BLOCK << wide)
            return false;
        for (int place = 0; place < BLOCK; place++, at += 1 + wide) { /* turns: BLOCK */
            int value = wide ? word(at) : *at;
            if (value > MOST_QUANTISER)
                return false;
            decoder->quantisers[number][place] = (uint16_t)value;
        }
        decoder->quantiser_present[number] = true;
    }
    return true;
}

/* Build the Huffman tables of a segment, B.2.4.2: TABLES for DC, as many for AC. */
static bool read_huffman(struct huffman *dc_tables, struct huffman *ac_tables, const uint8_t *at,
                         const uint8_t *end)
{
    while (at < end) { /* turns: at most the segment's bytes */
        if (end - at < 1 + CODE_BITS)
            return false;
        int class = *at >> 4, number = *at & 15, count = 0;
        for (int length = 0; length < CODE_BITS; length++) /* turns: CODE_BITS */
            count += at[1 + length];
        if (class > 1 || number >= TABLES || count > 256 || end - at < 1 + CODE_BITS + count)
            return false;
        struct huffman *tables = class ? ac_tables : dc_tables;
        /* Sizes of DC coefficients: what libjpeg allows. */
        if (!build(&tables[number], at + 1, at + 1 + CODE_BITS, count, class ? 255 : 15))
            return false;
        at += 1 + CODE_BITS + count;
    }
    return true;
}

/* ---- the frame ---- */

/* Have room for what is made of a component's blocks. `halved`: it has half the size in both
 * directions. False when there is no memory. */
static bool prepare_component(const struct decoder *decoder, struct component *component,
                              bool halved)
{
    struct scaled *scaled = &component->scaled;
    size_t blocks = (size_t)component->stride * (size_t)component->height;
    component->dc = calloc(blocks, sizeof *component->dc);
    if (!component->dc)
        return false;
    memset(component->low, UNKNOWN, sizeof component->low);
    scaled->size = (halved ? 16 : 8) / decoder->shrink;
    if (scaled->size == 1) {
        scaled->size = 0;
        return true;
    }
    scaled->stride = (size_t)component->stride * (size_t)scaled->size;
    scaled->samples = calloc(scaled->stride * (size_t)scaled->size, (size_t)component->height);
    if (decoder->progressive)
        component->sums = calloc(blocks, sizeof *component->sums);
    return scaled->samples && (component->sums || !decoder->progressive);
}

static enum result read_frame(struct decoder *decoder, const uint8_t *at, const uint8_t *end)
{
    if (decoder->framed || end - at < 6 || at[0] != 8 || word(at + 1) != decoder->height_px ||
        word(at + 3) != decoder->width_px || decoder->height_px > MOST_PX ||
        decoder->width_px > MOST_PX)
        return NOT_MINE;
    decoder->count = at[5];
    if ((decoder->count != 1 && decoder->count != 3) || end - at != 6 + 3 * decoder->count)
        return NOT_MINE;
    for (int n = 0; n < decoder->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = &decoder->components[n];
        const uint8_t *fields = at + 6 + 3 * n;
        component->identifier = fields[0];
        int across = fields[1] >> 4, down = fields[1] & 15;
        if (across < 1 || across > 4 || down < 1 || down > 4) /* B.2.2 */
            return NOT_MINE;
        /* The only component of a picture is never reduced, with any factors: A.2.2. */
        component->across = (uint8_t)(decoder->count == 1 ? 1 : across);
        component->down = (uint8_t)(decoder->count == 1 ? 1 : down);
        component->quantiser = fields[2];
        bool sampled = n ? component->across == 1 && component->down == 1
                         : component->across <= 2 && component->down <= 2;
        if (!sampled || component->quantiser >= TABLES)
            return NOT_MINE;
        for (int before = 0; before < n; before++) /* turns: at most MAX_COMPONENTS */
            if (decoder->components[before].identifier == component->identifier)
                return NOT_MINE;
    }
    int across = decoder->most_across = decoder->components[0].across;
    int down = decoder->most_down = decoder->components[0].down;
    decoder->mcus_across = (decoder->width_px + 8 * across - 1) / (8 * across);
    decoder->mcus_down = (decoder->height_px + 8 * down - 1) / (8 * down);
    for (int n = 0; n < decoder->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = &decoder->components[n];
        int width = (decoder->width_px * component->across + across - 1) / across;
        int height = (decoder->height_px * component->down + down - 1) / down;
        component->columns = (width + 7) / 8;
        component->rows = (height + 7) / 8;
        component->stride = decoder->mcus_across * component->across;
        component->height = decoder->mcus_down * component->down;
        if (!prepare_component(decoder, component, n && across == 2 && down == 2))
            return NO_MEMORY;
    }
    decoder->framed = true;
    return DONE;
}

/* ---- scans ---- */

/* Check and note that a scan is the next one for each of its coefficients: the first after the
 * DC, then bit by bit, G.1.1.1.1. So none comes more than MOST_LOW + 1 times. */
static bool in_sequence(const struct scan *scan)
{
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        int8_t *low = scan->components[n]->low;
        if (scan->first && low[0] == UNKNOWN)
            return false;
        for (int place = scan->first; place <= scan->last; place++) { /* turns: at most BLOCK */
            if (low[place] == UNKNOWN ? scan->high : !low[place] || scan->high != low[place])
                return false;
            if (scan->high && scan->low != scan->high - 1)
                return false;
            low[place] = (int8_t)scan->low;
        }
    }
    return true;
}

static bool read_scan(struct decoder *decoder, struct scan *scan, const uint8_t *at,
                      const uint8_t *end)
{
    *scan = (struct scan){0};
    if (!decoder->framed || end - at < 4)
        return false;
    scan->count = at[0];
    if (scan->count < 1 || scan->count > decoder->count || end - at != 4 + 2 * scan->count)
        return false;
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        const uint8_t *fields = at + 1 + 2 * n;
        for (int m = 0; m < decoder->count; m++) /* turns: at most MAX_COMPONENTS */
            if (decoder->components[m].identifier == fields[0])
                scan->components[n] = &decoder->components[m];
        /* In the order of the frame, none twice: B.2.3. */
        if (!scan->components[n] || (n && scan->components[n] <= scan->components[n - 1]))
            return false;
        scan->components[n]->dc_table = fields[1] >> 4;
        scan->components[n]->ac_table = fields[1] & 15;
    }
    scan->columns = scan->count > 1 ? decoder->mcus_across : scan->components[0]->columns;
    scan->rows = scan->count > 1 ? decoder->mcus_down : scan->components[0]->rows;
    const uint8_t *rest = at + 1 + 2 * scan->count;
    scan->first = rest[0];
    scan->last = rest[1];
    scan->high = rest[2] >> 4;
    scan->low = rest[2] & 15;
    if (!decoder->progressive)
        return scan->first == 0 && scan->last == BLOCK - 1 && !rest[2];
    if (scan->low > MOST_LOW || scan->last >= BLOCK || scan->first > scan->last)
        return false;
    return (scan->first ? scan->count == 1 : scan->last == 0) && in_sequence(scan);
}

/* Check that a scan's tables are there; prepare what is made of them. */
static bool ready(struct decoder *decoder, struct scan *scan)
{
    bool dc = scan->first == 0 && scan->high == 0;
    bool ac = !decoder->progressive || scan->first > 0;
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = scan->components[n];
        if (component->dc_table >= TABLES || component->ac_table >= TABLES ||
            !decoder->quantiser_present[component->quantiser])
            return false;
        struct huffman *dc_table = &decoder->dc_tables[component->dc_table];
        struct huffman *ac_table = &decoder->ac_tables[component->ac_table];
        if ((dc && !dc_table->present) || (ac && !ac_table->present))
            return false;
        if (dc && !dc_table->value_made)
            build_values(dc_table);
        if (ac && !decoder->progressive && !ac_table->steps_made)
            build_steps(ac_table);
        if (ac && !decoder->progressive && component->scaled.size && !ac_table->value_made)
            build_values(ac_table);
        int number = (int)(component - decoder->components);
        if (!decoder->progressive && decoder->dc_known[number])
            return false; /* a picture twice */
        decoder->dc_known[number] |= scan->first == 0;
        if (!decoder->quantisers[component->quantiser][0]) /* no file has it, B.2.4.1: damage */
            return false;
        weigh_component(component, decoder->quantisers[component->quantiser], decoder->shrink);
    }
    return true;
}

static bool take_scan(struct decoder *decoder, struct scan *scan)
{
    struct bits bits = open_entropy(&decoder->entropy, decoder->at);
    begin_interval(scan);
    bool sound = is_for_cursors(decoder, scan) ? take_by_cursors(decoder, scan, &bits)
                                               : take_by_one(decoder, scan, &bits);
    return sound && end_scan(decoder, scan, &bits);
}

static bool all_known(const struct decoder *decoder)
{
    for (int n = 0; n < decoder->count; n++) /* turns: at most MAX_COMPONENTS */
        if (!decoder->dc_known[n])
            return false;
    return true;
}

/* Three components are YCbCr unless the file says otherwise, as libjpeg decides it. */
static bool is_ycc(const struct decoder *decoder)
{
    const struct component *components = decoder->components;
    if (decoder->count == 1 || decoder->jfif)
        return true;
    if (decoder->adobe)
        return decoder->adobe_transform == 1;
    return !(components[0].identifier == 'R' && components[1].identifier == 'G' &&
             components[2].identifier == 'B');
}

static enum result read_all(struct decoder *decoder)
{
    if (decoder->end - decoder->at < 2 || word(decoder->at) != 0xFFD8)
        return NOT_MINE;
    decoder->at += 2;
    for (;;) { /* turns: at most the data's bytes: each goes on in it */
        if (decoder->end - decoder->at < 2 || decoder->at[0] != 0xFF)
            return NOT_MINE;
        int marker = decoder->at[1];
        if (marker == 0xFF) {
            decoder->at++;
            continue;
        }
        if (marker == 0xD9) /* EOI */
            return all_known(decoder) && decoder->framed ? DONE : NOT_MINE;
        if (decoder->end - decoder->at < 4)
            return NOT_MINE;
        const uint8_t *body = decoder->at + 4;
        int length = word(decoder->at + 2) - 2;
        if (length < 0 || decoder->end - body < length)
            return NOT_MINE;
        const uint8_t *end = body + length;
        decoder->at = end;
        struct scan scan;
        enum result result = DONE;
        switch (marker) {
        case 0xC2:
            if (decoder->shrink != 8) /* needs all of its coefficients, until the end */
                return NOT_MINE;
            decoder->progressive = true; /* fall through */
        case 0xC0:
        case 0xC1:
            result = read_frame(decoder, body, end);
            break;
        case 0xC4:
            result = read_huffman(decoder->dc_tables, decoder->ac_tables, body, end) ? DONE : NOT_MINE;
            break;
        case 0xDB:
            result = read_quantisers(decoder, body, end) ? DONE : NOT_MINE;
            break;
        case 0xDD:
            decoder->restart_mcus = length == 2 ? word(body) : 0;
            result = length == 2 ? DONE : NOT_MINE;
            break;
        case 0xE0:
            decoder->jfif |= length >= 14 && !memcmp(body, "JFIF", 5); /* as libjpeg */
            break;
        case 0xEE:
            if (length >= 12 && !memcmp(body, "Adobe", 5)) {
                decoder->adobe = true;
                decoder->adobe_transform = body[11];
            }
            break;
        case 0xDA:
            if (++decoder->scans > MOST_SCANS || !read_scan(decoder, &scan, body, end) ||
                !is_ycc(decoder))
                return NOT_MINE;
            if (decoder->progressive && scan.first &&
                (scan.high || !scan.components[0]->scaled.size)) {
                /* It brings nothing for this scale, or a last bit of little. */
                decoder->at = end_of_scan(decoder->at, decoder->end);
                break;
            }
            decoder->all_at_once = !decoder->progressive && scan.count == decoder->count;
            if (!ready(decoder, &scan) || !take_scan(decoder, &scan))
                return NOT_MINE;
            if (decoder->all_at_once)
                return DONE;
            break;
        default:
            /* APPn and COM are passed over. Not other frames (lossless, arithmetic), DNL, DHP, EXP,
             * markers without a length, and those that mean nothing. */
            if (!(marker >= 0xE0 && marker <= 0xEF) && marker != 0xFE)
                return NOT_MINE;
        }
        if (result != DONE)
            return result;
    }
}

#endif
