/* What Python sees of the decoder in _jpegdc.h. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include "_jpegdc.h"

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

static PyMethodDef methods[] = {{"decode", decode, METH_VARARGS, decode_doc}, {0}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pregen.imaging._jpegdc",
    .m_doc = "JPEGs at 1/8 from their DC coefficients.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__jpegdc(void) { return PyModuleDef_Init(&module); }
