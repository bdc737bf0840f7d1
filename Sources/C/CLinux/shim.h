// SPDX-License-Identifier: Apache-2.0
// Linux calls that the Glibc module of Swift does not show, because it is built without _GNU_SOURCE. They go through
// syscall(2), which Swift cannot import either (it is variadic), so that no feature macro matters.
#pragma once
#include <spawn.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <unistd.h>

// renameat2(2) flags, as in <linux/fs.h>, which cannot be included beside glibc's own headers.
static const unsigned int SALVOR_RENAME_NOREPLACE = 1u << 0;
static const unsigned int SALVOR_RENAME_EXCHANGE = 1u << 1;

// lseek(2) origins for sparse files, as in <linux/fs.h>.
static const int SALVOR_SEEK_DATA = 3;
static const int SALVOR_SEEK_HOLE = 4;

// utimensat(2)'s "leave this time alone": a cast in a macro, which Swift does not import.
static const long SALVOR_UTIME_OMIT = (1l << 30) - 2l;

// glibc has a wrapper for it, behind _GNU_SOURCE.
static inline int salvor_renameat2(
    int oldDirectory, const char *oldName, int newDirectory, const char *newName, unsigned int flags) {
    return (int)syscall(SYS_renameat2, oldDirectory, oldName, newDirectory, newName, flags);
}

// readdir(3) hides the kernel's order of reading and copies every entry; a walk of many files wants the raw buffer.
static inline ssize_t salvor_getdents64(int directory, void *buffer, size_t size) {
    return syscall(SYS_getdents64, directory, buffer, size);
}

// glibc has a wrapper for it, behind _GNU_SOURCE.
static inline int salvor_syncfs(int descriptor) { return (int)syscall(SYS_syncfs, descriptor); }

// glibc has a wrapper for it, behind _GNU_SOURCE: both ends close on exec from the first moment, which pipe(2) and fcntl(2)
// cannot give while another thread starts a child.
static inline int salvor_pipe2(int ends[2], int flags) { return (int)syscall(SYS_pipe2, ends, flags); }

// Closes everything from `first` on in the child (posix_spawn_file_actions_addclosefrom_np, glibc 2.34, behind _GNU_SOURCE).
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *, int);
static inline int salvor_spawn_close_from(posix_spawn_file_actions_t *actions, int first) {
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}

// glibc has wrappers for both, behind _GNU_SOURCE. They change the calling thread alone.
static const int SALVOR_CLONE_FS = 0x00000200;
static const int SALVOR_CLONE_NEWNET = 0x40000000;
static inline int salvor_setns(int descriptor, int kind) { return (int)syscall(SYS_setns, descriptor, kind); }
static inline int salvor_unshare(int flags) { return (int)syscall(SYS_unshare, flags); }

// makedev(3), major(3) and minor(3) are macros.
static inline uint64_t salvor_makedev(uint32_t major, uint32_t minor) {
    return ((uint64_t)(major & 0xfffff000u) << 32) | ((uint64_t)(major & 0xfffu) << 8)
        | ((uint64_t)(minor & 0xffffff00u) << 12) | (uint64_t)(minor & 0xffu);
}
static inline uint32_t salvor_major(uint64_t device) {
    return (uint32_t)((device >> 32) & 0xfffff000u) | (uint32_t)((device >> 8) & 0xfffu);
}
static inline uint32_t salvor_minor(uint64_t device) {
    return (uint32_t)((device >> 12) & 0xffffff00u) | (uint32_t)(device & 0xffu);
}
