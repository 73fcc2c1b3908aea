// A perceptron in flash, run from C: classifies a test set, and prints how much of it is right.
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "model.h"
#include "print.h"
#include "trilane.h"

enum { RECORD = 1 + MODEL_FEATURES };

// Records of a label and the features of an input.
__asm__(
    ".section .rodata.samples, \"a\"\n"
    "samples: .incbin \"digits-test.bin\"\n"
    "samples_end:\n"
    ".text\n");
extern const uint8_t samples[], samples_end[];

static uint8_t memory[MODEL_MEMORY_BYTES];

int main(void) {
  trilane_classifier *classifier;
  expect_ok(trilane_classifier_init(MODEL, MODEL_LEN, memory, sizeof memory, &classifier));

  uint32_t all = (uint32_t)((size_t)(samples_end - samples) / RECORD);
  uint32_t correct = 0;
  for (uint32_t i = 0; i < all; i++) {
    const uint8_t *record = samples + i * RECORD;
    const int8_t *features = (const int8_t *)record + 1;
    uint32_t class_index;
    expect_ok(trilane_infer(classifier, features, MODEL_FEATURES, &class_index, 0, 0));
    correct += class_index == record[0];
  }
  print_number(correct);
  board_print(" of ");
  print_number(all);
  board_print(" correct\n");

  uint64_t digest;
  expect_ok(trilane_classifier_digest(classifier, &digest));
  board_print("digest ");
  print_hex(digest);
  board_print("\n");
  return digest == MODEL_DIGEST ? 0 : 1;
}
