/* What Python sees of the decoder in _jpegdc.h. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "_jpegsound.h"

PyDoc_STRVAR(decode_doc,
             "decode(data, out, width_px, height_px, bands) -> bool\n\n"
             "Fill `out` with the picture of a JPEG at 1/8; False when it is left to libjpeg.\n\n"
             "`out` is a writable buffer of ceil(height / 8) rows, ceil(width / 8) columns and\n"
             "`bands` bytes each: 1 for grey, 3 for RGB, 4 for RGB and 255.\n\n"
             "Raises ValueError when `out` has another size, MemoryError.");

static PyObject *decode(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    Py_buffer data, out;
    int width_px, height_px, bands;
    if (!PyArg_ParseTuple(arguments, "y*w*iii", &data, &out, &width_px, &height_px, &bands))
        return NULL;
    PyObject *answer = NULL;
    if (width_px < 1 || height_px < 1 || width_px > 65535 || height_px > 65535 ||
        (bands != 1 && bands != 3 && bands != 4) ||
        out.len != (Py_ssize_t)((width_px + 7) / 8) * ((height_px + 7) / 8) * bands) {
        PyErr_SetString(PyExc_ValueError, "the sizes do not fit together");
    } else {
        enum result result;
        Py_BEGIN_ALLOW_THREADS
        result = decode_all(data.buf, (size_t)data.len, width_px, height_px, out.buf, bands);
        Py_END_ALLOW_THREADS
        answer = result == NO_MEMORY ? PyErr_NoMemory() : PyBool_FromLong(result == DONE);
    }
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
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

static PyMethodDef methods[] = {
    {"decode", decode, METH_VARARGS, decode_doc},
    {"account", account, METH_VARARGS, account_doc},
    {0},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pregen.imaging._jpegdc",
    .m_doc = "JPEGs at 1/8 from their DC coefficients.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__jpegdc(void) { return PyModuleDef_Init(&module); }
