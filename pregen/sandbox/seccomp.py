"""Has the kernel refuse system calls to this process, for good."""

from __future__ import annotations

import ctypes
import errno
import os
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from pregen.sandbox import syscalls
from pregen.sandbox.syscalls import MACHINES, NEWEST, NUMBERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: seccomp(2), by machine.
_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
# <linux/seccomp.h>
_SET_MODE_FILTER, _GET_ACTION_AVAIL = 1, 2
_FLAG_TSYNC: Final = 1
#: struct sock_fprog: how many instructions, and where they are.
_PROGRAM: Final = Struct("HP")


def available() -> bool:
    """Tell whether this kernel filters system calls, and we know this machine's numbers."""
    machine = os.uname().machine
    if machine not in MACHINES:
        return False
    action = ctypes.c_uint32(_ERRNO)
    try:
        syscalls.call(_SECCOMP[machine], _GET_ACTION_AVAIL, 0, ctypes.byref(action))
    except OSError:
        return False
    return True


def refuse(rules: Iterable[Rule]) -> None:
    """Refuse calls by `rules` to every thread of this process. no_new_privs must be set before.

    Raises:
        OSError: the kernel does not take the filter.
    """
    machine = os.uname().machine
    code = assemble(rules, machine)
    kept = ctypes.create_string_buffer(code, len(code))
    program = _PROGRAM.pack(len(code) // INSTRUCTION_BYTES, ctypes.addressof(kept))
    syscalls.call(_SECCOMP[machine], _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.c_char_p(program))


# Which system calls a confined worker may not make
#
# Everything not named is allowed: decoders and the C library may use what they like to compute, to
# have memory, and to read and write what `landlock` lets them open. Named are the ways to
# anything else: the network, other processes, programs, rights of files, the kernel's own affairs.


class Rule(NamedTuple):
    """Refuse a call: always, or by one argument."""

    call: str
    errno: int = errno.EPERM
    argument: int = 0
    only: tuple[int, ...] | None = None
    """Allow these values of the argument alone; None: refuse every value."""
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
    " fsopen fsconfig fsmount fspick vhangup lookup_dcookie nfsservctl modify_ldt syncfs setuid"
    " setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset"
)
#: Memory and messages that outlive their maker, and that others may share.
_SHARED: Final = (
    "shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl mq_open"
    " mq_unlink"
)
#: What tells of files and processes that cannot be opened. (stat and readlink do too, and cannot be
#: spared: the kernel has no rule for them by place.)
_FACTS: Final = "getxattr lgetxattr getxattrat listxattr llistxattr listxattrat"
#: Memory that no limit of a process counts.
_UNCOUNTED: Final = "memfd_create memfd_secret"

# <linux/sched.h>, <asm-generic/ioctls.h>, <linux/fcntl.h>, <linux/prctl.h>
_CLONE_THREAD: Final = 0x10000
_TCGETS, _FIONBIO, _FIONREAD, _FIONCLEX, _FIOCLEX = 0x5401, 0x5421, 0x541B, 0x5450, 0x5451
#: <linux/fscrypt.h>: with which key an open file is encrypted. A worker asks before it reads.
_FS_IOC_GET_ENCRYPTION_POLICY_EX: Final = 0xC0096616
_F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY = 8, 10, 15, 1024, 1026
_F_SETPIPE_SZ: Final = 1031
_PR_SET_PTRACER: Final = 0x59616D61


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
    descriptors = _TCGETS, _FIONBIO, _FIONREAD, _FIONCLEX, _FIOCLEX
    yield Rule("ioctl", errno.ENOTTY, 1, (*descriptors, _FS_IOC_GET_ENCRYPTION_POLICY_EX))
    # A signal sent by way of a descriptor is a signal all the same. What pipes hold is not counted.
    of_others = _F_SETOWN, _F_SETSIG, _F_SETOWN_EX, _F_SETLEASE, _F_NOTIFY
    yield Rule("fcntl", argument=1, but=(*of_others, _F_SETPIPE_SZ))
    # It dies with its parent, and no other process may trace it.
    yield Rule("prctl", but=(syscalls.PR_SET_PDEATHSIG, _PR_SET_PTRACER))
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
    for call in ("getpgid", "getsid"):
        yield Rule(call, only=(0, pid))
    yield Rule("getpriority", argument=1, only=(0, pid))
    for call in f"{_NETWORK} {_PROCESSES} {_FILES} {_FACTS} {_KERNEL} {_SHARED}".split():
        yield Rule(call)
    # Libraries that use these (orc, libffi) do without on a kernel that does not have them.
    for call in _UNCOUNTED.split():
        yield Rule(call, errno.ENOSYS)
    if not gives_rights:
        for call in _RIGHTS.split():
            yield Rule(call)


# Rules as a program for the kernel (classic BPF)
#
# A program gets the call's number, the machine's kind and the arguments, and returns what is to
# happen (kernel documentation, seccomp_filter). The kernel runs it once for each call whose answer
# does not depend on arguments and remembers those that are allowed (Linux 5.11), so its length
# costs nothing where it matters.


# <linux/bpf_common.h>: load a word, jump, return.
_LD_ABS, _JEQ, _JGT, _JSET, _RET = 0x20, 0x15, 0x25, 0x45, 0x06
# struct seccomp_data
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
# <linux/seccomp.h>
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000

_INSTRUCTION: Final = Struct("HBBI")
INSTRUCTION_BYTES: Final = _INSTRUCTION.size


def assemble(rules: Iterable[Rule], machine: str) -> bytes:
    """Return the program that enforces `rules` on `machine` (as uname has it).

    Raises:
        KeyError: its numbers are not known here.
    """
    arch, column = MACHINES[machine]
    # Another machine's calls (32-bit ones, on x86) have other numbers: nothing here makes any.
    program = [
        _do(_LD_ABS, _ARCH_AT),
        _do(_JEQ, arch, 1, 0),
        _do(_RET, _KILL_PROCESS),
        _do(_LD_ABS, _NUMBER_AT),
        _do(_JGT, NEWEST, 0, 1),
        _do(_RET, _ERRNO | errno.ENOSYS),
    ]
    for rule in rules:
        number = NUMBERS[rule.call][column]
        if number is not None:
            body = _body(rule)
            program += [_do(_JEQ, number, 0, len(body)), *body]
    program.append(_do(_RET, _ALLOW))
    return b"".join(program)


def _body(rule: Rule) -> list[bytes]:
    """What is done once the call is known to be that of `rule`; it always ends in a return.

    Only the lower half of an argument is looked at: all of these are ints to the kernel.
    """
    refuse = _do(_RET, _ERRNO | rule.errno)
    allow = _do(_RET, _ALLOW)
    load = _do(_LD_ABS, _ARGUMENTS_AT + 8 * rule.argument)
    if rule.bits:
        return [load, _do(_JSET, rule.bits, 1, 0), refuse, allow]
    if rule.only is not None:
        return [load, *_matched(rule.only), refuse, allow]
    if rule.but:
        return [load, *_matched(rule.but), allow, refuse]
    return [refuse]


def _matched(values: tuple[int, ...]) -> list[bytes]:
    """Go on with the next instruction but one where one of `values` matches, else the next."""
    last = len(values) - 1
    return [_do(_JEQ, value, last - place + 1, 0) for place, value in enumerate(values)]


def _do(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, if_true, if_false, operand)
