/* A target for libFuzzer: pregen's decoder of JPEGs at 1/8 beside libjpeg-turbo.
 *
 * Every input is decoded under sanitizers by the decoder and by its plain twin, which have to do
 * the same (compiled a second time with JPEGDC_PLAIN, this file holds only that twin). What they
 * accept goes to libjpeg-turbo: it must neither refuse it nor warn of damage, and show the same
 * picture. Whatever is found ends the process with one line about it.
 */
#include "_jpegsound.h"

#ifdef JPEGDC_PLAIN

enum result decode_plainly(const uint8_t *data, size_t size, int width_px, int height_px,
                           uint8_t *out, int bands);

enum result decode_plainly(const uint8_t *data, size_t size, int width_px, int height_px,
                           uint8_t *out, int bands)
{
    return decode_all(data, size, width_px, height_px, out, bands);
}

struct soundness look_plainly(const uint8_t *data, size_t size);

struct soundness look_plainly(const uint8_t *data, size_t size)
{
    return look_at(data, size);
}

#else

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <jpeglib.h>

#include <jerror.h>

enum result decode_plainly(const uint8_t *data, size_t size, int width_px, int height_px,
                           uint8_t *out, int bands);
struct soundness look_plainly(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Larger pictures reach nothing new, and take long. */
#define MOST_AREA_PX (1 << 16)
/* Chroma at 1/4 is rounded once here and twice in libjpeg-turbo: a level of it is up to two of
 * red, green or blue. All else is the same to the last bit. */
#define MOST_APART 2

static unsigned long inputs, accepted, samples, apart;

static void say_counts(void)
{
    fprintf(stderr, "counts: %lu inputs, %lu accepted, %lu samples compared, %lu of them apart\n",
            inputs, accepted, samples, apart);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count, (void)arguments;
    atexit(say_counts);
    return 0;
}

static __attribute__((noreturn, format(printf, 1, 2))) void found(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("FOUND: ", stderr);
    vfprintf(stderr, format, values);
    fputs("\n", stderr);
    va_end(values);
    abort();
}

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
    size_t count = (size_t)((width_px + 7) / 8) * (size_t)((height_px + 7) / 8) * (size_t)bands;
    /* Each for itself, so that a byte beyond one is found. */
    uint8_t *ours = calloc(1, count), *plain = calloc(1, count), *theirs = calloc(1, count);
    uint8_t *kept = malloc(size);
    if (!ours || !plain || !theirs || !kept)
        abort();
    enum result result = decode_all(data, size, width_px, height_px, ours, bands);
    enum result other = decode_plainly(data, size, width_px, height_px, plain, bands);
    if (result != other || (result == DONE && memcmp(ours, plain, count)))
        found("the plain twin does something else");
    struct soundness sound = look_at(data, size), same = look_plainly(data, size);
    if (sound.share != same.share || sound.cut != same.cut || sound.seam_count != same.seam_count)
        found("the plain twin counts something else");
    if (result == DONE) {
        accepted++;
        bool progressive = frame[-4] == 0xC2;
        if (progressive)
            size = without_passed_scans(data, frame, kept);
        const char *complaint =
            by_libjpeg(progressive ? kept : data, size, width_px, height_px, theirs, bands);
        if (*complaint)
            found("libjpeg-turbo complains: %s", complaint);
        compare(ours, theirs, count, frame[4] == 3 && frame[6] == 0x22 ? MOST_APART : 0);
    }
    free(ours);
    free(plain);
    free(theirs);
    free(kept);
    return 0;
}

#endif
