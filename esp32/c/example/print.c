#include "print.h"

#include "board.h"

void expect_ok(trilane_status status) {
  if (status != TRILANE_STATUS_OK) {
    board_print(trilane_error_message(status));
    board_print("\n");
    board_exit(1);
  }
}

void print_hex(uint64_t value) {
  char digits[17];
  for (int i = 0; i < 16; i++) {
    digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  }
  digits[16] = 0;
  board_print(digits);
}

void print_number(uint32_t value) {
  char digits[11];
  int i = sizeof digits;
  digits[--i] = 0;
  do {
    digits[--i] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  board_print(digits + i);
}
