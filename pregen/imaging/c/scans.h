/* Scans of a JPEG, read by one cursor, block after block: T.81, A.2 and E.2, progressive ones too. */
#ifndef PREGEN_SCANS_H
#define PREGEN_SCANS_H

#include "decoder.h"
#include "seams.h"

enum kind { BASELINE, PROGRESSIVE, AT_4, AT_2 };

HOT bool take_block(struct decoder *decoder, struct scan *scan, struct component *component,
                    int row, int column, struct bits *bits, const enum kind kind)
{
    if (!have_block(&decoder->entropy, bits))
        return false;
    const struct huffman *dc_table = &decoder->dc_tables[component->dc_table];
    const struct huffman *ac_table = &decoder->ac_tables[component->ac_table];
    size_t index = (size_t)row * (size_t)component->stride + (size_t)column;
    int32_t dc;
    refill(bits);
    if (kind != PROGRESSIVE) {
        if (!take_dc(component, dc_table, bits, &dc))
            return false;
        component->dc[index] = (int16_t)dc;
        if (kind == BASELINE && !component->scaled.size)
            return skip_ac(ac_table, bits, 1);
        uint8_t *out = samples_of(component, (size_t)row, (size_t)column);
        if (kind == BASELINE)
            return take_quarters(component, ac_table, bits, dc, out);
        return take_scaled(component, ac_table, bits, dc, decoder->slots, out, kind == AT_4 ? 4 : 2);
    }
    if (scan->first) {
        if (!scan->to_pass)
            return take_band(component, ac_table, bits, index, scan->first, scan->last, scan->low,
                             &scan->to_pass);
        scan->to_pass--;
        return true;
    }
    if (!scan->high) {
        if (!take_dc(component, dc_table, bits, &dc))
            return false;
        component->dc[index] = (int16_t)((uint32_t)dc << scan->low);
        return true;
    }
    /* One more bit of the DC, G.1.2.1. */
    component->dc[index] |= (int16_t)(peek(bits, 1) << scan->low);
    drop(bits, 1);
    return true;
}

HOT bool take_mcu(struct decoder *decoder, struct scan *scan, int row, int column,
                  struct bits *bits, const enum kind kind)
{
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        struct component *component = scan->components[n];
        int across = blocks_across(scan, component), down = blocks_down(scan, component);
        for (int y = 0; y < down; y++)         /* turns: at most 2 */
            for (int x = 0; x < across; x++) { /* turns: at most 2 */
                if (!take_block(decoder, scan, component, row * down + y, column * across + x, bits,
                                kind))
                    return false;
            }
    }
    return true;
}

/* Nothing is known of the blocks before: at the beginning of a scan, and behind a restart, E.1.4. */
static void begin_interval(struct scan *scan)
{
    for (int n = 0; n < scan->count; n++) /* turns: at most MAX_COMPONENTS */
        scan->components[n]->dc_before = 0;
    scan->to_pass = 0;
}

/* Read all MCUs of a scan; leave the bits behind the last one. */
HOT bool take_mcus(struct decoder *decoder, struct scan *scan, struct bits *after,
                   const enum kind kind)
{
    struct bits bits = *after;
    int left = decoder->restart_mcus, restarts = 0;
    for (int row = 0; row < scan->rows; row++) { /* turns: at most MOST_PX / 8 + 1 */
        for (int column = 0; column < scan->columns; column++) { /* turns: at most MOST_PX / 8 + 1 */
            if (decoder->restart_mcus && !left--) {
                struct bits here = bits;
                if (!restart(&decoder->entropy, &here, restarts++))
                    return false;
                bits = here;
                begin_interval(scan);
                left = decoder->restart_mcus - 1;
            }
            if (!take_mcu(decoder, scan, row, column, &bits, kind))
                return false;
        }
    }
    *after = bits;
    return true;
}

/* A copy of the loops for each: the one for baseline is short enough for the compiler. */
static bool take_baseline(struct decoder *decoder, struct scan *scan, struct bits *bits)
{
    return take_mcus(decoder, scan, bits, BASELINE);
}

static bool take_progressive(struct decoder *decoder, struct scan *scan, struct bits *bits)
{
    return take_mcus(decoder, scan, bits, PROGRESSIVE);
}

static bool take_fourths(struct decoder *decoder, struct scan *scan, struct bits *bits)
{
    return take_mcus(decoder, scan, bits, AT_4);
}

static bool take_halves(struct decoder *decoder, struct scan *scan, struct bits *bits)
{
    return take_mcus(decoder, scan, bits, AT_2);
}

/* Read a scan of any kind, at any scale. */
static bool take_by_one(struct decoder *decoder, struct scan *scan, struct bits *bits)
{
    return decoder->progressive   ? take_progressive(decoder, scan, bits)
           : decoder->shrink == 4 ? take_fourths(decoder, scan, bits)
           : decoder->shrink == 2 ? take_halves(decoder, scan, bits)
                                  : take_baseline(decoder, scan, bits);
}

/* True when the DC of a scan looks as if it were shifted from some block on. */
static __attribute__((noinline)) bool has_seam(const struct scan *scan)
{
    for (int n = 0; n < scan->count; n++) { /* turns: at most MAX_COMPONENTS */
        const struct component *component = scan->components[n];
        struct dc_plane plane = {
            .dc = component->dc,
            .step = (size_t)blocks_across(scan, component),
            .row_step = (size_t)blocks_down(scan, component) * (size_t)component->stride,
            .columns = scan->columns,
            .rows = scan->rows,
            .quantiser = component->dc_quantiser,
        };
        int64_t found;
        if (find_seams(&plane, &found, 1))
            return true;
    }
    return false;
}

/* Look at what stands behind the last block of a scan, and go there. False: it is damage. */
static bool end_scan(struct decoder *decoder, struct scan *scan, struct bits *bits)
{
    struct entropy *entropy = &decoder->entropy;
    if (bits_left(entropy, bits) < 0)
        return false;
    if (scan->first == 0 && !scan->high && !decoder->restart_mcus && has_seam(scan))
        return false;
    if (decoder->all_at_once) { /* libjpeg says nothing of what is left */
        const uint8_t *end = end_of_padding(entropy, *bits);
        return end && !is_restart(end, entropy->end);
    }
    if (!at_end(entropy, bits)) /* here libjpeg calls it damage */
        return false;
    decoder->at = entropy->at;
    return true;
}

#endif
