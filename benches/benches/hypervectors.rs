//! Hypervectors of 10,000 trits: trilane beside trit-vsa, on one thread.
//!
//! `cargo bench --bench hypervectors`. Every answer is checked before it is timed, against one count
//! over the trits themselves. The peer's own binding is the difference modulo 3, which is timed here
//! as well; it has neither a shift nor an item memory.

use criterion::Criterion;
use std::hint::black_box;
use std::time::{Duration, Instant};
use trilane_benches::Error;
use trilane_core::hyper::{
    ItemMemory, Neighbour, TritPlanes, bind, bind_mod3, bundle, bundle_words, cosine, dot,
    hamming_distance, permute, words,
};
use trilane_std::hyper::Hypervector;
use trilane_std::level;
use trit_vsa::{PackedTritVec, vsa};

const DIM: usize = 10_000;
const BUNDLED: usize = 33;
const ITEMS: usize = 1_000;
const SAMPLES: usize = 20;

/// The medians of an operation, here and of the peer.
type Row = (&'static str, Duration, Option<Duration>);

fn main() -> Result<(), Error> {
    let level = level::detect();
    let mut memory = vec![0; ITEMS * 2 * words(DIM)];
    let items = ItemMemory::random(DIM, 1, &mut memory)?;
    let ours: Vec<TritPlanes<'_>> = items.iter().take(BUNDLED).collect();
    let values: Vec<Vec<i8>> =
        ours.iter().map(|v| v.iter().map(|trit| trit.value()).collect()).collect();
    let theirs =
        values.iter().map(|v| PackedTritVec::from_i8_slice(v)).collect::<Result<Vec<_>, _>>()?;
    let references: Vec<&PackedTritVec> = theirs.iter().collect();
    let (a, b) = (ours[0], ours[1]);
    let (pa, pb) = (&theirs[0], &theirs[1]);
    let pairs = || values[0].iter().zip(&values[1]).map(|(a, b)| (i64::from(*a), i64::from(*b)));

    let product: i64 = pairs().map(|(a, b)| a * b).sum();
    let differing = pairs().filter(|(a, b)| a != b).count();
    let mut out = Hypervector::new(DIM)?;
    let mut counters = vec![0; bundle_words(DIM, BUNDLED as u64)];
    check("dot", dot(level, &a, &b)? == product && i64::from(pa.dot(pb)) == product)?;
    let expected = product as f32 / DIM as f32;
    let near = |x: f32| (x - expected).abs() < 1e-6;
    check("cosine", near(cosine(level, &a, &b)?) && near(vsa::cosine_similarity(pa, pb)))?;
    let distances = (hamming_distance(level, &a, &b)?, vsa::hamming_distance(pa, pb));
    check("hamming", distances == (differing as u64, differing))?;
    bind(&a, &b, &mut out.view_mut())?;
    check("bind", pairs().map(|(a, b)| (a * b) as i8).eq(out.to_i8_vec()))?;
    bind_mod3(&a, &b, &mut out.view_mut())?;
    check("bind mod 3", out.to_i8_vec() == vsa::bind(pa, pb).to_i8_vec())?;
    bundle(level, &ours, &mut counters, &mut out.view_mut())?;
    check("bundle", out.to_i8_vec() == vsa::bundle_many(&references).to_i8_vec())?;
    permute(&a, 777, &mut out.view_mut())?;
    check("permute", out.to_i8_vec()[777..] == values[0][..DIM - 777])?;
    let mut nearest = [Neighbour::NONE];
    items.nearest(level, &ours[7], &mut nearest)?;
    check("nearest", nearest[0].index == 7 && nearest[0].cosine == 1.0)?;

    let mut criterion = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600))
        .configure_from_args();
    // Failures were looked for above.
    let mut time = |name: &str, f: &mut dyn FnMut()| timed(&mut criterion, name, f);
    let mut rows: Vec<Row> = Vec::new();
    let mut into = out.view_mut();
    let mine = time("bind", &mut || {
        let _ = black_box(bind(black_box(&a), &b, &mut into));
    });
    rows.push(("bind: product", mine, None));
    let mine = time("bind mod 3", &mut || {
        let _ = black_box(bind_mod3(black_box(&a), &b, &mut into));
    });
    let peer = time("bind mod 3, trit-vsa", &mut || {
        black_box(vsa::bind(black_box(pa), pb));
    });
    rows.push(("bind: modulo 3", mine, Some(peer)));
    let mine = time("dot", &mut || {
        let _ = black_box(dot(level, black_box(&a), &b));
    });
    let peer = time("dot, trit-vsa", &mut || {
        black_box(black_box(pa).dot(pb));
    });
    rows.push(("dot", mine, Some(peer)));
    let mine = time("cosine", &mut || {
        let _ = black_box(cosine(level, black_box(&a), &b));
    });
    let peer = time("cosine, trit-vsa", &mut || {
        black_box(vsa::cosine_similarity(black_box(pa), pb));
    });
    rows.push(("cosine", mine, Some(peer)));
    let mine = time("hamming", &mut || {
        let _ = black_box(hamming_distance(level, black_box(&a), &b));
    });
    let peer = time("hamming, trit-vsa", &mut || {
        black_box(vsa::hamming_distance(black_box(pa), pb));
    });
    rows.push(("hamming", mine, Some(peer)));
    let mine = time("bundle", &mut || {
        let _ = black_box(bundle(level, black_box(&ours), &mut counters, &mut into));
    });
    let peer = time("bundle, trit-vsa", &mut || {
        black_box(vsa::bundle_many(black_box(&references)));
    });
    rows.push(("bundle of 33", mine, Some(peer)));
    let mine = time("permute", &mut || {
        let _ = black_box(permute(black_box(&a), 777, &mut into));
    });
    rows.push(("permute by 777", mine, None));
    let mine = time("nearest", &mut || {
        let _ = black_box(items.nearest(level, black_box(&a), &mut nearest));
    });
    rows.push(("nearest of 1,000", mine, None));
    criterion.final_summary();
    println!("\n| {DIM} trits, {level} | trilane | trit-vsa | ratio |\n|---|---|---|---|");
    for (name, mine, peer) in rows {
        let ratio = peer.map(|peer| peer.as_secs_f64() / mine.as_secs_f64());
        let [peer, ratio] = [peer.map(|p| format!("{p:.1?}")), ratio.map(|r| format!("{r:.1}"))];
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "–".into());
        println!("| {name} | {mine:.1?} | {} | {} |", or_none(peer), or_none(ratio));
    }
    Ok(())
}

/// Refuses to time a wrong answer.
fn check(name: &str, right: bool) -> Result<(), Error> {
    if right { Ok(()) } else { Err(format!("{name}: a wrong answer").into()) }
}

/// The median time of an operation over criterion's samples.
fn timed(criterion: &mut Criterion, name: &str, f: &mut dyn FnMut()) -> Duration {
    let mut samples = Vec::new();
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|times| {
            let start = Instant::now();
            (0..times).for_each(|_| f());
            let elapsed = start.elapsed();
            samples.push(elapsed.div_f64(times as f64));
            elapsed
        });
    });
    // The warm-up comes first and is not a sample.
    let mut samples = samples.split_off(samples.len().saturating_sub(SAMPLES));
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}
