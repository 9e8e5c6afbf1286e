/* What targets for libFuzzer have in common: what they count and say, and how they end.
 *
 * `fuzz_decoder.py` reads what is printed here. Plain twins do without it.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `samples` were compared, and `apart` of them differed within the bound. */
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

/* Say what is wrong, in one line, and end the process. */
static __attribute__((noreturn, format(printf, 1, 2))) void found(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    fputs("FOUND: ", stderr);
    vfprintf(stderr, format, values);
    fputs("\n", stderr);
    va_end(values);
    say_counts();
    abort();
}

#endif
