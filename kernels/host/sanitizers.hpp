// What sanitizers have to be told.
//
// To ThreadSanitizer each CUDA thread is a thread, ordered with others by barriers alone (shuffles order
// no memory), so that it finds races in shared memory in whatever order the threads happened to run.
#pragma once

#ifndef __has_feature
#define __has_feature(FEATURE) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define SHIM_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define SHIM_TSAN 1
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
// The shim's own state is touched by one fiber at a time.
#define SHIM_QUIET __attribute__((no_sanitize("thread")))
#else
#define SHIM_QUIET
#endif

// What hardware does in a block's stead, on memory whose bounds the shim has checked.
#define SHIM_BARE \
  __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

namespace shim {
namespace {

// What happened before `released(token)` is before what follows a later `acquired(token)`.
inline void released(void* token) {
#ifdef SHIM_TSAN
  __tsan_release(token);
#else
  (void)token;
#endif
}
inline void acquired(void* token) {
#ifdef SHIM_TSAN
  __tsan_acquire(token);
#else
  (void)token;
#endif
}

// A condition that somebody waits for, evaluated on whatever thread comes by: its reads count for none.
inline bool looked_at(bool (*condition)(void*), void* context) {
#ifdef SHIM_TSAN
  AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
  bool holds = condition(context);
  AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
  return holds;
#else
  return condition(context);
#endif
}

// Everything before a launch comes before it, also where the host's own means are not seen. All kernel
// files share the runtime's function, whose address serves as their token.
inline void* launch_token() {
#ifdef SHIM_TSAN
  return reinterpret_cast<void*>(__tsan_create_fiber);
#else
  return nullptr;
#endif
}

}  // namespace
}  // namespace shim
