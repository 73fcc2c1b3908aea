//! The kernels: their sources, and the name of each as the compiler takes it.

/// A source file and what is compiled of it.
#[derive(Debug)]
pub struct Source {
    /// Name of the file.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
    /// Every kernel: the name of a function, or of one that a template gives.
    pub kernels: &'static [&'static str],
}

/// What the sources include, with the names that they include it by.
pub const HEADERS: &[(&str, &str)] = &[
    ("activations.cuh", include_str!("../kernels/activations.cuh")),
    ("blocks.cuh", include_str!("../kernels/blocks.cuh")),
    ("device.cuh", include_str!("../kernels/device.cuh")),
    ("digits.cuh", include_str!("../kernels/digits.cuh")),
    ("math.cuh", include_str!("../kernels/math.cuh")),
    ("neurons.cuh", include_str!("../kernels/neurons.cuh")),
    ("pi.cuh", include_str!("../kernels/pi.cuh")),
    ("ranking.cuh", include_str!("../kernels/ranking.cuh")),
    ("tensor.cuh", include_str!("../kernels/tensor.cuh")),
];

/// Every source.
pub const SOURCES: &[&Source] = &[
    &ACTIVATIONS,
    &ATTENTION,
    &BLOCKS,
    &DIGITS,
    &HYPER,
    &MATMUL,
    &NEURONS,
    &SAMPLER,
    &SELECT,
    &SELECTION,
    &SKETCH,
    &TRAIN,
];

/// Norms, gates and activations as block floating point.
pub static ACTIVATIONS: Source = Source {
    name: "activations.cu",
    text: include_str!("../kernels/activations.cu"),
    kernels: &[
        "rms_norm",
        "layer_norm",
        "add",
        "gate<IDENTITY>",
        "gate<RELU>",
        "gate<RELU2>",
        "gate<GELU>",
        "gate<GELU_ERF>",
        "gate<SILU>",
        "check_finite",
        "quantize",
    ],
};

/// Rotary embedding, the key-value cache and attention.
pub static ATTENTION: Source = Source {
    name: "attention.cu",
    text: include_str!("../kernels/attention.cu"),
    kernels: &["rotate", "attention_scores", "attention_softmax", "attention_values"],
};

/// Products with matrices in the block types of GGUF.
pub static BLOCKS: Source = Source {
    name: "blocks.cu",
    text: include_str!("../kernels/blocks.cu"),
    kernels: &[
        "block_matvec<F32>",
        "block_matvec<F16>",
        "block_matvec<BF16>",
        "block_matvec<Q4_0>",
        "block_matvec<Q4_1>",
        "block_matvec<Q5_0>",
        "block_matvec<Q5_1>",
        "block_matvec<Q8_0>",
        "block_matvec<Q2_K>",
        "block_matvec<Q3_K>",
        "block_matvec<Q4_K>",
        "block_matvec<Q5_K>",
        "block_matvec<Q6_K>",
        "block_matvec<TQ1_0>",
        "block_matvec<TQ2_0>",
        "block_matvec<I2_S>",
        "block_row<F32>",
        "block_row<F16>",
        "block_row<BF16>",
        "block_row<Q4_0>",
        "block_row<Q4_1>",
        "block_row<Q5_0>",
        "block_row<Q5_1>",
        "block_row<Q8_0>",
        "block_row<Q2_K>",
        "block_row<Q3_K>",
        "block_row<Q4_K>",
        "block_row<Q5_K>",
        "block_row<Q6_K>",
        "block_row<TQ1_0>",
        "block_row<TQ2_0>",
        "block_row<I2_S>",
    ],
};

/// Products with matrices in digit planes.
pub static DIGITS: Source = Source {
    name: "digits.cu",
    text: include_str!("../kernels/digits.cu"),
    kernels: &[
        "lane_matvec<TERNARY, 0>",
        "lane_matvec<TERNARY, 32>",
        "lane_matvec<TERNARY, 64>",
        "lane_matvec<BIT3, 0>",
        "lane_matvec<BIT3, 32>",
        "lane_matvec<BIT3, 64>",
        "lane_matvec<BIT5, 0>",
        "lane_matvec<BIT5, 32>",
        "lane_matvec<BIT5, 64>",
        "lane_matvec<BIT7, 0>",
        "lane_matvec<BIT7, 32>",
        "lane_matvec<BIT7, 64>",
        "lane_row<TERNARY, 0>",
        "lane_row<TERNARY, 32>",
        "lane_row<TERNARY, 64>",
        "lane_row<BIT3, 0>",
        "lane_row<BIT3, 32>",
        "lane_row<BIT3, 64>",
        "lane_row<BIT5, 0>",
        "lane_row<BIT5, 32>",
        "lane_row<BIT5, 64>",
        "lane_row<BIT7, 0>",
        "lane_row<BIT7, 32>",
        "lane_row<BIT7, 64>",
    ],
};

/// Products of matrices in digit planes with many vectors.
pub static MATMUL: Source = Source {
    name: "matmul.cu",
    text: include_str!("../kernels/matmul.cu"),
    kernels: &[
        "lane_matmul<TERNARY, 0>",
        "lane_matmul<TERNARY, 32>",
        "lane_matmul<TERNARY, 64>",
        "lane_matmul<BIT3, 0>",
        "lane_matmul<BIT3, 32>",
        "lane_matmul<BIT3, 64>",
        "lane_matmul<BIT5, 0>",
        "lane_matmul<BIT5, 32>",
        "lane_matmul<BIT5, 64>",
        "lane_matmul<BIT7, 0>",
        "lane_matmul<BIT7, 32>",
        "lane_matmul<BIT7, 64>",
    ],
};

/// Hypervectors.
pub static HYPER: Source = Source {
    name: "hyper.cu",
    text: include_str!("../kernels/hyper.cu"),
    kernels: &[
        "combine<PRODUCT>",
        "combine<SUM_MOD3>",
        "permute",
        "compare<DOT>",
        "compare<DISTANCE>",
        "nonzeros",
        "bundle_add",
        "bundle_add_weighted",
        "majority",
        "nearest",
    ],
};

/// The largest of many keys.
pub static SELECT: Source = Source {
    name: "select.cu",
    text: include_str!("../kernels/select.cu"),
    kernels: &["select_count", "select_digit", "select_tally", "select_offsets", "select_take"],
};

/// Sketches of gradients.
pub static SKETCH: Source = Source {
    name: "sketch.cu",
    text: include_str!("../kernels/sketch.cu"),
    kernels: &["sign_hash", "sketch", "unsketch", "estimate", "gather", "scatter_add"],
};

/// Training.
pub static TRAIN: Source = Source {
    name: "train.cu",
    text: include_str!("../kernels/train.cu"),
    kernels: &[
        "check",
        "accumulator_clear",
        "accumulate",
        "accumulated",
        "predictor_record",
        "predictor_predict",
    ],
};

/// Feed-forward blocks of chosen neurons.
pub static NEURONS: Source = Source {
    name: "neurons.cu",
    text: include_str!("../kernels/neurons.cu"),
    kernels: &[
        "neuron_products<TERNARY, 0>",
        "neuron_products<TERNARY, 32>",
        "neuron_products<TERNARY, 64>",
        "neuron_products<BIT3, 0>",
        "neuron_products<BIT3, 32>",
        "neuron_products<BIT3, 64>",
        "neuron_products<BIT5, 0>",
        "neuron_products<BIT5, 32>",
        "neuron_products<BIT5, 64>",
        "neuron_products<BIT7, 0>",
        "neuron_products<BIT7, 32>",
        "neuron_products<BIT7, 64>",
        "neuron_products<SECOND, 0>",
        "neuron_products<SECOND, 32>",
        "neuron_products<SECOND, 64>",
        "neuron_products<THIRD, 0>",
        "neuron_products<THIRD, 32>",
        "neuron_products<THIRD, 64>",
        "neuron_products<SECOND | THIRD, 0>",
        "neuron_products<SECOND | THIRD, 32>",
        "neuron_products<SECOND | THIRD, 64>",
        "known_products",
        "neuron_scores<IDENTITY>",
        "neuron_scores<RELU>",
        "neuron_scores<RELU2>",
        "neuron_scores<GELU>",
        "neuron_scores<GELU_ERF>",
        "neuron_scores<SILU>",
        "neuron_values<IDENTITY>",
        "neuron_values<RELU>",
        "neuron_values<RELU2>",
        "neuron_values<GELU>",
        "neuron_values<GELU_ERF>",
        "neuron_values<SILU>",
        "neuron_integers",
        "combine<TERNARY, 0>",
        "combine<TERNARY, 32>",
        "combine<TERNARY, 64>",
        "combine<BIT3, 0>",
        "combine<BIT3, 32>",
        "combine<BIT3, 64>",
        "combine<BIT5, 0>",
        "combine<BIT5, 32>",
        "combine<BIT5, 64>",
        "combine<BIT7, 0>",
        "combine<BIT7, 32>",
        "combine<BIT7, 64>",
        "combined",
    ],
};

/// The next token.
pub static SAMPLER: Source = Source {
    name: "sampler.cu",
    text: include_str!("../kernels/sampler.cu"),
    kernels: &["sample_greedy", "sample_drawn"],
};

/// Which neurons are computed.
pub static SELECTION: Source = Source {
    name: "selection.cu",
    text: include_str!("../kernels/selection.cu"),
    kernels: &["select_neurons"],
};
