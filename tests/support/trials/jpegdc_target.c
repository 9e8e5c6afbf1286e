/* A target for libFuzzer: pregen's decoder of JPEGs at 1/8, 1/4 and 1/2 beside libjpeg-turbo.
 *
 * Every input is decoded under sanitizers by the decoder and by its plain twin, which have to do
 * the same (compiled a second time with PLAIN_TWIN, this file holds only that twin). The decoder
 * reads with three cursors, in ranges so short that small files have many; the twin with one. What
 * they accept goes to libjpeg-turbo: it must neither refuse it nor warn of damage, and show the same
 * picture; at 1/4 and 1/2 the one that real numbers make of the coefficients that it read. Whatever
 * is found ends the process with one line about it.
 */
#include "sound.h"

#ifdef PLAIN_TWIN

enum result decode_plainly(const uint8_t *data, size_t size, int width_px, int height_px,
                           int shrink, uint8_t *out, int bands);

enum result decode_plainly(const uint8_t *data, size_t size, int width_px, int height_px,
                           int shrink, uint8_t *out, int bands)
{
    return decode_all(data, size, width_px, height_px, shrink, out, bands, 0);
}

struct soundness look_plainly(const uint8_t *data, size_t size);

struct soundness look_plainly(const uint8_t *data, size_t size)
{
    return look_at(data, size);
}

#else

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

#include "target.h"

enum result decode_plainly(const uint8_t *data, size_t size, int width_px, int height_px,
                           int shrink, uint8_t *out, int bands);
struct soundness look_plainly(const uint8_t *data, size_t size);

/* Larger pictures reach nothing new, and take long. */
#define MOST_AREA_PX (1 << 16)
/* Chroma at 1/4 is rounded once here and twice in libjpeg-turbo: a level of it is up to two of
 * red, green or blue. All else is the same to the last bit. */
#define MOST_APART 2
/* At 1/4 and 1/2 floats may fall on another side of a half: a level of luma, and of chroma. */
#define MOST_APART_SCALED 4

/* What each of three cursors reads at a time; 0: one cursor. */
static const int RANGES_BYTES[] = {0, 8, 24, 40, 64, 128, 256};

/* The first frame header, from its size on, or NULL. */
static const uint8_t *frame_of(const uint8_t *data, size_t size)
{
    for (size_t at = 2; at + 17 < size && data[at] == 0xFF;) {
        if (data[at + 1] >= 0xC0 && data[at + 1] <= 0xC2)
            return data + at + 5;
        at += data[at + 1] == 0xFF ? 1 : 2 + (size_t)word(data + at + 2);
    }
    return NULL;
}

/* ---- the file as the decoder takes it ---- */

/* Of a progressive file it passes over the scans that bring nothing for this scale: the AC of
 * components at 1/8, and last bits of the others'. Copy all but these; return the size. */
static size_t without_passed_scans(const uint8_t *data, const uint8_t *frame, uint8_t *kept)
{
    const uint8_t *at = data + 2;
    bool quartered = frame[4] == 3 && frame[6] == 0x22;
    size_t filled = 2;
    memcpy(kept, data, 2);
    while (at[1] != 0xD9) { /* accepted, so it has one */
        if (at[1] == 0xFF) {
            at++;
            continue;
        }
        const uint8_t *next = at + 2 + word(at + 2);
        bool wanted = true;
        if (at[1] == 0xDA) {
            int count = at[4];
            int first = at[5 + 2 * count], high = at[7 + 2 * count] >> 4;
            wanted = !first || (!high && quartered && at[5] != frame[5]);
            while (!(next[0] == 0xFF && next[1] != 0 && next[1] != 0xFF &&
                     !(next[1] >= 0xD0 && next[1] <= 0xD7)))
                next++;
        }
        if (wanted) {
            memcpy(kept + filled, at, (size_t)(next - at));
            filled += (size_t)(next - at);
        }
        at = next;
    }
    memcpy(kept + filled, at, 2);
    return filled + 2;
}

/* ---- libjpeg-turbo ---- */

struct judge {
    struct jpeg_error_mgr base;
    jmp_buf back;
    char complaint[JMSG_LENGTH_MAX];
};

static void refuse(j_common_ptr cinfo)
{
    struct judge *judge = (struct judge *)cinfo->err;
    judge->base.format_message(cinfo, judge->complaint);
    longjmp(judge->back, 1);
}

static void take_message(j_common_ptr cinfo, int level)
{
    struct judge *judge = (struct judge *)cinfo->err;
    /* Data that ends behind the last block, and a number of no consequence, cost no pixel. */
    if (level < 0 && judge->base.msg_code != JWRN_JPEG_EOF &&
        judge->base.msg_code != JWRN_JFIF_MAJOR && !judge->complaint[0])
        judge->base.format_message(cinfo, judge->complaint);
}

static void be_silent(j_common_ptr cinfo) { (void)cinfo; }

/* Fill `out`; return what libjpeg-turbo has to say against the file, or an empty text. */
static const char *by_libjpeg(const uint8_t *data, size_t size, int width_px, int height_px,
                              uint8_t *out, int bands)
{
    static struct judge judge;
    struct jpeg_decompress_struct cinfo;
    size_t columns = (size_t)(width_px + 7) / 8, rows = (size_t)(height_px + 7) / 8;
    judge.complaint[0] = 0;
    cinfo.err = jpeg_std_error(&judge.base);
    judge.base.error_exit = refuse;
    judge.base.emit_message = take_message;
    judge.base.output_message = be_silent;
    jpeg_create_decompress(&cinfo);
    if (!setjmp(judge.back)) {
        jpeg_mem_src(&cinfo, data, size);
        jpeg_read_header(&cinfo, TRUE);
        cinfo.scale_num = 1;
        cinfo.scale_denom = 8;
        cinfo.dct_method = JDCT_ISLOW;
        /* It guesses coefficients that are not there yet; pregen's files say not to. */
        cinfo.do_block_smoothing = FALSE;
        cinfo.out_color_space = bands == 1   ? JCS_GRAYSCALE
                                : bands == 3 ? JCS_RGB
                                             : JCS_EXT_RGBA;
        jpeg_start_decompress(&cinfo);
        if (cinfo.output_width != columns || cinfo.output_height != rows)
            found("another size: %u x %u", cinfo.output_width, cinfo.output_height);
        while (cinfo.output_scanline < cinfo.output_height) {
            JSAMPROW row = out + cinfo.output_scanline * columns * (size_t)bands;
            jpeg_read_scanlines(&cinfo, &row, 1);
        }
        /* What follows the last row is not looked at by the decoder either. */
    }
    jpeg_destroy_decompress(&cinfo);
    return judge.complaint;
}

/* Fill the samples of one component from its coefficients; real numbers, no table. */
static void fill_plane(struct jpeg_decompress_struct *cinfo, jvirt_barray_ptr blocks, int number,
                       struct component *component, int shrink)
{
    const jpeg_component_info *info = &cinfo->comp_info[number];
    struct scaled *scaled = &component->scaled;
    bool halved = number && cinfo->max_h_samp_factor == 2 && cinfo->max_v_samp_factor == 2;
    int size = scaled->size = (halved ? 16 : 8) / shrink, part = 8 / size;
    int places = shrink == 4 ? PLACES_AT_4 : PLACES_AT_2;
    scaled->stride = (size_t)info->width_in_blocks * (size_t)size;
    scaled->samples = malloc(scaled->stride * (size_t)size * info->height_in_blocks);
    if (!scaled->samples)
        abort();
    for (JDIMENSION row = 0; row < info->height_in_blocks; row++) {
        JBLOCKARRAY line = cinfo->mem->access_virt_barray((j_common_ptr)cinfo, blocks, row, 1, FALSE);
        for (size_t n = 0; n < scaled->stride * (size_t)size; n++) {
            size_t x = n % scaled->stride, y = n / scaled->stride;
            const JCOEF *block = line[0][x / (size_t)size];
            double sum = 128.5;
            for (int place = 0; place < places; place++) {
                int u = ZIGZAG[place] & 7, v = ZIGZAG[place] >> 3;
                double across = 0, down = 0;
                for (int m = 0; m < part; m++) {
                    const double step = 3.14159265358979323846 / 16;
                    across += cos((2 * ((int)(x % (size_t)size) * part + m) + 1) * u * step) / part;
                    down += cos((2 * ((int)y * part + m) + 1) * v * step) / part;
                }
                sum += block[ZIGZAG[place]] * (double)info->quant_table->quantval[ZIGZAG[place]] *
                       across * down * (u ? 0.5 : sqrt(0.125)) * (v ? 0.5 : sqrt(0.125));
            }
            scaled->samples[row * scaled->stride * (size_t)size + n] =
                (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
        }
    }
}

/* In a function of its own: whoever calls setjmp keeps no variables of loops. */
static __attribute__((noinline)) void fill_planes(struct jpeg_decompress_struct *cinfo,
                                                  jvirt_barray_ptr *blocks,
                                                  struct decoder *decoder)
{
    for (int n = 0; n < decoder->count; n++)
        fill_plane(cinfo, blocks[n], n, &decoder->components[n], decoder->shrink);
}

static __attribute__((noinline)) void forget_planes(struct decoder *decoder)
{
    for (int n = 0; n < decoder->count; n++) /* libjpeg has another MAX_COMPONENTS */
        free(decoder->components[n].scaled.samples);
}

/* Fill `out` with the picture that the first coefficients make, as libjpeg-turbo read them. False
 * where it did not, because of what follows the picture. */
static bool by_coefficients(const uint8_t *data, size_t size, int shrink, uint8_t *out, int bands)
{
    static struct judge judge;
    static struct decoder decoder; /* of which the pixels are written by the code under test */
    struct jpeg_decompress_struct cinfo;
    cinfo.err = jpeg_std_error(&judge.base);
    judge.base.error_exit = refuse;
    judge.base.emit_message = take_message;
    judge.base.output_message = be_silent;
    memset(&decoder, 0, sizeof decoder);
    jpeg_create_decompress(&cinfo);
    volatile bool good = false;
    if (!setjmp(judge.back)) {
        jpeg_mem_src(&cinfo, data, size);
        jpeg_read_header(&cinfo, TRUE);
        decoder.width_px = (int)cinfo.image_width;
        decoder.height_px = (int)cinfo.image_height;
        decoder.count = cinfo.num_components;
        decoder.shrink = shrink;
        jvirt_barray_ptr *blocks = jpeg_read_coefficients(&cinfo);
        decoder.most_across = decoder.count == 1 ? 1 : cinfo.max_h_samp_factor;
        decoder.most_down = decoder.count == 1 ? 1 : cinfo.max_v_samp_factor;
        fill_planes(&cinfo, blocks, &decoder);
        good = write_scaled_pixels(&decoder, out, bands) == DONE;
    }
    forget_planes(&decoder);
    jpeg_destroy_decompress(&cinfo);
    return good;
}

/* True for a file with one scan: libjpeg-turbo reads all there are, the decoder none behind it. */
static bool has_one_scan(const uint8_t *data, size_t size)
{
    int found = 0;
    for (size_t at = 0; at + 1 < size; at++)
        found += data[at] == 0xFF && data[at + 1] == 0xDA;
    return found == 1;
}

/* ---- one input ---- */

static void compare(const uint8_t *ours, const uint8_t *theirs, size_t count, int most)
{
    for (size_t n = 0; n < count; n++) {
        int distance = abs(ours[n] - theirs[n]);
        apart += distance > 0;
        if (distance > most)
            found("%d levels from libjpeg-turbo at byte %zu of %zu, %d are allowed", distance, n,
                  count, most);
    }
    samples += count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    inputs++;
    const uint8_t *frame = frame_of(data, size);
    int height_px = frame ? word(frame) : 16, width_px = frame ? word(frame + 2) : 16;
    if (!width_px || !height_px || width_px * (long)height_px > MOST_AREA_PX)
        return -1;
    bool grey = frame && frame[4] == 1;
    int bands = grey ? (int[]){1, 3, 4}[size % 3] : 3 + (int)(size % 2);
    int shrink = 8 >> (size / 4 % 4 < 2 ? 0 : size / 4 % 4 - 1);
    size_t eighths = (size_t)((width_px + 7) / 8) * (size_t)((height_px + 7) / 8) * (size_t)bands;
    size_t count = (size_t)((width_px + shrink - 1) / shrink) *
                   (size_t)((height_px + shrink - 1) / shrink) * (size_t)bands;
    /* Each for itself, so that a byte beyond one is found. */
    uint8_t *ours = calloc(1, count), *plain = calloc(1, count), *theirs = calloc(1, count);
    uint8_t *eighth = calloc(1, eighths), *kept = malloc(size);
    if (!ours || !plain || !theirs || !eighth || !kept)
        abort();
    int range_bytes = RANGES_BYTES[size / 16 % (sizeof RANGES_BYTES / sizeof *RANGES_BYTES)];
    enum result result = decode_all(data, size, width_px, height_px, shrink, ours, bands, range_bytes);
    enum result other = decode_plainly(data, size, width_px, height_px, shrink, plain, bands);
    if (result != other || (result == DONE && memcmp(ours, plain, count)))
        found("the plain twin does something else");
    struct soundness sound = look_at(data, size), same = look_plainly(data, size);
    if (sound.share != same.share || sound.cut != same.cut || sound.seam_count != same.seam_count)
        found("the plain twin counts something else");
    if (result == DONE) {
        accepted++;
        bool progressive = frame[-4] == 0xC2;
        size_t passed = progressive ? without_passed_scans(data, frame, kept) : size;
        const char *complaint =
            by_libjpeg(progressive ? kept : data, passed, width_px, height_px, eighth, bands);
        if (*complaint)
            found("libjpeg-turbo complains: %s", complaint);
        if (shrink == 8)
            compare(ours, eighth, count, frame[4] == 3 && frame[6] == 0x22 ? MOST_APART : 0);
        else if (has_one_scan(data, size) && by_coefficients(data, size, shrink, theirs, bands))
            compare(ours, theirs, count, MOST_APART_SCALED);
    }
    free(eighth);
    free(ours);
    free(plain);
    free(theirs);
    free(kept);
    return 0;
}

#endif
