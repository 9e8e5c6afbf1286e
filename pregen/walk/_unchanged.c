/* Which files of a folder, and which entries of theirs, are as they were: by stat, in one call.

   `unchanged.py` says what is asked and answered, and does the same where no compiler was there.
   A folder is listed once, and a name is looked up only where the listing and the memory both have
   it. The memory is a row of the journal: any bytes. It is read within its bounds, and its names
   are never given to the kernel unless the listing gave the same. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __APPLE__
#define MODIFIED(status) (status).st_mtimespec
#else
#define MODIFIED(status) (status).st_mtim
#endif

enum { KEY_BYTES = 16, MOST_FLAVORS = 8 };
/* Steps through chains, for each name: two chains as long as this are next to impossible. */
enum { MOST_STEPS = 16 };
/* Looks are shared between as many threads as there are processors, up to these: one alone waits
   for the kernel most of the time. It has to be worth it. */
enum { MOST_THREADS = 4, LEAST_NAMES = 256, STACK_BYTES = 256 * 1024 };
/* struct "<qq16s": size, mtime, key; then "Qqq" for each flavor: inode, mtime, size. */
enum { SOURCE_BYTES = 16 + KEY_BYTES, STAMP_BYTES = 24 };

/* Which unwanted entries a folder may hold: a `cache.keyset.KeySet`. */
struct keys {
    const unsigned char *bits;
    size_t bytes;
    int shift;
};

struct question {
    int folder;
    uint64_t device;
    const char *names;
    size_t names_bytes;
    const unsigned char *facts;
    size_t facts_bytes;
    int flavors;
    int entries[MOST_FLAVORS];
    int others_count;
    struct keys others[MOST_FLAVORS];
    bool hidden;
    size_t most_rest;
};

struct name {
    const char *text;
    uint32_t bytes;
    uint32_t next; /* in its chain, plus one; 0 ends it */
    uint32_t same; /* the row that stands for all rows of this name, plus one; 0: this one */
    bool listed, fresh;
};

/* Every `step`th name from `first` on. */
struct share {
    const struct question *question;
    struct name *known;
    size_t count, first, step;
};

struct answer {
    size_t fresh;
    int error;
    char *rest; /* names, each with its zero byte */
    size_t rest_bytes, rest_room, rest_count;
};

enum result { DONE, TOO_MANY, MISFIT, NO_MEMORY, FAILED };

static uint64_t number(const unsigned char *at)
{
    uint64_t value = 0;
    /* turns: 8 */
    for (int byte = 7; byte >= 0; byte--)
        value = value << 8 | at[byte];
    return value;
}

/* FNV-1a. Names can be made to collide: `look` counts its steps. */
static uint32_t hash(const char *text, size_t bytes)
{
    uint32_t value = 2166136261u;
    /* turns: the length of a name */
    for (size_t at = 0; at < bytes; at++)
        value = (value ^ (unsigned char)text[at]) * 16777619u;
    return value;
}

static bool keep(struct answer *answer, const char *text, size_t bytes)
{
    if (answer->rest_room - answer->rest_bytes < bytes + 1) {
        size_t room = 2 * answer->rest_room + bytes + 4096;
        char *more = realloc(answer->rest, room);
        if (!more)
            return false;
        answer->rest = more;
        answer->rest_room = room;
    }
    memcpy(answer->rest + answer->rest_bytes, text, bytes);
    answer->rest[answer->rest_bytes + bytes] = 0;
    answer->rest_bytes += bytes + 1;
    answer->rest_count++;
    return true;
}

/* Times beyond 64 bits are in no row. */
static bool modified_at(const struct stat *status, uint64_t mtime_ns)
{
    int64_t seconds = MODIFIED(*status).tv_sec, most = INT64_MAX / 1000000000 - 1;
    return seconds <= most && seconds >= -most &&
           (uint64_t)(seconds * 1000000000 + MODIFIED(*status).tv_nsec) == mtime_ns;
}

static bool may_be_elsewhere(const struct question *question, const unsigned char *key)
{
    uint32_t prefix =
        (uint32_t)key[0] << 24 | (uint32_t)key[1] << 16 | (uint32_t)key[2] << 8 | key[3];
    /* turns: MOST_FLAVORS */
    for (int other = 0; other < question->others_count; other++) {
        const struct keys *keys = &question->others[other];
        uint32_t slot = prefix >> keys->shift;
        if (slot >> 3 >= keys->bytes || keys->bits[slot >> 3] >> (slot & 7) & 1)
            return true;
    }
    return false;
}

static bool is_fresh(const struct question *question, const char *name, const unsigned char *facts)
{
    static const char digits[] = "0123456789abcdef";
    struct stat status;
    const unsigned char *key = facts + 16;
    if (fstatat(question->folder, name, &status, 0) || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_dev != question->device || (uint64_t)status.st_size != number(facts) ||
        !modified_at(&status, number(facts + 8)) || may_be_elsewhere(question, key))
        return false;
    char entry[2 * KEY_BYTES + sizeof ".png"];
    /* turns: KEY_BYTES */
    for (int at = 0; at < KEY_BYTES; at++) {
        entry[2 * at] = digits[key[at] >> 4];
        entry[2 * at + 1] = digits[key[at] & 15];
    }
    memcpy(entry + 2 * KEY_BYTES, ".png", sizeof ".png");
    /* turns: MOST_FLAVORS */
    for (int flavor = 0; flavor < question->flavors; flavor++) {
        const unsigned char *stamp = facts + SOURCE_BYTES + flavor * STAMP_BYTES;
        if (fstatat(question->entries[flavor], entry, &status, AT_SYMLINK_NOFOLLOW) ||
            !S_ISREG(status.st_mode) || !(status.st_mode & S_IRUSR) ||
            (uint64_t)status.st_ino != number(stamp) ||
            !modified_at(&status, number(stamp + 8)) ||
            (uint64_t)status.st_size != number(stamp + 16))
            return false;
    }
    return true;
}

static void *look_at_share(void *shared)
{
    const struct share *share = shared;
    const size_t row_bytes = SOURCE_BYTES + (size_t)share->question->flavors * STAMP_BYTES;
    /* turns: a part of the row's names */
    for (size_t at = share->first; at < share->count; at += share->step)
        if (share->known[at].listed)
            share->known[at].fresh = is_fresh(share->question, share->known[at].text,
                                              share->question->facts + at * row_bytes);
    return NULL;
}

static void look_at_files(const struct question *question, struct name *known, size_t count)
{
    struct share shares[MOST_THREADS];
    pthread_t threads[MOST_THREADS];
    bool runs[MOST_THREADS] = {false};
    pthread_attr_t small;
    sigset_t all, before;
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    size_t step = processors < 1 ? 1 : processors > MOST_THREADS ? MOST_THREADS : (size_t)processors;
    if (count < LEAST_NAMES || step == 1 || pthread_attr_init(&small))
        step = 1;
    /* turns: MOST_THREADS */
    for (size_t at = 0; at < step; at++)
        shares[at] = (struct share){question, known, count, at, step};
    if (step > 1) {
        /* Signals are for the threads that Python knows. */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        pthread_attr_setstacksize(&small, STACK_BYTES);
        /* turns: MOST_THREADS */
        for (size_t at = 1; at < step; at++)
            runs[at] = !pthread_create(&threads[at], &small, look_at_share, &shares[at]);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        pthread_attr_destroy(&small);
    }
    /* turns: MOST_THREADS */
    for (size_t at = 0; at < step; at++)
        if (!runs[at])
            look_at_share(&shares[at]);
    /* turns: MOST_THREADS */
    for (size_t at = 1; at < step; at++)
        if (runs[at])
            pthread_join(threads[at], NULL);
}

static enum result look(const struct question *question, DIR *listing, struct name *known,
                        uint32_t *heads, uint32_t mask, size_t count, struct answer *answer)
{
    const struct dirent *entry;
    size_t listed = 0, steps = MOST_STEPS * (count + question->most_rest);
    /* turns: most_rest names that are not in the row, twice as many as are */
    while (errno = 0, (entry = readdir(listing))) {
        const char *text = entry->d_name;
        size_t bytes = strlen(text);
        if (text[0] == '.' && (bytes == 1 || (bytes == 2 && text[1] == '.')))
            continue;
        uint32_t at = text[0] == '.' && !question->hidden ? 0 : heads[hash(text, bytes) & mask];
        /* turns: in all MOST_STEPS for each name */
        while (at && (known[at - 1].bytes != bytes || memcmp(known[at - 1].text, text, bytes))) {
            at = known[at - 1].next;
            if (!steps--)
                return TOO_MANY;
        }
        if (at) {
            const uint32_t first = at;
            known[at - 1].listed = true;
            /* A file that has entries under several keys has as many rows. */
            /* turns: in all MOST_STEPS for each name */
            while ((at = known[at - 1].next)) {
                if (!steps--)
                    return TOO_MANY;
                if (known[at - 1].bytes == bytes && !memcmp(known[at - 1].text, text, bytes)) {
                    known[at - 1].listed = true;
                    known[at - 1].same = first;
                }
            }
            if (++listed > 2 * count) /* a listing that never ends */
                return TOO_MANY;
        } else if (answer->rest_count >= question->most_rest) {
            return TOO_MANY;
        } else if (!keep(answer, text, bytes)) {
            return NO_MEMORY;
        }
    }
    if (errno) {
        answer->error = errno;
        return FAILED;
    }
    look_at_files(question, known, count);
    /* turns: the row's names */
    for (size_t at = 0; at < count; at++)
        if (known[at].same && !known[at].fresh)
            known[known[at].same - 1].fresh = false;
    /* turns: the row's names */
    for (size_t at = 0; at < count; at++) {
        if (!known[at].listed || known[at].same)
            continue;
        if (known[at].fresh)
            answer->fresh++;
        else if (answer->rest_count >= question->most_rest)
            return TOO_MANY;
        else if (!keep(answer, known[at].text, known[at].bytes))
            return NO_MEMORY;
    }
    return DONE;
}

/* Between two names is a zero byte; there is one at the end too, as there is in Python's bytes. */
static size_t split(const struct question *question, struct name *known, uint32_t *heads,
                    uint32_t mask)
{
    size_t count = 0;
    const char *at = question->names, *end = at + question->names_bytes;
    /* turns: the bytes of the names */
    while (at <= end) {
        const char *stop = memchr(at, 0, (size_t)(end - at));
        if (!stop)
            stop = end;
        if (known) {
            struct name *name = &known[count];
            uint32_t *head = &heads[hash(at, (size_t)(stop - at)) & mask];
            *name = (struct name){at, (uint32_t)(stop - at), *head, 0, false, false};
            *head = (uint32_t)count + 1;
        }
        count++;
        at = stop + 1;
    }
    return count;
}

static enum result settle(const struct question *question, struct answer *answer)
{
    const size_t count = split(question, NULL, NULL, 0);
    if (question->names_bytes >= UINT32_MAX || count > UINT32_MAX / 4 ||
        count * (SOURCE_BYTES + (size_t)question->flavors * STAMP_BYTES) != question->facts_bytes)
        return MISFIT;
    uint32_t slots = 16;
    /* turns: 32 */
    while (slots < 2 * count)
        slots *= 2;
    struct name *known = calloc(count, sizeof *known);
    uint32_t *heads = calloc(slots, sizeof *heads);
    enum result result = NO_MEMORY;
    if (known && heads) {
        split(question, known, heads, slots - 1);
        int own = openat(question->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *listing = own < 0 ? NULL : fdopendir(own);
        answer->error = errno;
        result = FAILED;
        if (listing) {
            result = look(question, listing, known, heads, slots - 1, count, answer);
            closedir(listing);
        } else if (own >= 0) {
            close(own);
        }
    }
    free(known);
    free(heads);
    return result;
}

static PyObject *list_of(const struct answer *answer)
{
    PyObject *rest = PyList_New(0);
    /* turns: most_rest */
    for (const char *at = answer->rest; rest && at < answer->rest + answer->rest_bytes;) {
        size_t bytes = strlen(at);
        PyObject *name = PyBytes_FromStringAndSize(at, (Py_ssize_t)bytes);
        if (!name || PyList_Append(rest, name))
            Py_CLEAR(rest);
        Py_XDECREF(name);
        at += bytes + 1;
    }
    return rest;
}

static bool read_fds(PyObject *entries, struct question *question)
{
    Py_ssize_t count = PyTuple_Size(entries);
    if (count < 0 || count > MOST_FLAVORS) {
        PyErr_SetString(PyExc_ValueError, "too many folders of entries");
        return false;
    }
    question->flavors = (int)count;
    /* turns: MOST_FLAVORS */
    for (int at = 0; at < question->flavors; at++) {
        long fd = PyLong_AsLong(PyTuple_GetItem(entries, at));
        if (fd == -1 && PyErr_Occurred())
            return false;
        question->entries[at] = (int)fd;
    }
    return true;
}

/* The buffers are released by the caller, `others_count` of them. */
static bool read_others(PyObject *others, struct question *question, Py_buffer *buffers)
{
    Py_ssize_t count = PyTuple_Size(others);
    if (count < 0 || count > MOST_FLAVORS) {
        PyErr_SetString(PyExc_ValueError, "too many folders of other entries");
        return false;
    }
    /* turns: MOST_FLAVORS */
    for (Py_ssize_t at = 0; at < count; at++) {
        int shift;
        if (!PyArg_ParseTuple(PyTuple_GetItem(others, at), "y*i", &buffers[at], &shift))
            return false;
        question->others_count++;
        if (shift < 0 || shift > 31) {
            PyErr_SetString(PyExc_ValueError, "no prefix has as many bits");
            return false;
        }
        question->others[at] = (struct keys){buffers[at].buf, (size_t)buffers[at].len, shift};
    }
    return true;
}

static PyObject *unchanged(PyObject *Py_UNUSED(module), PyObject *arguments)
{
    struct question question = {0};
    struct answer answer = {0};
    Py_buffer facts, buffers[MOST_FLAVORS];
    unsigned long long device;
    PyObject *names, *entries, *others, *found = NULL;
    int hidden;
    Py_ssize_t most_rest;
    if (!PyArg_ParseTuple(arguments, "iKSy*O!O!pn", &question.folder, &device, &names, &facts,
                          &PyTuple_Type, &entries, &PyTuple_Type, &others, &hidden, &most_rest))
        return NULL;
    question.device = device;
    question.names = PyBytes_AsString(names);
    question.names_bytes = (size_t)PyBytes_Size(names);
    question.facts = facts.buf;
    question.facts_bytes = (size_t)facts.len;
    question.hidden = hidden;
    question.most_rest = most_rest < 0 ? 0 : (size_t)most_rest;
    if (read_fds(entries, &question) && read_others(others, &question, buffers)) {
        enum result result;
        Py_BEGIN_ALLOW_THREADS
        result = settle(&question, &answer);
        Py_END_ALLOW_THREADS
        PyObject *rest = NULL;
        if (result == DONE && (rest = list_of(&answer)))
            found = Py_BuildValue("(nN)", (Py_ssize_t)answer.fresh, rest);
        else if (result == NO_MEMORY)
            PyErr_NoMemory();
        else if (result == FAILED) {
            errno = answer.error;
            PyErr_SetFromErrno(PyExc_OSError);
        } else if (result != DONE)
            found = Py_NewRef(Py_None);
        free(answer.rest);
    }
    /* turns: MOST_FLAVORS */
    for (int at = 0; at < question.others_count; at++)
        PyBuffer_Release(&buffers[at]);
    PyBuffer_Release(&facts);
    return found;
}

PyDoc_STRVAR(unchanged_doc,
             "unchanged(folder, device, names, facts, entries, others, hidden, most_rest)\n\n"
             "See `pregen.walk.unchanged.unchanged`.");

static PyMethodDef methods[] = {{"unchanged", unchanged, METH_VARARGS, unchanged_doc}, {0}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "pregen.walk._unchanged",
    .m_doc = "Which files of a folder are as they were.",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC PyInit__unchanged(void) { return PyModuleDef_Init(&module); }
