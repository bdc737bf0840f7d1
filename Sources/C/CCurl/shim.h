// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <curl/curl.h>

// Swift cannot call variadic C functions. libcurl's options and infos come in the few kinds below, so each has a
// function of its own that passes exactly the type libcurl reads back with va_arg: a wrong width would be undefined.

// CURLOPTTYPE_LONG: numbers, switches and bit masks.
static inline CURLcode salvor_curl_set_long(CURL *handle, CURLoption option, long value) {
    return curl_easy_setopt(handle, option, value);
}

// CURLOPTTYPE_OFF_T: sizes and speeds, which must be 64 bits wide on every machine.
static inline CURLcode salvor_curl_set_offset(CURL *handle, CURLoption option, curl_off_t value) {
    return curl_easy_setopt(handle, option, value);
}

// CURLOPTTYPE_STRINGPOINT: libcurl copies the text. NULL goes back to the option's default, or to none.
static inline CURLcode salvor_curl_set_text(CURL *handle, CURLoption option, const char *value) {
    return curl_easy_setopt(handle, option, value);
}

// CURLOPTTYPE_CBPOINT and buffers: libcurl keeps the pointer, so it must stay valid for the whole transfer.
static inline CURLcode salvor_curl_set_pointer(CURL *handle, CURLoption option, void *value) {
    return curl_easy_setopt(handle, option, value);
}

// CURLOPTTYPE_SLISTPOINT: libcurl keeps the list, so it must stay valid for the whole transfer.
static inline CURLcode salvor_curl_set_list(CURL *handle, CURLoption option, struct curl_slist *value) {
    return curl_easy_setopt(handle, option, value);
}

// CURLOPTTYPE_FUNCTIONPOINT: one function for each callback's signature, so that the compiler checks it.
typedef size_t (*salvor_curl_data_callback)(char *data, size_t size, size_t count, void *context);
typedef int (*salvor_curl_seek_callback)(void *context, curl_off_t offset, int origin);
typedef int (*salvor_curl_progress_callback)(
    void *context, curl_off_t down_total, curl_off_t down_now, curl_off_t up_total, curl_off_t up_now);

// CURLOPT_READFUNCTION, CURLOPT_WRITEFUNCTION and CURLOPT_HEADERFUNCTION share one signature.
static inline CURLcode salvor_curl_set_data_callback(
    CURL *handle, CURLoption option, salvor_curl_data_callback callback) {
    return curl_easy_setopt(handle, option, callback);
}

// CURLOPT_SEEKFUNCTION: rewinds the body when libcurl must send it again on a fresh connection.
static inline CURLcode salvor_curl_set_seek_callback(CURL *handle, salvor_curl_seek_callback callback) {
    return curl_easy_setopt(handle, CURLOPT_SEEKFUNCTION, callback);
}

// CURLOPT_XFERINFOFUNCTION: called about once a second even when nothing moves; the place to ask for cancellation.
static inline CURLcode salvor_curl_set_progress_callback(CURL *handle, salvor_curl_progress_callback callback) {
    return curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, callback);
}

// CURLINFO_LONG. getinfo is variadic too.
static inline CURLcode salvor_curl_get_long(CURL *handle, CURLINFO info, long *value) {
    return curl_easy_getinfo(handle, info, value);
}

// CURLINFO_OFF_T: sizes, and times in microseconds.
static inline CURLcode salvor_curl_get_offset(CURL *handle, CURLINFO info, curl_off_t *value) {
    return curl_easy_getinfo(handle, info, value);
}

// CURLINFO_CERTINFO: the chain the server showed; libcurl keeps it until the handle's next transfer.
static inline struct curl_certinfo *salvor_curl_get_certificates(CURL *handle) {
    struct curl_certinfo *chain = NULL;
    return curl_easy_getinfo(handle, CURLINFO_CERTINFO, &chain) == CURLE_OK ? chain : NULL;
}

// CURLVERSION_NOW is a macro for an enumerator, which Swift does not see.
static inline curl_version_info_data *salvor_curl_version(void) {
    return curl_version_info(CURLVERSION_NOW);
}

// CURLOPT_OPENSOCKETFUNCTION: hands libcurl a connection that exists already; CURLOPT_SOCKOPTFUNCTION says so.
typedef curl_socket_t (*salvor_curl_socket_callback)(
    void *context, curlsocktype purpose, struct curl_sockaddr *address);
typedef int (*salvor_curl_connected_callback)(void *context, curl_socket_t socket, curlsocktype purpose);
static inline CURLcode salvor_curl_set_open_connection(
    CURL *handle, salvor_curl_socket_callback open, salvor_curl_connected_callback connected, void *context) {
    CURLcode code = curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, open);
    if (code == CURLE_OK) code = curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, context);
    if (code == CURLE_OK) code = curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, connected);
    return code;
}
