// A model in flash, run from C: prints its digest and goes on with its first token.
#include <stdint.h>

#include "board.h"
#include "model.h"
#include "trilane.h"

static uint8_t memory[MODEL_MEMORY_BYTES];

static void expect_ok(trilane_status status) {
  if (status != TRILANE_STATUS_OK) {
    board_print(trilane_error_message(status));
    board_print("\n");
    board_exit(1);
  }
}

static void print_hex(uint64_t value) {
  char digits[17];
  for (int i = 0; i < 16; i++) {
    digits[i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
  }
  digits[16] = 0;
  board_print(digits);
}

static void print_number(uint32_t value) {
  char digits[11];
  int i = sizeof digits;
  digits[--i] = 0;
  do {
    digits[--i] = (char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  board_print(digits + i);
}

int main(void) {
  trilane_engine *engine;
  expect_ok(trilane_init(MODEL, MODEL_LEN, MODEL_CONTEXT, memory, sizeof memory, &engine));

  uint64_t digest;
  expect_ok(trilane_digest(engine, &digest));
  board_print("digest ");
  print_hex(digest);
  board_print("\n");

  uint32_t token = 1;
  board_print("tokens");
  for (int i = 0; i < 8; i++) {
    expect_ok(trilane_step(engine, token, &token, 0, 0));
    board_print(" ");
    print_number(token);
  }
  board_print("\n");
  return digest == MODEL_DIGEST ? 0 : 1;
}
