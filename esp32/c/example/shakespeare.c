// A decoder in flash, run from C: prints its digest and goes on with its first token.
#include <stdint.h>

#include "board.h"
#include "model.h"
#include "print.h"
#include "trilane.h"

static uint8_t memory[MODEL_MEMORY_BYTES];

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
