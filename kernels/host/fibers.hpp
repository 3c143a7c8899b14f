// Fibers: stacks that can be left and entered again, some 30 ns apart.
#pragma once

#include "sanitizers.hpp"

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(SHIM_UCONTEXT)
#define SHIM_UCONTEXT 1
#endif
#ifdef SHIM_UCONTEXT
#include <ucontext.h>
#endif

#ifndef SHIM_UCONTEXT
// Pushes the registers that a call preserves, stores the stack pointer, loads the other one. Written
// in assembly below, under this label alone.
extern "C" __attribute__((visibility("hidden"))) void shim_raw_switch(void** save, void* load) asm(
    "shim_raw_switch");
#endif

namespace shim {
namespace {

struct Thread;

// Lies at the top of its own stack, so that a thread finds itself from the stack pointer alone:
// thread-local variables would cost as much as everything else.
struct Fiber {
  Thread* thread;  // the CUDA thread that runs on it
#ifdef SHIM_UCONTEXT
  ucontext_t context;
#else
  void* stack_pointer;  // where it was left
#endif
  char* bottom;  // its stack
  size_t size;
  uintptr_t* mark;  // the word below it, unless pages trap there
  void* fake_stack;  // AddressSanitizer's
  void* context;     // ThreadSanitizer's
  Fiber* next_free;
};

// Stacks begin at multiples of their size, with room below that is nobody's: the first of a chunk with
// pages that trap an overflow, the others with a mark that is looked at when the stack is given back. A
// page that traps is a mapping of its own, and a process can have some ten thousands of them.
#ifdef SHIM_ASAN
const size_t STACK = 256 << 10;  // redzones make frames large
#else
const size_t STACK = 64 << 10;
#endif
const size_t TRAP = 16 << 10;  // a page, or a few
const uintptr_t MARK = uintptr_t(0x5ca1ab1e0ddba11full);

// The top is moved by some cache lines from one stack to the next: at equal distances, all tops would
// compete for a few places of the caches.
const size_t LINES = 128;
inline Fiber* fiber_on(uintptr_t stack) {
  const size_t HEAD = (sizeof(Fiber) + 63) / 64 * 64;
  uintptr_t end = (stack | (STACK - 1)) + 1 - stack / STACK % LINES * 64;
  return reinterpret_cast<Fiber*>(end - HEAD);
}
// The CUDA thread whose fiber this runs on.
#define SHIM_SELF (::shim::fiber_on(uintptr_t(__builtin_frame_address(0)))->thread)

void fiber_main();

#ifdef SHIM_UCONTEXT

SHIM_QUIET void prepare(Fiber& fiber) {
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.bottom;
  fiber.context.uc_stack.ss_size = fiber.size;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, fiber_main, 0);
}
SHIM_QUIET void switch_stack(Fiber& from, Fiber& to) { swapcontext(&from.context, &to.context); }

#else


#if defined(__x86_64__)
asm(R"(
    .text
    .p2align 4
shim_raw_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmp *%rcx
)");
const int SAVED_WORDS = 8, RETURN_WORD = 6;  // six registers, the address, a null return address
#else
asm(R"(
    .text
    .p2align 4
shim_raw_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    br x30
)");
const int SAVED_WORDS = 20, RETURN_WORD = 11;
#endif

// A fresh stack looks as if fiber_main had been left at its first instruction.
SHIM_QUIET void prepare(Fiber& fiber) {
  uintptr_t top = uintptr_t(fiber.bottom + fiber.size);
  void** words = reinterpret_cast<void**>(top & ~uintptr_t(15)) - SAVED_WORDS;
  memset(words, 0, SAVED_WORDS * sizeof(void*));
  words[RETURN_WORD] = reinterpret_cast<void*>(fiber_main);
  fiber.stack_pointer = words;
}
SHIM_QUIET void switch_stack(Fiber& from, Fiber& to) {
  shim_raw_switch(&from.stack_pointer, to.stack_pointer);
}

#endif

// To AddressSanitizer a stack still looks as its last user left it, be it an abandoned block or a thread
// that ended and whose memory was mapped anew.
inline void clear(Fiber& fiber) {
#ifdef SHIM_ASAN
  __asan_unpoison_memory_region(fiber.bottom, fiber.size);
#else
  (void)fiber;
#endif
}

// The fibers of one operating system thread, kept from block to block.
struct Fibers {
  static const int CHUNK = 32, MOST = 1024;  // stacks are mapped by the warp

  void* chunks[MOST / CHUNK];
  int made = 0;
  Fiber* free = nullptr;
  Fiber* left = nullptr;  // the one that was switched from
  Fiber main;             // the operating system thread's own stack

  ~Fibers() {
    // What is mapped there next is nobody's stack.
    for (int i = 0; i < made; i++) clear(*number(i));
    for (int i = 0; i < made; i += CHUNK) munmap(chunks[i / CHUNK], (CHUNK + 1) * STACK);
  }

  SHIM_QUIET Fiber* take() {
    if (free == nullptr) make();
    Fiber* fiber = free;
    free = fiber->next_free;
    return fiber;
  }
  // A fiber that always runs the same number, for ThreadSanitizer, to whom it is the thread.
  SHIM_QUIET Fiber* of(int thread) {
    while (made <= thread) make();
    return number(thread);
  }
  SHIM_QUIET void give(Fiber* fiber) {
    if (fiber->mark != nullptr && *fiber->mark != MARK) {
      fprintf(stderr, "shim: a CUDA thread has overrun its stack of %zu bytes\n", fiber->size);
      abort();
    }
    fiber->next_free = free;
    free = fiber;
  }
  Fiber* number(int i) {
    uintptr_t first = (uintptr_t(chunks[i / CHUNK]) + STACK - 1) & ~(STACK - 1);
    return fiber_on(first + i % CHUNK * STACK);
  }

  SHIM_QUIET void make() {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void* memory = mmap(nullptr, (CHUNK + 1) * STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED) out_of_memory();
    chunks[made / CHUNK] = memory;
    made += CHUNK;
    for (int i = made - 1; i >= made - CHUNK; i--) {
      Fiber* fiber = number(i);
      char* start = reinterpret_cast<char*>(uintptr_t(fiber) & ~(STACK - 1));
      fiber->bottom = start + TRAP;
      fiber->mark = nullptr;
      if (i % CHUNK != 0) {
        fiber->mark = reinterpret_cast<uintptr_t*>(fiber->bottom) - 1;
        *fiber->mark = MARK;
      } else if (mprotect(start, TRAP, PROT_NONE) != 0) {
        out_of_memory();
      }
      fiber->size = size_t(reinterpret_cast<char*>(fiber) - fiber->bottom);
      fiber->fake_stack = fiber->context = nullptr;
      clear(*fiber);
      prepare(*fiber);
      give(fiber);
    }
  }
  [[noreturn]] void out_of_memory() {
    fprintf(stderr, "shim: no memory for the stacks of CUDA threads\n");
    abort();
  }

  // After a block was abandoned, its fibers stand in the middle of their kernels.
  SHIM_QUIET void reset() {
    free = nullptr;
    for (int i = made - 1; i >= 0; i--) {
      Fiber* fiber = number(i);
      fiber->fake_stack = nullptr;
      clear(*fiber);
      prepare(*fiber);
      give(fiber);
    }
  }

  // ThreadSanitizer's contexts are few: they live as long as a launch.
  SHIM_QUIET void forget_contexts() {
#ifdef SHIM_TSAN
    for (int i = 0; i < made; i++) {
      Fiber* fiber = number(i);
      if (fiber->context != nullptr) __tsan_destroy_fiber(fiber->context);
      fiber->context = nullptr;
    }
#endif
  }

  SHIM_QUIET void jump(Fiber& from, Fiber& to) {
    left = &from;
#ifdef SHIM_TSAN
    if (to.context == nullptr) to.context = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(to.context, __tsan_switch_to_fiber_no_sync);
#endif
#ifdef SHIM_ASAN
    __sanitizer_start_switch_fiber(&from.fake_stack, to.bottom, to.size);
#endif
    switch_stack(from, to);
    arrive(&from);
  }
  // The first thing on a stack just entered. AddressSanitizer tells the bounds of the stack left,
  // which is how those of `main` are learnt.
  SHIM_QUIET void arrive(Fiber* fiber) {
#ifdef SHIM_ASAN
    const void* bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(fiber ? fiber->fake_stack : nullptr, &bottom, &size);
    if (left == &main) {
      main.bottom = static_cast<char*>(const_cast<void*>(bottom));
      main.size = size;
    }
#else
    (void)fiber;
#endif
  }
};

}  // namespace
}  // namespace shim
