"""Which system calls a confined worker may not make. Data.

Everything not named is allowed: decoders and the C library may use what they like to compute, to
have memory, and to read and write what `landlock` lets them open. Named are the ways to
anything else: the network, other processes, programs, rights of files, the kernel's own affairs.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Rule(NamedTuple):
    """Refuse a call: always, or by one argument."""

    call: str
    errno: int = errno.EPERM
    argument: int = 0
    only: tuple[int, ...] | None = None
    """Allow these values of the argument alone; None: refuse whatever it is."""
    but: tuple[int, ...] = ()
    """Refuse these values of the argument alone."""
    bits: int = 0
    """Allow it when one of these bits is set in the argument."""


_NETWORK: Final = "socket socketpair connect bind listen accept accept4"
_PROCESSES: Final = (
    "execve execveat fork vfork ptrace process_vm_readv process_vm_writev process_madvise"
    " process_mrelease kcmp pidfd_open pidfd_getfd pidfd_send_signal tkill setpgid setsid"
    " migrate_pages move_pages setpriority ioprio_set"
)
#: Landlock does not ask about these: they change a file without opening it for writing.
_FILES: Final = (
    "chmod fchmodat fchmodat2 chown lchown fchownat utime utimes futimesat utimensat setxattr"
    " lsetxattr setxattrat removexattr lremovexattr removexattrat file_setattr truncate mknod"
    " mknodat symlink symlinkat link linkat inotify_init inotify_init1 fanotify_init"
    " open_by_handle_at sync"
)
#: The same by descriptor, for which one opened for reading is enough.
_RIGHTS: Final = "fchmod fchown fsetxattr fremovexattr"
#: io_uring does other calls' work out of sight of this filter.
_KERNEL: Final = (
    "io_uring_setup io_uring_enter io_uring_register io_setup bpf perf_event_open userfaultfd"
    " keyctl add_key request_key init_module finit_module delete_module kexec_load"
    " kexec_file_load reboot ioperm iopl personality syslog acct quotactl quotactl_fd swapon"
    " swapoff settimeofday adjtimex clock_settime clock_adjtime sethostname setdomainname setns"
    " unshare chroot pivot_root mount umount2 open_tree open_tree_attr move_mount mount_setattr"
    " fsopen fsconfig fsmount fspick vhangup lookup_dcookie nfsservctl setuid setgid setreuid"
    " setregid setresuid setresgid setfsuid setfsgid setgroups capset"
)
#: Memory and messages that outlive their maker, and that others may share.
_SHARED: Final = (
    "shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open"
    " mq_unlink"
)

# <linux/sched.h>, <asm-generic/ioctls.h>, <linux/fcntl.h>, <linux/prctl.h>
_CLONE_THREAD: Final = 0x10000
_TCGETS, _FIONBIO, _FIONREAD, _FIONCLEX, _FIOCLEX = 0x5401, 0x5421, 0x541B, 0x5450, 0x5451
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY = 8, 10, 15, 1024, 1026
_PR_SET_PDEATHSIG, _PR_SET_PTRACER = 1, 0x59616D61


def rules(pid: int, *, gives_rights: bool) -> Iterator[Rule]:
    """Yield the rules for the worker `pid`.

    Args:
        pid: the only process it may signal, or set limits of.
        gives_rights: it may change owner and mode of files it has opened (shared repositories).
    """
    # Threads are allowed, processes are not. Of clone3 a filter cannot see the flags: without it
    # the C library takes clone.
    yield Rule("clone", bits=_CLONE_THREAD)
    yield Rule("clone3", errno.ENOSYS)
    yield Rule("ioctl", errno.ENOTTY, 1, (_TCGETS, _FIONBIO, _FIONREAD, _FIONCLEX, _FIOCLEX))
    # A signal sent by way of a descriptor is a signal all the same.
    yield Rule(
        "fcntl", argument=1, but=(_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY)
    )
    # It dies with its parent, and is nobody else's to trace.
    yield Rule("prctl", but=(_PR_SET_PDEATHSIG, _PR_SET_PTRACER))
    for call in ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
        yield Rule(call, only=(pid,))
    for call in (
        "prlimit64",
        "sched_setaffinity",
        "sched_setattr",
        "sched_setparam",
        "sched_setscheduler",
    ):
        yield Rule(call, only=(0, pid))
    for call in f"{_NETWORK} {_PROCESSES} {_FILES} {_KERNEL} {_SHARED}".split():
        yield Rule(call)
    if not gives_rights:
        for call in _RIGHTS.split():
            yield Rule(call)
