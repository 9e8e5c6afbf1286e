/* What Python sees of boxes.h, rows.h and lzw.h; a part of module.c. */
#include "lzw.h"
#include "rows.h"

PyDoc_STRVAR(unpack_lzw_doc,
             "unpack_lzw(data, size) -> bytes | None\n\n"
             "Unpack a strip or tile of a TIFF's LZW; None unless it makes exactly `size` bytes.\n\n"
             "Raises ValueError for a size below 1 or above 2^31, MemoryError.");

static PyObject *unpack_strip(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer data;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(arguments, "y*n", &data, &size))
        return NULL;
    PyObject *answer = NULL;
    if (size < 1 || size > INT32_MAX)
        PyErr_SetString(PyExc_ValueError, "a size that no strip has");
    else
        answer = PyBytes_FromStringAndSize(NULL, size);
    if (answer) {
        uint8_t *out = (uint8_t *)PyBytes_AsString(answer);
        bool sound;
        Py_BEGIN_ALLOW_THREADS
        sound = unpack_lzw(data.buf, (size_t)data.len, out, (size_t)size);
        Py_END_ALLOW_THREADS
        if (!sound) {
            Py_DECREF(answer);
            answer = Py_NewRef(Py_None);
        }
    }
    PyBuffer_Release(&data);
    return answer;
}

PyDoc_STRVAR(boxes_doc,
             "Boxes(width_px, height_px, bands, across, down, storing, palette, clear)\n\n"
             "Averages a picture in blocks of across x down pixels (1 to 256 each), row by row or tile\n"
             "by tile, as its samples of 8 bits come.\n\n"
             "`bands` are the samples of a pixel: grey (1), grey and alpha (2), RGB (3), RGBA (4).\n"
             "`storing`: 0 as they are, 1 less their left neighbours, 2 rows that begin with a filter\n"
             "of PNG. `palette` is RGBA of up to 256 colours, or empty; with it, `bands` is 1. Unless\n"
             "`clear`, a row in which a pixel is not opaque is not sound.\n\n"
             "Raises ValueError when that does not fit together, MemoryError.");

struct boxes_object {
    PyObject_HEAD
    struct rows rows;
};

static PyObject *new_boxes(PyTypeObject *type, PyObject *arguments, PyObject *Py_UNUSED(keywords))
{
    int width_px, height_px, bands, across, down, storing, clear;
    const char *palette;
    Py_ssize_t palette_bytes;
    if (!PyArg_ParseTuple(arguments, "iiiiiiy#p", &width_px, &height_px, &bands, &across, &down,
                          &storing, &palette, &palette_bytes, &clear))
        return NULL;
    if (width_px < 1 || height_px < 1 || width_px > MOST_BOXED_SIDE ||
        height_px > MOST_BOXED_SIDE || bands < 1 || bands > RESULT_BANDS || across < 1 ||
        across > MOST_BLOCK || across > width_px || down < 1 || down > MOST_BLOCK ||
        down > height_px || storing < 0 || storing >= STORINGS || palette_bytes % RESULT_BANDS ||
        palette_bytes > PALETTE_COLOURS * RESULT_BANDS || (palette_bytes && bands != 1)) {
        PyErr_SetString(PyExc_ValueError, "the sizes do not fit together");
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct boxes_object *self = (struct boxes_object *)allocate(type, 0); /* of zeros */
    if (!self)
        return NULL;
    self->rows.storing = (enum storing)storing;
    struct boxes *boxes = &self->rows.boxes;
    boxes->width_px = width_px;
    boxes->height_px = height_px;
    boxes->bands = bands;
    boxes->across = across;
    boxes->down = down;
    boxes->clear = clear && (palette_bytes || bands % 2 == 0);
    boxes->colours = (int)(palette_bytes / RESULT_BANDS);
    memcpy(boxes->palette, palette, (size_t)palette_bytes);
    if (!begin_rows(&self->rows)) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void end_boxes_object(PyObject *object)
{
    PyTypeObject *type = Py_TYPE(object);
    end_rows(&((struct boxes_object *)object)->rows);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(object);
    Py_DECREF(type);
}

PyDoc_STRVAR(boxes_rows_doc,
             "rows(data) -> bool\n\n"
             "Take the next bytes of rows; False when they are not sound, or too many.");

/* With the GIL, as `boxes_tile`: no other thread may take rows at the same time. */
static PyObject *boxes_rows(PyObject *object, PyObject *arguments)
{
    Py_buffer data;
    if (!PyArg_ParseTuple(arguments, "y*", &data))
        return NULL;
    clear_upper_halves();
    bool sound = take_rows(&((struct boxes_object *)object)->rows, data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    return PyBool_FromLong(sound);
}

PyDoc_STRVAR(boxes_tile_doc,
             "tile(data, columns, rows) -> bool\n\n"
             "Take the next tile, from left to right and from above; False when it is not sound.\n\n"
             "Raises MemoryError.");

static PyObject *boxes_tile(PyObject *object, PyObject *arguments)
{
    Py_buffer data;
    int columns, high;
    if (!PyArg_ParseTuple(arguments, "y*ii", &data, &columns, &high))
        return NULL;
    clear_upper_halves();
    bool enough, sound = take_tile(&((struct boxes_object *)object)->rows, data.buf,
                                   (size_t)data.len, columns, high, &enough);
    PyBuffer_Release(&data);
    return enough ? PyBool_FromLong(sound) : PyErr_NoMemory();
}

PyDoc_STRVAR(boxes_result_doc,
             "result() -> (bytes, weighed) | None\n\n"
             "Return the averaged blocks, rows x columns x RGBA; None when rows are missing.\n\n"
             "Where `weighed` they are floats of 0 to 255, colours times alpha and alpha.");

static PyObject *boxes_result(PyObject *object, PyObject *Py_UNUSED(arguments))
{
    const struct rows *rows = &((struct boxes_object *)object)->rows;
    const struct boxes *boxes = &rows->boxes;
    if (!are_rows_done(rows))
        return Py_NewRef(Py_None);
    bool weighed = are_weighed(boxes);
    Py_ssize_t bytes = (Py_ssize_t)boxes->columns * boxes->rows * RESULT_BANDS *
                       (weighed ? (Py_ssize_t)sizeof(float) : 1);
    return Py_BuildValue("NN", PyBytes_FromStringAndSize((const char *)boxes->result, bytes),
                         PyBool_FromLong(weighed));
}

static PyMethodDef boxes_methods[] = {{"rows", boxes_rows, METH_VARARGS, boxes_rows_doc},
                                      {"tile", boxes_tile, METH_VARARGS, boxes_tile_doc},
                                      {"result", boxes_result, METH_NOARGS, boxes_result_doc},
                                      {0}};

static PyType_Slot boxes_slots[] = {{Py_tp_doc, (void *)boxes_doc},
                                    {Py_tp_new, (void *)new_boxes},
                                    {Py_tp_dealloc, (void *)end_boxes_object},
                                    {Py_tp_methods, boxes_methods},
                                    {0}};

static PyType_Spec boxes_spec = {.name = "pregen.imaging._compiled.Boxes",
                                 .basicsize = sizeof(struct boxes_object),
                                 .flags = Py_TPFLAGS_DEFAULT,
                                 .slots = boxes_slots};

static int add_boxes(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &boxes_spec, NULL);
    int failed = type ? PyModule_AddObjectRef(module, "Boxes", type) : -1;
    Py_XDECREF(type);
    return failed;
}
