/* trilane in firmware: the C interface. Made by cbindgen from esp32/c; see esp32/README.md. */

#pragma once

#include <stddef.h>
#include <stdint.h>

// How a call ended. The numbers never change their meaning.
enum trilane_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // Done.
  TRILANE_STATUS_OK = 0,
  // A pointer is null, or a length is more than the address space.
  TRILANE_STATUS_NULL = 1,
  // The bytes are not a GGUF file, or a malformed one.
  TRILANE_STATUS_FILE = 2,
  // The file's model is incomplete, malformed, or of a kind that is not run.
  TRILANE_STATUS_MODEL = 3,
  // A tensor is stored at a lane that this build does not read.
  TRILANE_STATUS_LANE = 4,
  // The model does not lie at a multiple of four.
  TRILANE_STATUS_ALIGNMENT = 5,
  // The memory is too small for the model and the context.
  TRILANE_STATUS_MEMORY = 6,
  // The token is not in the vocabulary.
  TRILANE_STATUS_TOKEN = 7,
  // The context is full.
  TRILANE_STATUS_CONTEXT = 8,
  // A computed value is not finite.
  TRILANE_STATUS_DIVERGED = 9,
  // The features are not as many as the model takes, or -128 is among them.
  TRILANE_STATUS_FEATURES = 10,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trilane_status trilane_status;
#else
typedef int32_t trilane_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A perceptron being run. Lies at the beginning of the memory that it was given.
typedef struct trilane_classifier trilane_classifier;

// A model being run. Lies at the beginning of the memory that it was given.
typedef struct trilane_engine trilane_engine;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Bytes of memory that an engine for sequences of up to `context` tokens needs, into `*bytes`.
//
// # Safety
// `model` is valid for `model_len` bytes, `bytes` for one value; either may be null.
trilane_status trilane_memory_bytes(const uint8_t *model,
                                    size_t model_len,
                                    size_t context,
                                    size_t *bytes);

// Checks a model and prepares to run it in `memory`; the engine, into `*engine`, is valid as long
// as model and memory are, and needs no end. It reads weights at the lowest lane of the model.
//
// `model` has to lie at a multiple of four, better of 64; `memory` may lie anywhere.
//
// # Safety
// `model` is valid for `model_len` bytes and does not change, `memory` is valid for `memory_len`
// bytes that nothing else uses, both as long as the engine is used; `engine` is valid for one
// value. Each may be null.
trilane_status trilane_init(const uint8_t *model,
                            size_t model_len,
                            size_t context,
                            void *memory,
                            size_t memory_len,
                            struct trilane_engine **engine);

// Takes one token. The likeliest next token goes into `*next`, the scores of all next tokens into
// `*logits` (valid until the next call) and their number into `*logits_len`; each may be null.
// After an error the sequence is as before.
//
// # Safety
// `engine` comes from `trilane_init`, and the other pointers are valid for one value, or null.
trilane_status trilane_step(struct trilane_engine *engine,
                            uint32_t token,
                            uint32_t *next,
                            const float **logits,
                            size_t *logits_len);

#if defined(TRILANE_LANES)
// Reads weights at `bits` (3, 5 or 7, or 2 for trits) from the next step on; of a library that was
// built with the feature `lanes`. After an error the lane is as before.
//
// # Safety
// `engine` comes from `trilane_init`, or is null.
trilane_status trilane_set_lane(struct trilane_engine *engine, uint32_t bits);
#endif

// Forgets the sequence.
//
// # Safety
// `engine` comes from `trilane_init`, or is null.
trilane_status trilane_reset(struct trilane_engine *engine);

// The digest of a fixed run, the same on every platform, into `*digest`. Forgets the sequence. It
// takes the time of 16 tokens, or of as many as there is room for.
//
// # Safety
// `engine` comes from `trilane_init` and `digest` is valid for one value; either may be null.
trilane_status trilane_digest(struct trilane_engine *engine, uint64_t *digest);

// What a status means, for people; any number is taken. Never null.
const char *trilane_error_message(int32_t status);

// Bytes of memory that a classifier needs, into `*bytes`.
//
// # Safety
// `model` is valid for `model_len` bytes, `bytes` for one value; either may be null.
trilane_status trilane_classifier_memory_bytes(const uint8_t *model,
                                               size_t model_len,
                                               size_t *bytes);

// Checks a perceptron and prepares to run it in `memory`; the classifier, into `*classifier`, is
// valid as long as model and memory are, and needs no end.
//
// `model` has to lie at a multiple of four, better of 64; `memory` may lie anywhere.
//
// # Safety
// `model` is valid for `model_len` bytes and does not change, `memory` is valid for `memory_len`
// bytes that nothing else uses, both as long as the classifier is used; `classifier` is valid for
// one value. Each may be null.
trilane_status trilane_classifier_init(const uint8_t *model,
                                       size_t model_len,
                                       void *memory,
                                       size_t memory_len,
                                       struct trilane_classifier **classifier);

// Classifies an input of `features_len` features, each from -127 to 127, without a float. The
// likeliest class goes into `*class_index`, the scores of all classes into `*scores` (valid until
// the next call) and their number into `*scores_len`; each may be null.
//
// # Safety
// `classifier` comes from `trilane_classifier_init`, `features` is valid for `features_len` bytes,
// and the other pointers are valid for one value; each may be null.
trilane_status trilane_infer(struct trilane_classifier *classifier,
                             const int8_t *features,
                             size_t features_len,
                             uint32_t *class_index,
                             const int64_t **scores,
                             size_t *scores_len);

// The digest of fixed inputs, the same on every platform, into `*digest`. It takes the time of 16
// inputs.
//
// # Safety
// `classifier` comes from `trilane_classifier_init` and `digest` is valid for one value; either
// may be null.
trilane_status trilane_classifier_digest(struct trilane_classifier *classifier, uint64_t *digest);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus
