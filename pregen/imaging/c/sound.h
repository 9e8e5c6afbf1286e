/* How much of a JPEG is sound: its codes are counted, no pixel is made.
 *
 * libjpeg decodes damaged codes without a word: Huffman codes find their way again after a few
 * blocks, in another place or with another brightness. But a sound scan ends exactly where its last
 * block does, between two restart markers as well, and a block has 64 coefficients, each of a size
 * that pictures have. Damaged codes nearly always make more blocks or fewer.
 *
 * The codes are passed over by the tables of jpeg.h, which this follows in all it says: section
 * numbers are those of ITU T.81, and no input makes it read outside `data`. Unlike there, all samplings
 * and up to four components are read, scans in any order, and what follows damage.
 */
#include "jpeg.h"

#define MOST_PARTS 4
/* To build a table takes as long as to read so much without it. */
#define LITTLE_BYTES (64 * 1024)
/* What a scan of coefficients behind this one, or of their last bits, adds is hardly seen in a thumbnail. */
#define MOST_COARSE 5
/* Of all scans of a file together, blocks are read at most this often. */
#define MOST_READINGS 16

struct part_of_frame {
    uint8_t identifier, across, down, quantiser, dc_table, ac_table;
    int8_t low[BLOCK]; /* progressive: the lowest bit that is known, or UNKNOWN */
    int columns, rows; /* in blocks, those of a scan of its own, A.2.2 */
    int32_t dc_before;
};

/* What is found in a scan. */
struct account {
    int64_t mcus, sound_mcus;
    bool damaged;
    bool cut; /* the file ends in it */
};

/* From `x_px` on in the row of blocks that begins at `y_px`, all may be shifted. */
struct seam {
    int component, x_px, y_px, height_px;
};

#define MOST_SEAMS 8

/* Of a file. */
struct soundness {
    double share; /* negative: there was no memory */
    bool cut;
    int seam_count;
    struct seam seams[MOST_SEAMS];
};

struct walk {
    const uint8_t *data, *end, *at;
    int count, mcus_across, mcus_down, restart_mcus;
    bool framed, progressive, scanned;
    bool strayed; /* something else than a segment stands before the first scan */
    bool coded;   /* Huffman tables are told */
    int64_t readings_left; /* blocks */
    uint16_t dc_quantisers[TABLES];
    struct part_of_frame parts[MOST_PARTS];
    struct huffman *dc_tables, *ac_tables;
    struct entropy entropy;
};

struct walked_scan {
    int count;
    struct part_of_frame *parts[MOST_PARTS];
    int first, last, high, low;
    uint32_t blocks_to_pass;
    int columns, rows; /* MCUs, or blocks of a single component */
    int16_t *first_dc[MOST_PARTS]; /* of each MCU; NULL where it is not read */
};

/* One code of a DC and its bits. False: there is none, or no picture has it. */
static bool walk_dc(const struct walk *walk, struct part_of_frame *part, struct bits *bits, int low)
{
    refill(bits);
    int size = take_symbol(&walk->dc_tables[part->dc_table], bits);
    if (size < 0 || size > 11)
        return false;
    part->dc_before += take_value(bits, size);
    int32_t quantiser = walk->dc_quantisers[part->quantiser];
    int64_t value = ((int64_t)part->dc_before * (1 << low)) * quantiser;
    return value <= most_dc(quantiser) && value >= -most_dc(quantiser);
}

/* The codes of a progressive block of AC, G.1.2.2. */
static bool walk_band(const struct walk *walk, struct walked_scan *scan, struct bits *bits)
{
    if (scan->blocks_to_pass) {
        scan->blocks_to_pass--;
        return true;
    }
    const struct huffman *table = &walk->ac_tables[scan->parts[0]->ac_table];
    for (int place = scan->first; place <= scan->last; place++) { /* turns: at most BLOCK */
        refill(bits);
        int symbol = take_symbol(table, bits);
        if (symbol < 0)
            return false;
        int run = symbol >> 4, size = symbol & 15;
        if (!size && run != 15) {
            scan->blocks_to_pass = (1u << run) - 1;
            if (run) {
                scan->blocks_to_pass += peek(bits, run);
                drop(bits, run);
            }
            return true;
        }
        place += run;
        if (place > scan->last)
            return !size && place == scan->last;
        drop(bits, size);
    }
    return true;
}

static bool walk_block(struct walk *walk, struct walked_scan *scan, struct part_of_frame *part,
                       struct bits *bits)
{
    if (!have_block(&walk->entropy, bits))
        return false;
    if (!walk->progressive)
        return walk_dc(walk, part, bits, 0) && skip_ac(&walk->ac_tables[part->ac_table], bits, 1);
    if (scan->first)
        return walk_band(walk, scan, bits);
    if (!scan->high)
        return walk_dc(walk, part, bits, scan->low);
    refill(bits);
    drop(bits, 1);
    return true;
}

/* True when what is left behind the last block makes whole MCUs up to the end of the data: damaged codes
 * have made too few of them. Anything else was put there on purpose, and costs nothing. */
static bool makes_more(struct walk *walk, const struct walked_scan *scan, struct bits *bits)
{
    struct walked_scan further = *scan;
    struct part_of_frame parts[MOST_PARTS];
    for (int n = 0; n < scan->count; n++) { /* turns: at most MOST_PARTS */
        parts[n] = *scan->parts[n];
        parts[n].dc_before = 0;
        further.parts[n] = &parts[n];
    }
    bool ended = false;
    while (!ended) { /* turns: at most the data's bits, and blocks to pass: each MCU takes one, or ends it */
        for (int n = 0; n < further.count; n++) { /* turns: at most MOST_PARTS */
            int blocks = further.count == 1 ? 1 : parts[n].across * parts[n].down;
            for (int block = 0; block < blocks; block++) /* turns: at most 16 */
                if (!walk_block(walk, &further, &parts[n], bits) ||
                    bits_left(&walk->entropy, bits) < 0)
                    return false;
        }
        ended = !further.blocks_to_pass && end_of_padding(&walk->entropy, *bits);
    }
    return true;
}

/* True when every block of the MCUs from `read` up to `stop` is read, and the data ends with them. */
static bool walk_interval(struct walk *walk, struct walked_scan *scan, struct bits *bits,
                          int64_t *read, int64_t stop)
{
    for (int n = 0; n < scan->count; n++) /* turns: at most MOST_PARTS */
        scan->parts[n]->dc_before = 0;
    scan->blocks_to_pass = 0;
    for (int64_t number = *read; number < stop; number++) { /* turns: all MCUs, in all intervals together */
        for (int n = 0; n < scan->count; n++) { /* turns: at most MOST_PARTS */
            struct part_of_frame *part = scan->parts[n];
            int blocks = scan->count == 1 ? 1 : part->across * part->down;
            for (int block = 0; block < blocks; block++) { /* turns: at most 16 */
                if (!walk_block(walk, scan, part, bits))
                    return false;
                if (!block && scan->first_dc[n])
                    scan->first_dc[n][number] = (int16_t)((uint32_t)part->dc_before << scan->low);
            }
        }
        if (bits_left(&walk->entropy, bits) < 0)
            return false;
        *read = number + 1;
    }
    if (scan->blocks_to_pass)
        return false;
    return end_of_padding(&walk->entropy, *bits) ||
           (!walk->restart_mcus && !makes_more(walk, scan, bits));
}

/* Walk through a scan as libjpeg does, which finds its way by the numbers of restart markers. */
static void walk_scan(struct walk *walk, struct walked_scan *scan, struct account *account)
{
    account->mcus = (int64_t)scan->columns * scan->rows;
    int64_t step = walk->restart_mcus ? walk->restart_mcus : account->mcus;
    int64_t begin = 0;
    /* What was found before the first damage: that much is in its place in any case. */
    int64_t certain_mcus = -1;
    int due = 0; /* the number of the next restart marker, not modulo 8 */
    const uint8_t *at = walk->at;
    while (begin < account->mcus) { /* turns: at most MCUs: each goes on by one, or ends it */
        struct bits bits = open_entropy(&walk->entropy, at);
        int64_t stop = begin + step < account->mcus ? begin + step : account->mcus;
        int64_t read = begin;
        bool sound = walk_interval(walk, scan, &bits, &read, stop);
        at = next_marker(walk->entropy.at, walk->end);
        if (!at && !sound && bits_left(&walk->entropy, &bits) < 0) {
            account->cut = true;
            account->sound_mcus += read - begin;
            break;
        }
        if (sound)
            account->sound_mcus += stop - begin;
        else if (certain_mcus < 0)
            certain_mcus = account->sound_mcus;
        begin = stop;
        int gap = -1;
        /* turns: at most the data's bytes, in all */
        while (at && at[1] >= 0xD0 && at[1] <= 0xD7) {
            gap = (at[1] - 0xD0 - due) & 7;
            if (walk->restart_mcus && begin < account->mcus && gap < 3)
                break;
            /* Not the one that is due. */
            if (certain_mcus < 0)
                certain_mcus = account->sound_mcus;
            if (gap < 6) {
                at = NULL;
                break;
            }
            gap = -1;
            at = next_marker(at + 2, walk->end);
        }
        if (!at || gap < 0)
            break;
        at += 2;
        due += 1 + gap;
        begin += gap * step;
        if (gap && certain_mcus < 0)
            certain_mcus = account->sound_mcus;
    }
    walk->at = at ? at : walk->end;
    account->cut |= begin < account->mcus && !at;
    if (begin != account->mcus && !account->cut && certain_mcus < 0)
        certain_mcus = account->sound_mcus;
    account->damaged = certain_mcus >= 0;
    /* Where the number of intervals is not right, it is not known which are missing. */
    if (account->damaged && begin != account->mcus)
        account->sound_mcus = certain_mcus;
}

/* ---- segments ---- */

static bool walk_frame(struct walk *walk, const uint8_t *at, const uint8_t *end)
{
    if (walk->framed || end - at < 6 || at[0] != 8)
        return false;
    int height_px = word(at + 1), width_px = word(at + 3), most_across = 1, most_down = 1;
    walk->count = at[5];
    if (walk->count < 1 || walk->count > MOST_PARTS || end - at != 6 + 3 * walk->count ||
        !height_px || !width_px || height_px > MOST_PX || width_px > MOST_PX)
        return false;
    for (int n = 0; n < walk->count; n++) { /* turns: at most MOST_PARTS */
        const uint8_t *fields = at + 6 + 3 * n;
        int across = fields[1] >> 4, down = fields[1] & 15;
        if (across < 1 || across > 4 || down < 1 || down > 4 || fields[2] >= TABLES)
            return false;
        walk->parts[n] = (struct part_of_frame){
            .identifier = fields[0],
            .across = (uint8_t)across,
            .down = (uint8_t)down,
            .quantiser = fields[2],
        };
        memset(walk->parts[n].low, UNKNOWN, sizeof walk->parts[n].low);
        most_across = across > most_across ? across : most_across;
        most_down = down > most_down ? down : most_down;
    }
    walk->mcus_across = (width_px + 8 * most_across - 1) / (8 * most_across);
    walk->mcus_down = (height_px + 8 * most_down - 1) / (8 * most_down);
    for (int n = 0; n < walk->count; n++) { /* turns: at most MOST_PARTS */
        struct part_of_frame *part = &walk->parts[n];
        part->columns = ((width_px * part->across + most_across - 1) / most_across + 7) / 8;
        part->rows = ((height_px * part->down + most_down - 1) / most_down + 7) / 8;
        walk->readings_left += (int64_t)MOST_READINGS * part->columns * part->rows;
    }
    walk->framed = true;
    return true;
}

static bool walk_quantisers(struct walk *walk, const uint8_t *at, const uint8_t *end)
{
    while (at < end) { /* turns: at most the segment's bytes */
        int wide = *at >> 4, number = *at & 15;
        at++;
        if (wide > 1 || number >= TABLES || end - at < BLOCK << wide)
            return false;
        walk->dc_quantisers[number] = (uint16_t)(wide ? word(at) : *at);
        at += BLOCK << wide;
    }
    return true;
}

/* Read the header of a scan, B.2.3. */
static bool walk_header(struct walk *walk, struct walked_scan *scan, const uint8_t *at,
                        const uint8_t *end)
{
    *scan = (struct walked_scan){0};
    if (!walk->framed || end - at < 4)
        return false;
    scan->count = at[0];
    if (scan->count < 1 || scan->count > walk->count || end - at != 4 + 2 * scan->count)
        return false;
    const uint8_t *rest = at + 1 + 2 * scan->count;
    scan->first = rest[0];
    scan->last = rest[1];
    scan->high = rest[2] >> 4;
    scan->low = rest[2] & 15;
    if (!walk->progressive && (scan->first || scan->last != BLOCK - 1 || rest[2]))
        return false;
    if (walk->progressive &&
        (scan->low > MOST_LOW || scan->last >= BLOCK || scan->first > scan->last ||
         (scan->first ? scan->count > 1 : scan->last > 0)))
        return false;
    for (int n = 0; n < scan->count; n++) { /* turns: at most MOST_PARTS */
        const uint8_t *fields = at + 1 + 2 * n;
        for (int m = 0; m < walk->count; m++) /* turns: at most MOST_PARTS */
            if (walk->parts[m].identifier == fields[0] && !scan->parts[n])
                scan->parts[n] = &walk->parts[m];
        struct part_of_frame *part = scan->parts[n];
        if (!part || (n && part <= scan->parts[n - 1]))
            return false;
        part->dc_table = fields[1] >> 4;
        part->ac_table = fields[1] & 15;
    }
    scan->columns = scan->count == 1 ? scan->parts[0]->columns : walk->mcus_across;
    scan->rows = scan->count == 1 ? scan->parts[0]->rows : walk->mcus_down;
    return true;
}

/* Note which bits of coefficients a progressive scan brings. False: not those that come next, the first
 * after the DC, then bit by bit, G.1.1.1.1. It or a scan before says so wrongly, and what that brings is
 * too bright or too dark many times; libjpeg shows it with a warning. A scan that comes again costs nothing. */
static bool comes_next(struct walked_scan *scan)
{
    for (int n = 0; n < scan->count; n++) { /* turns: at most MOST_PARTS */
        int8_t *low = scan->parts[n]->low;
        if (scan->first && low[0] == UNKNOWN)
            return false;
        for (int place = scan->first; place <= scan->last; place++) { /* turns: at most BLOCK */
            bool next = scan->high ? low[place] == scan->high && scan->low == scan->high - 1
                                   : low[place] == UNKNOWN || low[place] == scan->low;
            if (!next)
                return false;
            low[place] = (int8_t)scan->low;
        }
    }
    return true;
}

/* Have the tables of a scan ready. False where one is missing: libjpeg takes a usual one, and does not
 * say so. Nor does it of a quantiser of zero, which no file has (B.2.4.1). */
static bool walk_tables(struct walk *walk, struct walked_scan *scan)
{
    bool dc = scan->first == 0 && scan->high == 0;
    bool ac = !walk->progressive || (scan->first > 0 && scan->high == 0);
    for (int n = 0; n < scan->count; n++) { /* turns: at most MOST_PARTS */
        const struct part_of_frame *part = scan->parts[n];
        if ((dc && (part->dc_table >= TABLES || !walk->dc_tables[part->dc_table].present ||
                    !walk->dc_quantisers[part->quantiser])) ||
            (ac && (part->ac_table >= TABLES || !walk->ac_tables[part->ac_table].present)))
            return false;
        if (ac && !walk->progressive && !walk->ac_tables[part->ac_table].steps_made)
            (walk->end - walk->data < LITTLE_BYTES ? build_no_steps : build_steps)(
                &walk->ac_tables[part->ac_table]);
    }
    return true;
}

static void note_seams(const struct walk *walk, const struct walked_scan *scan, int rows,
                       struct soundness *found)
{
    int across = 8, down = 8;
    for (int n = 0; n < walk->count; n++) { /* turns: at most MOST_PARTS */
        int wide = 8 * walk->parts[n].across, high = 8 * walk->parts[n].down;
        across = wide > across ? wide : across;
        down = high > down ? high : down;
    }
    for (int n = 0; n < scan->count; n++) { /* turns: at most MOST_PARTS */
        const struct part_of_frame *part = scan->parts[n];
        struct dc_plane plane = {
            scan->first_dc[n], 1, (size_t)scan->columns, scan->columns, rows,
            walk->dc_quantisers[part->quantiser],
        };
        int64_t blocks[MOST_SEAMS];
        int left = MOST_SEAMS - found->seam_count;
        int count = left ? find_seams(&plane, blocks, left) : 0;
        for (int m = 0; m < count; m++) { /* turns: at most MOST_SEAMS */
            int wide = scan->count == 1 ? across / part->across : across;
            int high = scan->count == 1 ? down / part->down : down;
            found->seams[found->seam_count++] = (struct seam){
                .component = (int)(part - walk->parts),
                .x_px = (int)(blocks[m] % scan->columns) * wide,
                .y_px = (int)(blocks[m] / scan->columns) * high,
                .height_px = high,
            };
        }
    }
}

/* Lower the share of a file to that of a scan. */
static void take_account(struct walk *walk, struct walked_scan *scan, struct soundness *found)
{
    int64_t mcus = (int64_t)scan->columns * scan->rows;
    bool dc = scan->first == 0;
    struct account account = {0};
    double share = 1;
    for (int n = 0; dc && n < scan->count; n++) { /* turns: at most MOST_PARTS */
        scan->first_dc[n] = calloc((size_t)mcus, sizeof *scan->first_dc[n]);
        if (!scan->first_dc[n])
            share = -1;
    }
    if (share > 0) {
        walk_scan(walk, scan, &account);
        /* A progressive file that ends after the DC is a picture still. */
        if (account.damaged || (account.cut && dc))
            share = (double)account.sound_mcus / (double)mcus;
        found->cut |= account.cut;
        if (dc && !account.damaged && !walk->restart_mcus)
            note_seams(walk, scan, (int)(account.sound_mcus / scan->columns), found);
    }
    found->share = share < found->share ? share : found->share;
    for (int n = 0; n < MOST_PARTS; n++) /* turns: MOST_PARTS */
        free(scan->first_dc[n]);
}

static void walk_all(struct walk *walk, struct soundness *found)
{
    if (walk->end - walk->at < 2 || word(walk->at) != 0xFFD8)
        return;
    walk->at += 2;
    while (found->share > 0) { /* turns: at most the data's bytes: each goes on in it */
        if (walk->end - walk->at < 4 || (walk->scanned && walk->at[0] != 0xFF))
            return;
        if (walk->at[0] != 0xFF) { /* libjpeg looks for the next marker */
            const uint8_t *at = next_marker(walk->at, walk->end);
            walk->at = at ? at : walk->end;
            walk->strayed = true;
            continue;
        }
        int marker = walk->at[1];
        if (marker == 0xFF) {
            walk->at++;
            continue;
        }
        const uint8_t *body = walk->at + 4;
        int length = word(walk->at + 2) - 2;
        if (marker == 0xD9 || length < 0 || walk->end - body < length)
            return;
        const uint8_t *end = body + length;
        walk->at = end;
        struct walked_scan scan;
        switch (marker) {
        case 0xC2:
            walk->progressive = true; /* fall through */
        case 0xC0:
        case 0xC1:
            if (!walk_frame(walk, body, end))
                return;
            break;
        case 0xC4:
            if (!read_huffman(walk->dc_tables, walk->ac_tables, body, end))
                return;
            walk->coded = true;
            break;
        case 0xDB:
            if (!walk_quantisers(walk, body, end))
                return;
            break;
        case 0xDD:
            if (length != 2)
                return;
            walk->restart_mcus = word(body);
            break;
        case 0xDA: {
            if (!walk_header(walk, &scan, body, end))
                return;
            walk->scanned = true;
            if (walk->progressive && !comes_next(&scan)) {
                found->share = 0;
                return;
            }
            if (scan.high || scan.first > MOST_COARSE) { /* details, of little weight */
                walk->at = end_of_scan(walk->at, walk->end);
                break;
            }
            if (!walk_tables(walk, &scan)) {
                /* Single pictures of films have no tables at all. */
                found->share = walk->strayed || walk->coded ? 0 : found->share;
                return;
            }
            int64_t blocks = 0;
            for (int n = 0; n < scan.count; n++) /* turns: at most MOST_PARTS */
                blocks += (int64_t)scan.parts[n]->columns * scan.parts[n]->rows;
            walk->readings_left -= blocks;
            if (walk->readings_left < 0)
                return;
            take_account(walk, &scan, found);
            break;
        }
        default:
            if (!(marker >= 0xE0 && marker <= 0xEF) && marker != 0xFE)
                return;
        }
    }
    return;
}

/* The share of a JPEG's picture that is sound, from 0 to 1, 1 where nothing is found and of what is
 * not looked at; and whether the file ends in the middle of a scan. */
static struct soundness look_at(const uint8_t *data, size_t size)
{
    struct walk walk = {.data = data, .at = data, .end = data + size};
    struct soundness found = {.share = -1};
    walk.dc_tables = calloc(TABLES, sizeof *walk.dc_tables);
    walk.ac_tables = calloc(TABLES, sizeof *walk.ac_tables);
    walk.entropy = (struct entropy){.end = walk.end};
    walk.entropy.window = calloc(1, WINDOW_BYTES + PADDING_BYTES);
    if (walk.dc_tables && walk.ac_tables && walk.entropy.window) {
        found.share = 1;
        walk_all(&walk, &found);
    }
    free(walk.entropy.window);
    free(walk.dc_tables);
    free(walk.ac_tables);
    return found;
}
