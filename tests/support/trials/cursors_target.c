/* A target for libFuzzer: three cursors beside one, in pregen's decoder of JPEGs at 1/8, 1/4 and 1/2.
 *
 * Every input is decoded under sanitizers by three cursors, in ranges so short that small files have
 * many, and by one. Both have to accept the same and to show the same. Windows, tables and lists are
 * small here: a window slides within a small file, codes are often longer than the tables, and an
 * input takes little time. `jpegdc_target.c` tries those of pregen, and asks libjpeg-turbo.
 *
 * Half of the damage is done to coded data alone, behind a sound head. What is found ends the
 * process with one line about it.
 */
#define WINDOW_BYTES 1024
#define STEP_BITS 8
#define VALUE_BITS 7
#define RANGE_BLOCKS 256
#define KEPT_BLOCKS 128

#include "jpeg.h"
#include "target.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* Larger pictures reach nothing new, and take long. */
#define MOST_AREA_PX (1 << 16)

/* What each of three cursors reads at a time. */
static const int RANGES_BYTES[] = {8, 24, 40, 64, 128, 256, 700};

/* The first segment with one of `count` markers from `first` on, from its length on; NULL: none. */
static const uint8_t *segment_of(const uint8_t *data, size_t size, int first, int count)
{
    for (size_t at = 2; at + 20 < size && data[at] == 0xFF;) { /* turns: the data's bytes */
        if (data[at + 1] >= first && data[at + 1] < first + count)
            return data + at + 2;
        at += data[at + 1] == 0xFF ? 1 : 2 + (size_t)word(data + at + 2);
    }
    return NULL;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    const uint8_t *scan = seed % 2 ? segment_of(data, size, 0xDA, 1) : NULL;
    size_t head = scan ? (size_t)(scan - data) + (size_t)word(scan) : 0;
    if (head >= size)
        head = 0;
    return head + LLVMFuzzerMutate(data + head, size - head, most - head);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    inputs++;
    const uint8_t *frame = segment_of(data, size, 0xC0, 3);
    if (!frame)
        return -1;
    int height_px = word(frame + 3), width_px = word(frame + 5), bands = frame[7] == 1 ? 1 : 3;
    if (!width_px || !height_px || width_px * (long)height_px > MOST_AREA_PX)
        return -1;
    int shrink = 8 >> size / 7 % 3;
    size_t count = (size_t)((width_px + shrink - 1) / shrink) *
                   (size_t)((height_px + shrink - 1) / shrink) * (size_t)bands;
    int range_bytes = RANGES_BYTES[size % (sizeof RANGES_BYTES / sizeof *RANGES_BYTES)];
    uint8_t *by_three = malloc(count), *by_one = malloc(count);
    if (!by_three || !by_one)
        abort();
    enum result result = decode_all(data, size, width_px, height_px, shrink, by_three, bands,
                                    range_bytes);
    if (result != decode_all(data, size, width_px, height_px, shrink, by_one, bands, 0))
        found(result == DONE ? "one cursor refuses what three accept"
                             : "three cursors refuse what one accepts");
    if (result == DONE) {
        accepted++;
        samples += count;
        if (memcmp(by_three, by_one, count))
            found("three cursors show something else than one");
    }
    free(by_three);
    free(by_one);
    return 0;
}
