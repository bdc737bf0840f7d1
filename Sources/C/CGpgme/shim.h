// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gpgme.h>
// To tell memory-backed file systems, where ephemeral keys may lie; Swift's Glibc module leaves it out.
#include <sys/statfs.h>
