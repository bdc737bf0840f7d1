// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <archive.h>
#include <archive_entry.h>
#include <locale.h>

// Names are bytes. In the C locale libarchive stores and gives every name that is not ASCII as it is; in a UTF-8 locale
// it would compose decomposed names on reading. Sets the calling thread's locale to C and gives the one before.
static inline locale_t salvor_use_c_locale(void) {
    static locale_t plain = (locale_t)0;
    if (plain == (locale_t)0) plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);  // a static object in glibc
    return uselocale(plain);
}
static inline void salvor_use_locale(locale_t previous) { uselocale(previous); }
