//! Models: headers, tokenizer, sampler, decoder.
