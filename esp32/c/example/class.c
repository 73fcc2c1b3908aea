// The smallest classifier: the class of one input. Links without allocator, without panic and, on a
// processor without float instructions, without software for floats.
#include <stdint.h>

#include "board.h"
#include "model.h"
#include "print.h"
#include "trilane.h"

static uint8_t memory[MODEL_MEMORY_BYTES];

int main(void) {
  trilane_classifier *classifier;
  expect_ok(trilane_classifier_init(MODEL, MODEL_LEN, memory, sizeof memory, &classifier));
  // A vertical stroke, in 8 rows of 8.
  int8_t pixels[MODEL_FEATURES];
  for (uint32_t i = 0; i < MODEL_FEATURES; i++) {
    pixels[i] = i % 8 == 3 || i % 8 == 4 ? 16 : 0;
  }
  uint32_t class_index;
  expect_ok(trilane_infer(classifier, pixels, MODEL_FEATURES, &class_index, 0, 0));
  print_number(class_index);
  board_print("\n");
  return 0;
}
