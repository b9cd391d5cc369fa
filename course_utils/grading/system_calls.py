"""What a program in the sandbox may not ask of the kernel, as a filter of system calls (seccomp).

bubblewrap gives the program its own files, processes and network, but leaves it the whole kernel. The filter closes
what is left: other processes' memory, keyrings, new namespaces, and every kind of memory that nobody could count.
It is a list of what is denied, because numpy, torch and Python's own libraries need most of the others.
"""

import ctypes
import errno
import functools
import os
import socket

LIBRARY = "libseccomp.so.2"  # of Debian's package libseccomp2, which apt and systemd bring along
_DENIED = {
    "memory of other processes": ("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp"),
    "files of other processes": ("pidfd_getfd",),
    "keyrings": ("add_key", "request_key", "keyctl"),
    "namespaces": ("unshare", "setns"),
    "memory that belongs to no process": (
        *("memfd_create", "memfd_secret", "shmget", "shmat", "msgget", "semget", "mq_open", "vmsplice"),
        *("userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "inotify_init", "inotify_init1"),
        "landlock_create_ruleset",
    ),
    "the kernel itself": ("bpf", "perf_event_open", "fanotify_init", "syslog"),
}
_NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
_PR_SET_PDEATHSIG = 1
_LOCKS = (6, 7, 37, 38)  # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW
_ALLOW, _ERRNO, _OPTIMIZE, _NOT_EQUAL, _MASKED_EQUAL = 0x7FFF0000, 0x00050000, 8, 1, 7


class _Argument(ctypes.Structure):
    """`struct scmp_arg_cmp`: which argument, how it is compared, and with what."""

    _fields_ = (("number", ctypes.c_uint), ("how", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


@functools.cache
def system_call_filter() -> bytes:
    """Return the filter as bubblewrap's `--seccomp` reads it.

    Raises:
        OSError: The library that makes it is not there, or does not know this processor.
    """
    # The library is kept, its packages for Python are not: five functions are easier to call than to depend on.
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
    if not rules:
        raise OSError(errno.ENOSYS, "no filter for this processor", LIBRARY)

    def deny(name: str, *arguments: tuple[int, int, int, int], error: int = errno.EPERM) -> None:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:  # an older library than the system call
            return
        compared = (_Argument * len(arguments))(*arguments)
        action = ctypes.c_uint32(_ERRNO | error)
        _check(library.seccomp_rule_add_array(rules, action, number, len(arguments), compared))

    try:
        library.seccomp_attr_set(rules, _OPTIMIZE, ctypes.c_uint32(2))  # a tree instead of a list; not in old ones
        for name in (name for names in _DENIED.values() for name in names):
            deny(name)
        for flag in _NEW_NAMESPACES:
            deny("clone", (0, _MASKED_EQUAL, flag, flag))
        deny("clone3", error=errno.ENOSYS)  # its flags cannot be seen from here; the C library then takes `clone`
        # A network of its own is no bound for memory: every connection inside it may hold megabytes.
        for name in ("socket", "socketpair"):
            deny(name, (0, _NOT_EQUAL, socket.AF_UNIX, 0), error=errno.EOPNOTSUPP)
        # Pages of it can be held without being in any process's table; files in /tmp are counted, and do the same.
        both = _MAP_SHARED | _MAP_ANONYMOUS
        for name in ("mmap", "mmap2"):
            deny(name, (3, _MASKED_EQUAL, both, both))
        # Each lock on a byte takes memory that nobody bounds. They are granted and not kept: sqlite insists on them.
        for command in _LOCKS:
            deny("fcntl", (1, _MASKED_EQUAL, 0xFFFFFFFF, command), error=0)
        # Whatever runs in the sandbox dies with the grader. It is told that it has its will: torch insists on it.
        # The kernel reads only half of this argument, and the other half must not hide it.
        deny("prctl", (0, _MASKED_EQUAL, 0xFFFFFFFF, _PR_SET_PDEATHSIG), error=0)
        return _program(library, rules)
    finally:
        library.seccomp_release(rules)


def _program(library: ctypes.CDLL, rules: ctypes.c_void_p) -> bytes:
    with os.fdopen(os.memfd_create("filter"), "r+b") as file:
        _check(library.seccomp_export_bpf(rules, file.fileno()))
        file.seek(0)
        return file.read()


def _check(status: int) -> None:
    if status < 0:
        raise OSError(-status, os.strerror(-status), LIBRARY)
