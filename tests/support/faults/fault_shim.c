/* Between a program and libc: makes one chosen call fail, fall short, or be the program's last.
 *
 * Loaded with LD_PRELOAD. The variables' names begin with PYTHON_, as workers are told of few others.
 * PYTHON_FAULT_LOG names a file to which every call that could be chosen is written, as "call
 * class\n". PYTHON_FAULT_PLAN is "call class nth fault": of the calls of that name on that class of
 * file, the nth in this process gets the fault. PYTHON_FAULT_ONCE names a file that is made when that
 * happens, and without which it happens in one process only. PYTHON_FAULT_ROLE "worker" leaves all
 * processes alone but those that a fork server forked. fault_arm() reads these again.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static char plan_call[32], plan_class[32], plan_fault[32], log_path[512], once_path[512];
static char swap_from[512], swap_to[512];
static long swap_s;
static int plan_nth, seen, armed, only_workers;
static pid_t first_pid;
static __thread int inside;

static void take(char *to, size_t size, const char *name) {
  const char *value = getenv(name);
  snprintf(to, size, "%s", value ? value : "");
}

__attribute__((visibility("default"))) void fault_arm(void) {
  char plan[200];
  take(plan, sizeof plan, "PYTHON_FAULT_PLAN");
  take(log_path, sizeof log_path, "PYTHON_FAULT_LOG");
  take(once_path, sizeof once_path, "PYTHON_FAULT_ONCE");
  take(swap_from, sizeof swap_from, "PYTHON_FAULT_SWAP_FROM");
  take(swap_to, sizeof swap_to, "PYTHON_FAULT_SWAP_TO");
  const char *second = getenv("PYTHON_FAULT_SWAP_S");
  swap_s = second ? atol(second) : 0;
  seen = 0;
  armed = sscanf(plan, "%31s %31s %d %31s", plan_call, plan_class, &plan_nth, plan_fault) == 4;
  const char *role = getenv("PYTHON_FAULT_ROLE");
  only_workers = role && !strcmp(role, "worker");
  first_pid = getpid();
}

__attribute__((constructor)) static void begin(void) { fault_arm(); }

static int is_worker(void) {
  static pid_t known;
  static int answer;
  if (known == getpid()) return answer;
  char line[4096];
  int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY);
  ssize_t got = fd < 0 ? 0 : syscall(SYS_read, fd, line, sizeof line - 1);
  if (fd >= 0) syscall(SYS_close, fd);
  for (ssize_t i = 0; i < got; i++) if (!line[i]) line[i] = ' ';
  line[got > 0 ? got : 0] = 0;
  answer = getpid() != first_pid && strstr(line, "multiprocessing.forkserver") != NULL;
  known = getpid();
  return answer;
}

static int ends(const char *path, const char *tail) {
  size_t a = strlen(path), b = strlen(tail);
  return a >= b && !strcmp(path + a - b, tail);
}

/* What kind of file this is to a run; NULL for what is none of its business. */
static const char *class_of(const char *path) {
  if (!armed && !log_path[0]) return NULL;
  if (strstr(path, "socket:[")) return "socket";
  if (strstr(path, "pipe:[")) return "pipe";
  if (strstr(path, "[eventpoll]")) return "poll";
  if (strstr(path, "memfd:")) return "memory";
  if (ends(path, "journal.sqlite3")) return "journal";
  if (ends(path, "sqlite3-wal")) return "wal";
  if (ends(path, "sqlite3-shm")) return "shm";
  if (ends(path, "sqlite3-journal")) return "rollback";
  if (ends(path, "/state/pregen") || ends(path, "/state")) return "journal-dir";
  if (ends(path, ".pregen.lock")) return "lock";
  if (ends(path, ".tmp") && strstr(path, ".pregen-")) return "temp";
  if (ends(path, "/photos/0.jpg")) return "source";
  if (ends(path, ".png")) return "entry";
  if (ends(path, "/thumbnails") || strstr(path, "/thumbnails/") || ends(path, "/cache")) return "folder";
  return NULL;
}

static const char *class_of_fd(int fd) {
  if (!armed && !log_path[0]) return NULL;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (size <= 0) return NULL;
  path[size] = 0;
  if (ends(path, " (deleted)")) path[strlen(path) - 10] = 0;
  return class_of(path);
}

static const char *class_at(int dir, const char *name) {
  char link[64], path[8192];
  if (!name) return NULL;
  if (name[0] == '/' || dir == AT_FDCWD) return class_of(name);
  snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
  ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, path, 4095);
  if (size <= 0) return NULL;
  snprintf(path + size, sizeof path - size, "/%s", name);
  return class_of(path);
}

static void copy(const char *from, const char *to) {
  char block[65536];
  int in = syscall(SYS_openat, AT_FDCWD, from, O_RDONLY);
  int out = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_TRUNC);
  ssize_t got;
  while ((got = syscall(SYS_read, in, block, sizeof block)) > 0) syscall(SYS_write, out, block, got);
  syscall(SYS_close, in);
  syscall(SYS_close, out);
}

static const struct { const char *name; int number; } ERRORS[] = {
  {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"EACCES", EACCES}, {"EROFS", EROFS},
  {"EMFILE", EMFILE}, {"EINTR", EINTR}, {"ESTALE", ESTALE},
};

/* Do to the source what others may do at any moment. "-soon": its time stays in the second it was
 * (PYTHON_FAULT_SWAP_S). swap_from is another version of it. */
static void change(void) {
  int soon = strstr(plan_fault, "-soon") != NULL;
  struct timespec times[2] = {{0, UTIME_OMIT}, {swap_s, 100000000}};
  if (!strncmp(plan_fault, "replaced", 8))
    syscall(SYS_renameat2, AT_FDCWD, swap_from, AT_FDCWD, swap_to, 0);
  else if (!strncmp(plan_fault, "rewritten", 9))
    copy(swap_from, swap_to);
  else if (strncmp(plan_fault, "touched", 7))
    return;
  syscall(SYS_utimensat, AT_FDCWD, swap_to, soon ? times : NULL, 0);
}

enum { GO, FAIL, SHORT, DIE_AFTER, CHANGE_MID };

/* Decide what this call gets; sets errno for FAIL. */
static int verdict(const char *call, const char *class) {
  int saved = errno, answer = GO;
  if (!class || inside) return GO;
  inside = 1;
  if (log_path[0] && (!only_workers || is_worker())) {
    char line[80];
    int size = snprintf(line, sizeof line, "%s %s\n", call, class);
    int fd = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    syscall(SYS_write, fd, line, size);
    syscall(SYS_close, fd);
  }
  if (armed && !strcmp(call, plan_call) && !strcmp(class, plan_class) &&
      (!only_workers || is_worker()) && __sync_add_and_fetch(&seen, 1) == plan_nth) {
    int fd = 0;
    if (once_path[0]) fd = syscall(SYS_openat, AT_FDCWD, once_path, O_CREAT | O_EXCL, 0600);
    if (fd >= 0) {
      if (once_path[0]) syscall(SYS_close, fd);
      if (!strcmp(plan_fault, "kill-before")) syscall(SYS_kill, getpid(), SIGKILL);
      if (!strcmp(plan_fault, "kill-after")) answer = DIE_AFTER;
      if (!strcmp(plan_fault, "short")) answer = SHORT;
      if (strstr(plan_fault, "-mid")) answer = CHANGE_MID;
      else change();
      for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (!strcmp(plan_fault, ERRORS[i].name)) { saved = ERRORS[i].number; answer = FAIL; }
    }
  }
  inside = 0;
  errno = saved;
  return answer;
}

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)
#define CALL(type, call, class, expression) \
  int what = verdict(call, class); \
  if (what == FAIL) return (type)-1; \
  type result = (type)(expression); \
  if (what == DIE_AFTER) syscall(SYS_kill, getpid(), SIGKILL); \
  return result
/* `size` is halved for a call that is to fall short; less than any picture has comes before what
 * happens in the middle. */
#define MID 700
#define TRANSFER(call, class, expression) \
  int what = verdict(call, class); \
  if (what == FAIL) return -1; \
  if ((what == SHORT || what == CHANGE_MID) && size > 1) size = what == SHORT ? size / 2 : MID; \
  ssize_t result = expression; \
  if (what == CHANGE_MID) change(); \
  if (what == DIE_AFTER) syscall(SYS_kill, getpid(), SIGKILL); \
  return result

#define MODE_OF_OPEN \
  va_list more; va_start(more, flags); \
  mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0; va_end(more)
int open(const char *path, int flags, ...) {
  MODE_OF_OPEN; REAL(int, "open", const char *, int, ...);
  CALL(int, "open", class_at(AT_FDCWD, path), real(path, flags, mode));
}
int open64(const char *path, int flags, ...) {
  MODE_OF_OPEN; REAL(int, "open64", const char *, int, ...);
  CALL(int, "open", class_at(AT_FDCWD, path), real(path, flags, mode));
}
int openat(int dir, const char *path, int flags, ...) {
  MODE_OF_OPEN; REAL(int, "openat", int, const char *, int, ...);
  CALL(int, "open", class_at(dir, path), real(dir, path, flags, mode));
}
int openat64(int dir, const char *path, int flags, ...) {
  MODE_OF_OPEN; REAL(int, "openat64", int, const char *, int, ...);
  CALL(int, "open", class_at(dir, path), real(dir, path, flags, mode));
}
int close(int fd) {
  REAL(int, "close", int);
  const char *class = inside ? NULL : class_of_fd(fd);
  int what = class ? verdict("close", class) : GO;
  int result = real(fd); /* Linux closes it whatever it answers */
  if (what == DIE_AFTER) syscall(SYS_kill, getpid(), SIGKILL);
  if (what == FAIL) {
    verdict("", NULL);
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
      if (!strcmp(plan_fault, ERRORS[i].name)) errno = ERRORS[i].number;
    return -1;
  }
  return result;
}
ssize_t write(int fd, const void *data, size_t size) {
  REAL(ssize_t, "write", int, const void *, size_t);
  TRANSFER("write", class_of_fd(fd), real(fd, data, size));
}
ssize_t read(int fd, void *data, size_t size) {
  REAL(ssize_t, "read", int, void *, size_t);
  TRANSFER("read", class_of_fd(fd), real(fd, data, size));
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
  TRANSFER("write", class_of_fd(fd), real(fd, data, size, at));
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  TRANSFER("write", class_of_fd(fd), real(fd, data, size, at));
}
ssize_t pread(int fd, void *data, size_t size, off_t at) {
  REAL(ssize_t, "pread", int, void *, size_t, off_t);
  TRANSFER("read", class_of_fd(fd), real(fd, data, size, at));
}
ssize_t pread64(int fd, void *data, size_t size, off64_t at) {
  REAL(ssize_t, "pread64", int, void *, size_t, off64_t);
  TRANSFER("read", class_of_fd(fd), real(fd, data, size, at));
}
ssize_t send(int fd, const void *data, size_t size, int flags) {
  REAL(ssize_t, "send", int, const void *, size_t, int);
  TRANSFER("send", class_of_fd(fd), real(fd, data, size, flags));
}
ssize_t recv(int fd, void *data, size_t size, int flags) {
  REAL(ssize_t, "recv", int, void *, size_t, int);
  TRANSFER("recv", class_of_fd(fd), real(fd, data, size, flags));
}
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  REAL(ssize_t, "sendmsg", int, const struct msghdr *, int);
  CALL(ssize_t, "sendmsg", class_of_fd(fd), real(fd, message, flags));
}
ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  REAL(ssize_t, "recvmsg", int, struct msghdr *, int);
  CALL(ssize_t, "recvmsg", class_of_fd(fd), real(fd, message, flags));
}
int socketpair(int domain, int type, int protocol, int fds[2]) {
  REAL(int, "socketpair", int, int, int, int[2]);
  CALL(int, "socketpair", "socket", real(domain, type, protocol, fds));
}
int pipe2(int fds[2], int flags) {
  REAL(int, "pipe2", int[2], int);
  CALL(int, "pipe2", "pipe", real(fds, flags));
}
int memfd_create(const char *name, unsigned flags) {
  REAL(int, "memfd_create", const char *, unsigned);
  CALL(int, "memfd_create", "memory", real(name, flags));
}
int fsync(int fd) { REAL(int, "fsync", int); CALL(int, "fsync", class_of_fd(fd), real(fd)); }
int fdatasync(int fd) { REAL(int, "fdatasync", int); CALL(int, "fsync", class_of_fd(fd), real(fd)); }
int fchmod(int fd, mode_t mode) {
  REAL(int, "fchmod", int, mode_t); CALL(int, "fchmod", class_of_fd(fd), real(fd, mode));
}
int chmod(const char *path, mode_t mode) {
  REAL(int, "chmod", const char *, mode_t);
  CALL(int, "chmod", class_at(AT_FDCWD, path), real(path, mode));
}
int ftruncate(int fd, off_t size) {
  REAL(int, "ftruncate", int, off_t); CALL(int, "ftruncate", class_of_fd(fd), real(fd, size));
}
int ftruncate64(int fd, off64_t size) {
  REAL(int, "ftruncate64", int, off64_t); CALL(int, "ftruncate", class_of_fd(fd), real(fd, size));
}
int flock(int fd, int how) { REAL(int, "flock", int, int); CALL(int, "flock", class_of_fd(fd), real(fd, how)); }
int fstat(int fd, struct stat *facts) {
  REAL(int, "fstat", int, struct stat *); CALL(int, "stat", class_of_fd(fd), real(fd, facts));
}
int fstat64(int fd, struct stat64 *facts) {
  REAL(int, "fstat64", int, struct stat64 *); CALL(int, "stat", class_of_fd(fd), real(fd, facts));
}
int fstatat64(int dir, const char *path, struct stat64 *facts, int flags) {
  REAL(int, "fstatat64", int, const char *, struct stat64 *, int);
  CALL(int, "stat", class_at(dir, path), real(dir, path, facts, flags));
}
int stat64(const char *path, struct stat64 *facts) {
  REAL(int, "stat64", const char *, struct stat64 *);
  CALL(int, "stat", class_at(AT_FDCWD, path), real(path, facts));
}
int lstat64(const char *path, struct stat64 *facts) {
  REAL(int, "lstat64", const char *, struct stat64 *);
  CALL(int, "stat", class_at(AT_FDCWD, path), real(path, facts));
}
int mkdir(const char *path, mode_t mode) {
  REAL(int, "mkdir", const char *, mode_t);
  CALL(int, "mkdir", class_at(AT_FDCWD, path), real(path, mode));
}
int mkdirat(int dir, const char *path, mode_t mode) {
  REAL(int, "mkdirat", int, const char *, mode_t);
  CALL(int, "mkdir", class_at(dir, path), real(dir, path, mode));
}
int unlink(const char *path) {
  REAL(int, "unlink", const char *);
  CALL(int, "unlink", class_at(AT_FDCWD, path), real(path));
}
int unlinkat(int dir, const char *path, int flags) {
  REAL(int, "unlinkat", int, const char *, int);
  CALL(int, "unlink", class_at(dir, path), real(dir, path, flags));
}
int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  CALL(int, "rename", class_at(AT_FDCWD, from), real(from, to));
}
int renameat(int a, const char *from, int b, const char *to) {
  REAL(int, "renameat", int, const char *, int, const char *);
  CALL(int, "rename", class_at(a, from), real(a, from, b, to));
}
