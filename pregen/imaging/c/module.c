/* What Python sees of the compiled parts: the chain and its single steps, without the GIL. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "chain.h"
#include "sound.h"
#include "vp8.h"
#include "vp8l.h"

/* Other libraries (ISA-L is one) leave the upper halves of AVX registers in use, and then each
 * instruction of SSE waits for them: Lanczos-3 takes three times as long, until they are cleared. */
static void clear_upper_halves(void)
{
#if defined __x86_64__ && defined __GNUC__
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroupper");
#endif
}

#include "boxes_type.h"

static bool is_scale(int shrink) { return shrink == 8 || shrink == 4 || shrink == 2; }

PyDoc_STRVAR(decode_doc,
             "decode(data, out, width_px, height_px, shrink, bands[, range_bytes]) -> bool\n\n"
             "Fill `out` with the picture of a JPEG at 1 / shrink (8, 4, 2); False when it is left to\n"
             "libjpeg. `out` is a writable buffer of ceil(height / shrink) rows, ceil(width / shrink)\n"
             "columns and `bands` bytes each: 1 for grey, 3 for RGB, 4 for RGB and 255. `range_bytes` is\n"
             "what each of three cursors reads at a time, which changes nothing but how long it takes (tests\n"
             "have shorter ranges than others); 0: there is one cursor.\n\n"
             "Raises ValueError when `out` has another size or there is no such range, MemoryError.");

static PyObject *decode(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer data, out;
    int width_px, height_px, shrink, bands, range_bytes = RANGE_BYTES;
    if (!PyArg_ParseTuple(arguments, "y*w*iiii|i", &data, &out, &width_px, &height_px, &shrink,
                          &bands, &range_bytes))
        return NULL;
    PyObject *answer = NULL;
    if (width_px < 1 || height_px < 1 || width_px > 65535 || height_px > 65535 ||
        (bands != 1 && bands != 3 && bands != 4) || !is_scale(shrink) ||
        out.len != (Py_ssize_t)((width_px + shrink - 1) / shrink) *
                       ((height_px + shrink - 1) / shrink) * bands) {
        PyErr_SetString(PyExc_ValueError, "the sizes do not fit together");
    } else if (range_bytes < 0 || range_bytes > RANGE_BYTES) {
        PyErr_Format(PyExc_ValueError, "range_bytes is not from 0 to %d", RANGE_BYTES);
    } else {
        enum result result;
        Py_BEGIN_ALLOW_THREADS
        clear_upper_halves();
        result = decode_all(data.buf, (size_t)data.len, width_px, height_px, shrink, out.buf, bands,
                            range_bytes);
        Py_END_ALLOW_THREADS
        answer = result == NO_MEMORY ? PyErr_NoMemory() : PyBool_FromLong(result == DONE);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
    return answer;
}

/* Read the wanted sizes. -1, with an error set, unless they are 1 to MOST_PICTURES, each at least a
 * pixel and at most MOST_SIDE. */
static int read_sizes(PyObject *sizes, struct picture *pictures)
{
    Py_ssize_t count = PySequence_Size(sizes);
    if (count == 0 || count > MOST_PICTURES)
        PyErr_SetString(PyExc_ValueError, "no sizes, or too many");
    if (count < 1 || count > MOST_PICTURES)
        return -1;
    for (Py_ssize_t n = 0; n < count; n++) { /* turns: at most MOST_PICTURES */
        PyObject *size = PySequence_GetItem(sizes, n);
        int good = size && PyArg_ParseTuple(size, "ii", &pictures[n].width_px,
                                            &pictures[n].height_px);
        Py_XDECREF(size);
        if (!good)
            return -1;
        if (pictures[n].width_px < 1 || pictures[n].height_px < 1 ||
            pictures[n].width_px > MOST_SIDE || pictures[n].height_px > MOST_SIDE) {
            PyErr_SetString(PyExc_ValueError, "a size that no picture has");
            return -1;
        }
    }
    return (int)count;
}

static PyObject *pixels_of(const struct picture *picture)
{
    Py_ssize_t size = (Py_ssize_t)picture->width_px * picture->height_px * BANDS;
    return PyBytes_FromStringAndSize((const char *)picture->pixels, size);
}

static PyObject *stream_of(const struct stream *stream)
{
    return PyBytes_FromStringAndSize((const char *)stream->bytes, (Py_ssize_t)stream->size);
}

/* True when `samples` lie in a buffer of `size` bytes; false with an error set. */
static bool fit_together(const struct samples *samples, Py_ssize_t size)
{
    bool fits = samples->columns > 0 && samples->rows > 0 && samples->columns <= MOST_SIDE &&
                samples->rows <= MOST_SIDE &&
                size == (Py_ssize_t)samples->columns * samples->rows * BANDS &&
                samples->extent_across > samples->columns - 1 &&
                samples->extent_across <= samples->columns &&
                samples->extent_down > samples->rows - 1 && samples->extent_down <= samples->rows;
    if (!fits)
        PyErr_SetString(PyExc_ValueError, "the sizes do not fit together");
    return fits;
}

/* What `pictures` and `finish` answer. */
static PyObject *answer_of(enum result result, const struct picture *pictures, int count,
                           const struct stages *stages)
{
    if (result == NO_MEMORY)
        return PyErr_NoMemory();
    if (result == NOT_MINE)
        return Py_NewRef(Py_None);
    PyObject *made = PyList_New(0);
    for (int n = 0; made && n < count; n++) { /* turns: at most MOST_PICTURES */
        const struct picture *picture = &pictures[n];
        PyObject *one =
            Py_BuildValue("iiNN", picture->width_px, picture->height_px,
                          stream_of(&picture->stream), PyBool_FromLong(picture->stream.whole));
        if (!one || PyList_Append(made, one))
            Py_CLEAR(made);
        Py_XDECREF(one);
    }
    if (!made)
        return NULL;
    return Py_BuildValue("N(LLL)", made, (long long)(stages->decoded - stages->begun),
                         (long long)(stages->reduced - stages->decoded),
                         (long long)(stages->compressed - stages->reduced));
}

PyDoc_STRVAR(reduce_doc,
             "reduce(samples, columns, rows, extent, orientation, sizes)\n"
             "    -> [(width_px, height_px, pixels), ...]\n\n"
             "Make pictures of one of four bands, of which the fourth means nothing and becomes 255.\n\n"
             "`samples` is a buffer of rows x columns x 4 bytes. `extent` tells where the picture\n"
             "ends, in columns and rows, above one less. `sizes` are as stored, the largest first;\n"
             "the pictures are upright by `orientation` (EXIF's).\n\n"
             "Raises ValueError when the sizes do not fit together, MemoryError.");

static PyObject *reduce_samples(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer data;
    PyObject *sizes, *answer = NULL;
    struct samples samples;
    struct picture pictures[MOST_PICTURES] = {0};
    int orientation;
    if (!PyArg_ParseTuple(arguments, "y*ii(dd)iO", &data, &samples.columns, &samples.rows,
                          &samples.extent_across, &samples.extent_down, &orientation, &sizes))
        return NULL;
    samples.pixels = data.buf;
    int count = read_sizes(sizes, pictures);
    if (count > 0 && fit_together(&samples, data.len)) {
        bool enough;
        Py_BEGIN_ALLOW_THREADS
        clear_upper_halves();
        enough = reduce_all(samples, orientation, pictures, count);
        Py_END_ALLOW_THREADS
        answer = enough ? PyList_New(0) : PyErr_NoMemory();
        for (int n = 0; answer && n < count; n++) { /* turns: at most MOST_PICTURES */
            PyObject *made = Py_BuildValue("iiN", pictures[n].width_px, pictures[n].height_px,
                                           pixels_of(&pictures[n]));
            if (!made || PyList_Append(answer, made))
                Py_CLEAR(answer);
            Py_XDECREF(made);
        }
        forget_pictures(pictures, count);
    }
    PyBuffer_Release(&data);
    return answer;
}

PyDoc_STRVAR(compress_doc,
             "compress(pixels, width_px, height_px) -> (bytes, whole)\n\n"
             "Return the zlib stream of a PNG of 8-bit RGBA, not interlaced. Of a picture that repeats\n"
             "itself it is not `whole`: only the filtered rows, for a compressor that searches.\n\n"
             "Raises ValueError when the sizes do not fit together, MemoryError.");

static PyObject *pack_pixels(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer pixels;
    int width_px, height_px;
    if (!PyArg_ParseTuple(arguments, "y*ii", &pixels, &width_px, &height_px))
        return NULL;
    PyObject *answer = NULL;
    if (width_px < 1 || height_px < 1 || width_px > MOST_SIDE || height_px > MOST_SIDE ||
        pixels.len != (Py_ssize_t)width_px * height_px * PIXEL_BYTES) {
        PyErr_SetString(PyExc_ValueError, "the sizes do not fit together");
    } else {
        struct stream stream;
        bool enough;
        Py_BEGIN_ALLOW_THREADS
        clear_upper_halves();
        enough = pack(pixels.buf, width_px, height_px, &stream);
        Py_END_ALLOW_THREADS
        answer = enough ? Py_BuildValue("NN", stream_of(&stream), PyBool_FromLong(stream.whole))
                        : PyErr_NoMemory();
        free(stream.bytes);
    }
    PyBuffer_Release(&pixels);
    return answer;
}

PyDoc_STRVAR(pictures_doc,
             "pictures(data, width_px, height_px, shrink, orientation, sizes)\n"
             "    -> ([(width_px, height_px, bytes, whole), ...], (decode, resize, encode)) | None\n\n"
             "Make the pictures of a JPEG's entries; None when it is left to others: what the decoder\n"
             "does not take, and what is of one colour.\n\n"
             "Width and height are those of its frame; it is decoded at 1 / `shrink`. `sizes` are as\n"
             "stored, the largest first; the pictures are upright by `orientation` (EXIF's), and\n"
             "compressed as by `compress`. The times are nanoseconds.\n\n"
             "Raises ValueError for sizes that no picture has, MemoryError.");

static PyObject *make_photo(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer data;
    PyObject *sizes, *answer = NULL;
    struct picture pictures[MOST_PICTURES] = {0};
    struct stages stages = {0};
    int width_px, height_px, shrink, orientation;
    if (!PyArg_ParseTuple(arguments, "y*iiiiO", &data, &width_px, &height_px, &shrink, &orientation,
                          &sizes))
        return NULL;
    int count = read_sizes(sizes, pictures);
    bool fits = width_px > 0 && height_px > 0 && width_px <= 65535 && height_px <= 65535 &&
                is_scale(shrink);
    if (count > 0 && !fits)
        PyErr_SetString(PyExc_ValueError, "a size that no picture has");
    if (count > 0 && fits) {
        enum result result;
        Py_BEGIN_ALLOW_THREADS
        clear_upper_halves();
        result = make_pictures(data.buf, (size_t)data.len, width_px, height_px, shrink, orientation,
                               pictures, count, RANGE_BYTES, &stages);
        Py_END_ALLOW_THREADS
        answer = answer_of(result, pictures, count, &stages);
        forget_pictures(pictures, count);
    }
    PyBuffer_Release(&data);
    return answer;
}

PyDoc_STRVAR(finish_doc,
             "finish(samples, columns, rows, extent, orientation, sizes)\n"
             "    -> ([(width_px, height_px, bytes, whole), ...], (0, resize, encode)) | None\n\n"
             "Make the pictures of entries of pixels that another decoder made; None when they are of\n"
             "one colour. Arguments as of `reduce`, the answer as of `pictures`.\n\n"
             "Raises ValueError when the sizes do not fit together, MemoryError.");

static PyObject *finish(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer data;
    PyObject *sizes, *answer = NULL;
    struct samples samples;
    struct picture pictures[MOST_PICTURES] = {0};
    int orientation;
    if (!PyArg_ParseTuple(arguments, "y*ii(dd)iO", &data, &samples.columns, &samples.rows,
                          &samples.extent_across, &samples.extent_down, &orientation, &sizes))
        return NULL;
    samples.pixels = data.buf;
    int count = read_sizes(sizes, pictures);
    if (count > 0 && fit_together(&samples, data.len)) {
        enum result result;
        struct stages stages;
        Py_BEGIN_ALLOW_THREADS
        clear_upper_halves();
        result = finish_pictures(samples, orientation, pictures, count, &stages);
        Py_END_ALLOW_THREADS
        stages.begun = stages.decoded;
        answer = answer_of(result, pictures, count, &stages);
        forget_pictures(pictures, count);
    }
    PyBuffer_Release(&data);
    return answer;
}

PyDoc_STRVAR(account_doc,
             "account(data) -> (share, ends_early, seams)\n\n"
             "Tell how much of a JPEG's picture is there and outside of damage, 0 to 1.\n\n"
             "1 where nothing is wrong, and for what is not looked at: arithmetic codes, 12 bits,\n"
             "lossless. `ends_early`: the data ends before the last code does. `seams`: where the\n"
             "rest of the picture may be shifted, each as (component, x, y, height of a row of\n"
             "blocks), in pixels.\n\n"
             "Raises MemoryError.");

static PyObject *account(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer data;
    if (!PyArg_ParseTuple(arguments, "y*", &data))
        return NULL;
    struct soundness found;
    Py_BEGIN_ALLOW_THREADS
    found = look_at(data.buf, (size_t)data.len);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&data);
    if (found.share < 0)
        return PyErr_NoMemory();
    PyObject *seams = PyList_New(found.seam_count);
    if (!seams)
        return NULL;
    for (int n = 0; n < found.seam_count; n++) { /* turns: at most MOST_SEAMS */
        const struct seam *one = &found.seams[n];
        PyObject *item = Py_BuildValue("iiii", one->component, one->x_px, one->y_px,
                                       one->height_px);
        if (!item || PyList_SetItem(seams, n, item)) {
            Py_DECREF(seams);
            return NULL;
        }
    }
    return Py_BuildValue("dON", found.share, found.cut ? Py_True : Py_False, seams);
}

PyDoc_STRVAR(lossless_doc,
             "lossless(data, width_px, height_px) -> (sound, predicted)\n\n"
             "Tell whether the codes of a lossless WebP are those that were written; None where they\n"
             "are not counted. `predicted`: its pixels are differences from those before. `data` is\n"
             "what follows the header of a picture or of alpha; edges are 1 to 16384.\n\n"
             "Raises ValueError for edges that no picture has, MemoryError.");

static PyObject *lossless(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer data;
    int width_px, height_px;
    if (!PyArg_ParseTuple(arguments, "y*ii", &data, &width_px, &height_px))
        return NULL;
    PyObject *answer = NULL;
    if (width_px < 1 || height_px < 1 || width_px > MOST_LOSSLESS_PX ||
        height_px > MOST_LOSSLESS_PX) {
        PyErr_SetString(PyExc_ValueError, "a size that no picture has");
    } else {
        enum codes found;
        bool predicted;
        Py_BEGIN_ALLOW_THREADS
        found = count_lossless(data.buf, (size_t)data.len, width_px, height_px, &predicted);
        Py_END_ALLOW_THREADS
        PyObject *sound = found == CODES_NOT_COUNTED ? Py_None
                          : found == CODES_SOUND     ? Py_True
                                                     : Py_False;
        answer = found == CODES_NO_MEMORY
                     ? PyErr_NoMemory()
                     : Py_BuildValue("OO", sound, predicted ? Py_True : Py_False);
    }
    PyBuffer_Release(&data);
    return answer;
}

PyDoc_STRVAR(unread_doc,
             "unread(data) -> bits\n\n"
             "Tell how many bits of the first partition of a lossy WebP its codes leave unread; below\n"
             "zero where they want more. None where `data`, which begins with the picture's header,\n"
             "does not hold the partition.");

static PyObject *unread(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer data;
    if (!PyArg_ParseTuple(arguments, "y*", &data))
        return NULL;
    int64_t left;
    bool found;
    Py_BEGIN_ALLOW_THREADS
    found = count_unread(data.buf, (size_t)data.len, &left);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&data);
    if (!found)
        Py_RETURN_NONE;
    return PyLong_FromLongLong(left);
}

static PyMethodDef methods[] = {{"decode", decode, METH_VARARGS, decode_doc},
                                {"account", account, METH_VARARGS, account_doc},
                                {"lossless", lossless, METH_VARARGS, lossless_doc},
                                {"unread", unread, METH_VARARGS, unread_doc},
                                {"reduce", reduce_samples, METH_VARARGS, reduce_doc},
                                {"compress", pack_pixels, METH_VARARGS, compress_doc},
                                {"pictures", make_photo, METH_VARARGS, pictures_doc},
                                {"finish", finish, METH_VARARGS, finish_doc},
                                {"unpack_lzw", unpack_strip, METH_VARARGS, unpack_lzw_doc},
                                {0}};

static PyModuleDef_Slot slots[] = {{Py_mod_exec, (void *)add_boxes}, {0}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pregen.imaging._compiled",
    .m_doc = "Pictures of JPEGs, and the steps they are made in, also for other decoders.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__compiled(void) { return PyModuleDef_Init(&module); }
