/* What a decode knows of its file: the frame, the tables, the scan that is read. */
#ifndef PREGEN_DECODER_H
#define PREGEN_DECODER_H

#include "blocks.h"

#define MAX_COMPONENTS 3
#define MOST_BLOCKS 6 /* of an MCU: luma has four at most, and chroma one each */
#define TABLES 4
/* As libjpeg's JPEG_MAX_DIMENSION. */
#define MOST_PX 65500

enum result { DONE, NOT_MINE, NO_MEMORY };

struct decoder {
    const uint8_t *data, *end, *at;
    int width_px, height_px, count, mcus_across, mcus_down;
    int shrink; /* 8, 4 or 2 */
    uint8_t slots[BLOCK]; /* of coefficients at 1/4 and 1/2 (scaled.h) */
    int range_bytes; /* of cursors.h; 0: one cursor */
    int most_across, most_down;
    int restart_mcus;
    bool framed, progressive, jfif, adobe;
    int adobe_transform;
    uint16_t quantisers[TABLES][BLOCK];
    bool quantiser_present[TABLES];
    struct component components[MAX_COMPONENTS];
    struct huffman *dc_tables, *ac_tables;
    struct entropy entropy;
    bool dc_known[MAX_COMPONENTS];
    bool all_at_once; /* the first scan has all components: libjpeg reads no other */
    int scans;
};

/* A scan, B.2.3, in MCUs: of one component alone these are its blocks, A.2.2. */
struct scan {
    int count;
    struct component *components[MAX_COMPONENTS];
    int first, last, high, low; /* Ss, Se, Ah, Al */
    int columns, rows;
    uint32_t to_pass; /* EOBRUN, G.1.2.2 */
};

/* How many blocks of a component an MCU has, beside and below each other. */
HOT int blocks_across(const struct scan *scan, const struct component *component)
{
    return scan->count > 1 ? component->across : 1;
}

HOT int blocks_down(const struct scan *scan, const struct component *component)
{
    return scan->count > 1 ? component->down : 1;
}

/* Where the samples of a block begin. */
HOT uint8_t *samples_of(const struct component *component, size_t row, size_t column)
{
    const struct scaled *scaled = &component->scaled;
    return scaled->samples + (row * scaled->stride + column) * (size_t)scaled->size;
}

#endif
