// Start-up, console and exit on QEMU's boards `virt` (RISC-V) and `mps2-an386` (Cortex-M4F).
#include "board.h"

#include <stddef.h>
#include <stdint.h>

// Where the linker script puts things.
extern uint32_t data_start[], data_end[], data_load[], bss_start[], bss_end[], stack_top[];

int main(void);

// Copies variables from flash, clears the rest, and runs the program.
__attribute__((used)) _Noreturn void board_start(void) {
  for (size_t i = 0; i < (size_t)(data_end - data_start); i++) {
    data_start[i] = data_load[i];
  }
  for (size_t i = 0; i < (size_t)(bss_end - bss_start); i++) {
    bss_start[i] = 0;
  }
  board_exit(main());
}

#if defined(__riscv)

__attribute__((naked, section(".start"))) void _start(void) {
  __asm__(
      ".option push\n"
      ".option norelax\n"
      "la gp, __global_pointer$\n"
      ".option pop\n"
      "la sp, stack_top\n"
      "j board_start\n");
}

static uintptr_t semihost(uintptr_t operation, const void *argument) {
  register uintptr_t a0 __asm__("a0") = operation;
  register const void *a1 __asm__("a1") = argument;
  // Three instructions of full size next to each other are the call.
  __asm__ volatile(
      ".balign 16\n"
      ".option push\n"
      ".option norvc\n"
      "slli zero, zero, 0x1f\n"
      "ebreak\n"
      "srai zero, zero, 7\n"
      ".option pop\n"
      : "+r"(a0)
      : "r"(a1)
      : "memory");
  return a0;
}

#elif defined(__arm__)

// Coprocessor access: the floating-point unit is off at the start.
#define CPACR (*(volatile uint32_t *)0xE000ED88)

_Noreturn void _start(void) {
  CPACR |= 0xF << 20;
  __asm__ volatile("dsb\nisb" ::: "memory");
  board_start();
}

__attribute__((used, section(".start"))) static const void *const vectors[2] = {
    stack_top,
    (const void *)_start,
};

static uintptr_t semihost(uintptr_t operation, const void *argument) {
  register uintptr_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

#endif

void board_print(const char *text) {
  enum { OPEN = 0x01, WRITE = 0x05, CONSOLE_OUT = 4 };
  static const char console[] = ":tt";
  const uintptr_t opened[3] = {(uintptr_t)console, CONSOLE_OUT, sizeof console - 1};
  static uintptr_t handle;
  if (handle == 0) {
    handle = semihost(OPEN, opened);
  }
  size_t len = 0;
  while (text[len] != 0) {
    len++;
  }
  const uintptr_t written[3] = {handle, (uintptr_t)text, len};
  semihost(WRITE, written);
}

_Noreturn void board_exit(int status) {
  enum { EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };
  const uintptr_t arguments[2] = {APPLICATION_EXIT, (uintptr_t)status};
  for (;;) {
    semihost(EXIT_EXTENDED, arguments);
  }
}
