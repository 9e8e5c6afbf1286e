/* Reads entries and writes them under other texts, many in one call, without the interpreter's lock.

   `batch.py` says what is asked and answered. Whatever is not as it nearly always is (a link, a
   damaged file, a full disk) is only said not to be done: Python then does it alone, and knows what
   is to be told. Nothing is written through a name that others may have open: a temporary file in
   the same folder is renamed over it. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#if defined __SSE2__ && !defined PLAIN_TWIN
#include <immintrin.h>
#define CAN_FOLD (__builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1"))
#endif

#ifdef __APPLE__
#define MODIFIED(status) (status).st_mtimespec
#define CHANGED(status) (status).st_ctimespec
#else
#define MODIFIED(status) (status).st_mtim
#define CHANGED(status) (status).st_ctim
#endif

/* PNG, third edition: a chunk has its length and type before its content, and its CRC behind. */
enum { SIGNATURE_BYTES = 8, AROUND_BYTES = 12, MOST_CHUNKS = 4096 };
enum { FILE_MODE = 0600, SLICES = 16 };
/* Of one call; of one entry, which is no larger (`cache.folder.entry_limit_bytes`); and what is read
   of one to be judged (`thumbspec.validity`). */
enum { MOST_ENTRIES = 4096, MOST_BYTES = 16 << 20, HEAD_BYTES = 4096 };

static uint32_t tables[SLICES][256];

/* CRC-32 as PNG has it (annex D): by tables, sixteen bytes at a time, or by folding. */
static void fill_tables(void)
{
    /* turns: 256 */
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t value = byte;
        /* turns: 8 */
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xEDB88320u : value >> 1;
        tables[0][byte] = value;
    }
    /* turns: SLICES - 1 */
    for (int slice = 1; slice < SLICES; slice++)
        /* turns: 256 */
        for (int byte = 0; byte < 256; byte++) {
            uint32_t below = tables[slice - 1][byte];
            tables[slice][byte] = below >> 8 ^ tables[0][below & 255];
        }
}

static uint32_t crc32_by_tables(uint32_t crc, const unsigned char *at, size_t bytes)
{
    /* turns: bytes / SLICES */
    for (; bytes >= SLICES; at += SLICES, bytes -= SLICES) {
        uint32_t next = 0;
        crc ^= (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
               (uint32_t)at[3] << 24;
        /* turns: 4 */
        for (int byte = 0; byte < 4; byte++)
            next ^= tables[SLICES - 1 - byte][crc >> 8 * byte & 255];
        /* turns: SLICES - 4 */
        for (int byte = 4; byte < SLICES; byte++)
            next ^= tables[SLICES - 1 - byte][at[byte]];
        crc = next;
    }
    /* turns: SLICES - 1 */
    for (; bytes; at++, bytes--)
        crc = crc >> 8 ^ tables[0][(crc ^ *at) & 255];
    return crc;
}

#ifdef CAN_FOLD
/* 16 bytes are carried over those 16 or 64 bytes behind them: each half times the power of x that
   is as far, modulo the polynomial (Gopal et al., Fast CRC Computation for Generic Polynomials Using
   PCLMULQDQ, Intel 2009: k1 to k4, bits reflected). */
#define CARRIED(from, powers, onto)                                                                \
    _mm_xor_si128(_mm_xor_si128(_mm_clmulepi64_si128(from, powers, 0x00),                          \
                                _mm_clmulepi64_si128(from, powers, 0x11)),                         \
                  onto)
#define LOADED(from) _mm_loadu_si128((const __m128i *)(const void *)(from))
enum { LANES = 4, LANE_BYTES = 16, FOLDED_BYTES = LANES * LANE_BYTES };

/* As above, of at least FOLDED_BYTES. */
static __attribute__((target("pclmul,sse4.1"))) uint32_t
crc32_by_folding(uint32_t crc, const unsigned char *at, size_t bytes)
{
    const __m128i by_64 = _mm_set_epi64x(0x1C6E41596, 0x154442BD4);
    const __m128i by_16 = _mm_set_epi64x(0x0CCAA009E, 0x1751997D0);
    unsigned char rest[LANE_BYTES];
    __m128i lanes[LANES];
    /* turns: LANES */
    for (int lane = 0; lane < LANES; lane++)
        lanes[lane] = LOADED(at + lane * LANE_BYTES);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128((int)crc));
    at += FOLDED_BYTES;
    bytes -= FOLDED_BYTES;
    /* turns: bytes / FOLDED_BYTES */
    for (; bytes >= FOLDED_BYTES; at += FOLDED_BYTES, bytes -= FOLDED_BYTES)
        /* turns: LANES */
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] = CARRIED(lanes[lane], by_64, LOADED(at + lane * LANE_BYTES));
    /* turns: LANES - 1 */
    for (int lane = 1; lane < LANES; lane++)
        lanes[0] = CARRIED(lanes[0], by_16, lanes[lane]);
    /* turns: LANES - 1 */
    for (; bytes >= LANE_BYTES; at += LANE_BYTES, bytes -= LANE_BYTES)
        lanes[0] = CARRIED(lanes[0], by_16, LOADED(at));
    _mm_storeu_si128((__m128i *)(void *)rest, lanes[0]);
    return crc32_by_tables(crc32_by_tables(0, rest, LANE_BYTES), at, bytes);
}
#endif

static uint32_t crc32(const unsigned char *at, size_t bytes)
{
#ifdef CAN_FOLD
    if (bytes >= FOLDED_BYTES && CAN_FOLD)
        return ~crc32_by_folding(~0u, at, bytes);
#endif
    return ~crc32_by_tables(~0u, at, bytes);
}

static uint32_t big_endian(const unsigned char *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Chunks with right check sums from the signature to the last byte, of which the last is IEND. */
static bool is_sound(const unsigned char *data, size_t bytes)
{
    size_t at = SIGNATURE_BYTES;
    if (bytes < SIGNATURE_BYTES || memcmp(data, "\x89PNG\r\n\x1a\n", SIGNATURE_BYTES))
        return false;
    /* turns: MOST_CHUNKS */
    for (int count = 0; count < MOST_CHUNKS && bytes - at >= AROUND_BYTES; count++) {
        uint32_t length = big_endian(data + at);
        if (length > bytes - at - AROUND_BYTES ||
            crc32(data + at + 4, (size_t)length + 4) != big_endian(data + at + 8 + length))
            return false;
        if (!memcmp(data + at + 4, "IEND", 4))
            return !length && at + AROUND_BYTES == bytes;
        at += AROUND_BYTES + length;
    }
    return false;
}

static int open_old(int folder, const char *name, struct stat *status)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (fd >= 0 && (fstat(fd, status) || !S_ISREG(status->st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

struct head {
    int folder;
    const char *name;
    long long file_bytes;
    ssize_t bytes;
    unsigned char data[HEAD_BYTES];
};

static void read_head(struct head *head)
{
    struct stat status;
    int fd = open_old(head->folder, head->name, &status);
    head->bytes = fd < 0 ? -1 : pread(fd, head->data, HEAD_BYTES, 0);
    if (fd >= 0) {
        head->file_bytes = status.st_size;
        close(fd);
    }
}

static PyObject *heads_of(const struct head *heads, Py_ssize_t count)
{
    PyObject *found = PyList_New(count);
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = 0; found && at < count; at++) {
        const struct head *head = &heads[at];
        PyObject *one = head->bytes < 0 ? Py_NewRef(Py_None)
                                        : Py_BuildValue("(y#L)", (const char *)head->data,
                                                        (Py_ssize_t)head->bytes, head->file_bytes);
        if (!one || PyList_SetItem(found, at, one))
            Py_CLEAR(found);
    }
    return found;
}

static PyObject *read_heads(PyObject *Py_UNUSED(module), PyObject *wanted)
{
    Py_ssize_t count = PyTuple_Check(wanted) ? PyTuple_Size(wanted) : -1;
    if (count < 0 || count > MOST_ENTRIES) {
        PyErr_SetString(PyExc_ValueError, "not a tuple of some entries");
        return NULL;
    }
    struct head *heads = malloc(((size_t)count + 1) * sizeof *heads);
    if (!heads)
        return PyErr_NoMemory();
    PyObject *found = NULL;
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = 0; at < count; at++)
        if (!PyArg_ParseTuple(PyTuple_GetItem(wanted, at), "is", &heads[at].folder,
                              &heads[at].name))
            goto done;
    Py_BEGIN_ALLOW_THREADS
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = 0; at < count; at++)
        read_head(&heads[at]);
    Py_END_ALLOW_THREADS
    found = heads_of(heads, count);
done:
    free(heads);
    return found;
}

struct stamp {
    uint64_t inode;
    int64_t mtime_ns, bytes;
};

struct entry {
    int folder;
    const char *old_name, *name;
    long long old_bytes;
    const char *head, *beginning;
    Py_ssize_t head_bytes, beginning_bytes, from;
    struct stamp stamp;
};

/* Old entries of one job, one behind the other. */
struct buffer {
    unsigned char *data;
    size_t room;
};

struct job {
    const char *path;
    unsigned long long device, inode;
    long long bytes, mtime_ns, ctime_ns;
    const char *fail;
    Py_ssize_t first, end; /* of its entries */
    bool done;
};

/* Every time that a file system keeps, within 64 bits. */
static bool is_time(const struct timespec *time, long long wanted_ns)
{
    int64_t most = INT64_MAX / 1000000000 - 1;
    return time->tv_sec <= most && time->tv_sec >= -most &&
           (long long)time->tv_sec * 1000000000 + time->tv_nsec == wanted_ns;
}

/* A link is another file than the one it leads to, and may lead to a share that hangs. */
static bool is_as_it_was(const struct job *job)
{
    struct stat status;
    return !lstat(job->path, &status) && (unsigned long long)status.st_dev == job->device &&
           (unsigned long long)status.st_ino == job->inode && status.st_size == job->bytes &&
           is_time(&MODIFIED(status), job->mtime_ns) && is_time(&CHANGED(status), job->ctime_ns);
}

/* Read it whole: it has to begin as it did when it was judged, and to be sound. */
static bool read_old(const struct entry *entry, unsigned char *data)
{
    struct stat status;
    int fd = open_old(entry->folder, entry->old_name, &status);
    if (fd < 0)
        return false;
    size_t bytes = (size_t)entry->old_bytes;
    bool sound = status.st_size == entry->old_bytes &&
                 pread(fd, data, bytes, 0) == (ssize_t)bytes &&
                 !memcmp(data, entry->head, (size_t)entry->head_bytes) && is_sound(data, bytes);
    close(fd);
    return sound;
}

static bool read_olds(const struct job *job, const struct entry *entries, struct buffer *buffer)
{
    size_t wanted = 0;
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = job->first; at < job->end; at++)
        wanted += (size_t)entries[at].old_bytes;
    if (wanted > buffer->room) {
        free(buffer->data);
        buffer->data = malloc(wanted);
        buffer->room = buffer->data ? wanted : 0;
    }
    unsigned char *data = buffer->data;
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = job->first; data && at < job->end; at++) {
        if (!read_old(&entries[at], data))
            return false;
        data += entries[at].old_bytes;
    }
    return data != NULL;
}

static bool fill(int fd, struct entry *entry, unsigned char *old)
{
    struct stat status;
    struct iovec parts[] = {
        {(void *)(uintptr_t)entry->beginning, (size_t)entry->beginning_bytes},
        {old + entry->from, (size_t)entry->old_bytes - (size_t)entry->from},
    };
    ssize_t written = writev(fd, parts, 2);
    if (written < 0 || (size_t)written != parts[0].iov_len + parts[1].iov_len ||
        fstat(fd, &status))
        return false;
    /* the umask or the folder took some, or the file system keeps none: `cache.atomic` */
    if ((status.st_mode & 07777) != FILE_MODE && fchmod(fd, FILE_MODE) && errno != EPERM &&
        errno != EOPNOTSUPP && errno != ENOSYS)
        return false;
    entry->stamp = (struct stamp){
        status.st_ino, (int64_t)MODIFIED(status).tv_sec * 1000000000 + MODIFIED(status).tv_nsec,
        status.st_size};
    return true;
}

static bool commit(const char *temp, struct entry *entry, unsigned char *old)
{
    const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(entry->folder, temp, flags, FILE_MODE);
    if (fd < 0)
        return false;
    bool filled = fill(fd, entry, old);
    /* network file systems report here that they could not write */
    if (!close(fd) && filled && !renameat(entry->folder, temp, entry->folder, entry->name))
        return true;
    unlinkat(entry->folder, temp, 0);
    return false;
}

static void do_job(const char *temp, int fails, struct job *job, struct entry *entries,
                   struct buffer *buffer)
{
    /* the source last: it may change until its entries are there */
    job->done = read_olds(job, entries, buffer) && is_as_it_was(job);
    unsigned char *old = buffer->data;
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = job->first; job->done && at < job->end; at++) {
        job->done = commit(temp, &entries[at], old);
        old += entries[at].old_bytes;
    }
    if (job->done && fails >= 0 && unlinkat(fails, job->fail, 0))
        job->done = errno == ENOENT;
}

/* What is not within the old entry is refused. */
static bool parse_entry(PyObject *given, struct entry *entry)
{
    if (!PyArg_ParseTuple(given, "isLy#nsy#", &entry->folder, &entry->old_name, &entry->old_bytes,
                          &entry->head, &entry->head_bytes, &entry->from, &entry->name,
                          &entry->beginning, &entry->beginning_bytes))
        return false;
    if (entry->from >= 0 && entry->from <= entry->head_bytes &&
        entry->head_bytes <= entry->old_bytes && entry->old_bytes <= MOST_BYTES)
        return true;
    PyErr_SetString(PyExc_ValueError, "an entry of impossible sizes");
    return false;
}

static PyObject *stamps_of(const struct job *job, const struct entry *entries)
{
    PyObject *stamps = PyTuple_New(job->end - job->first);
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = job->first; stamps && at < job->end; at++) {
        const struct stamp *stamp = &entries[at].stamp;
        PyObject *one = Py_BuildValue("(KLL)", (unsigned long long)stamp->inode,
                                      (long long)stamp->mtime_ns, (long long)stamp->bytes);
        if (!one || PyTuple_SetItem(stamps, at - job->first, one))
            Py_CLEAR(stamps);
    }
    return stamps;
}

static PyObject *write_entries(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    const char *temp;
    int fails;
    PyObject *given, *result = NULL;
    if (!PyArg_ParseTuple(arguments, "siO!", &temp, &fails, &PyTuple_Type, &given))
        return NULL;
    Py_ssize_t count = PyTuple_Size(given), written = 0;
    if (count > MOST_ENTRIES) {
        PyErr_SetString(PyExc_ValueError, "too many jobs");
        return NULL;
    }
    struct job *jobs = calloc((size_t)count + 1, sizeof *jobs);
    struct entry *entries = calloc(MOST_ENTRIES, sizeof *entries);
    struct buffer buffer = {0};
    if (!jobs || !entries) {
        PyErr_NoMemory();
        goto done;
    }
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = 0; at < count; at++) {
        struct job *job = &jobs[at];
        PyObject *of_job;
        if (!PyArg_ParseTuple(PyTuple_GetItem(given, at), "yKKLLLsO!", &job->path, &job->device,
                              &job->inode, &job->bytes, &job->mtime_ns, &job->ctime_ns, &job->fail,
                              &PyTuple_Type, &of_job))
            goto done;
        job->first = written;
        job->end = written + PyTuple_Size(of_job);
        if (job->end > MOST_ENTRIES) {
            PyErr_SetString(PyExc_ValueError, "too many entries");
            goto done;
        }
        /* turns: MOST_ENTRIES */
        for (; written < job->end; written++)
            if (!parse_entry(PyTuple_GetItem(of_job, written - job->first), &entries[written]))
                goto done;
    }
    Py_BEGIN_ALLOW_THREADS
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = 0; at < count; at++)
        do_job(temp, fails, &jobs[at], entries, &buffer);
    Py_END_ALLOW_THREADS
    result = PyList_New(count);
    /* turns: MOST_ENTRIES */
    for (Py_ssize_t at = 0; result && at < count; at++) {
        PyObject *one = jobs[at].done ? stamps_of(&jobs[at], entries) : Py_NewRef(Py_None);
        if (!one || PyList_SetItem(result, at, one))
            Py_CLEAR(result);
    }
done:
    free(jobs);
    free(entries);
    free(buffer.data);
    return result;
}

PyDoc_STRVAR(heads_doc, "heads(entries)\n\nSee `pregen.reuse.batch.heads`.");
PyDoc_STRVAR(write_doc, "write(temp, fails, jobs)\n\nSee `pregen.reuse.batch.write`.");

static PyMethodDef methods[] = {
    {"heads", read_heads, METH_O, heads_doc},
    {"write", write_entries, METH_VARARGS, write_doc},
    {0},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pregen.reuse._batch",
    .m_doc = "Reads and writes many entries.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__batch(void)
{
    fill_tables();
    return PyModuleDef_Init(&module);
}
