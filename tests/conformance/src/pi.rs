//! What π gives: sequences, dither, calibration, drift, angles, digits and schedules.

use crate::random::Random;
use trilane_core::lane::PrecisionLane;
use trilane_core::model::Digest;
use trilane_core::pi::{
    AngularEmbedding, Dither, DitherMode, DriftDetector, HypersphericalProjection, PiChaos,
    PiContext, PiError, StochasticRounding, Weyl, WeylSequence, hex_digits,
};

const LEN: usize = 96;

/// What is computed; the test below shows that no part fails.
/// What adds its results to a digest.
type Part = fn(&mut Digest) -> Result<(), PiError>;

const PARTS: [Part; 5] = [sequences, dithers, lanes, angles, chaos];

/// Every operation over the same signals. A part that fails ends early.
pub(crate) fn everything() -> Digest {
    let mut digest = Digest::default();
    for part in PARTS {
        if part(&mut digest).is_err() {
            digest.bytes(b"failed");
        }
    }
    digest
}

/// Values in −3..3.
fn signal(random: &mut Random) -> [f32; LEN] {
    core::array::from_fn(|_| 3.0 * random.signed())
}

fn sequences(digest: &mut Digest) -> Result<(), PiError> {
    for sequence in [WeylSequence::Linear, WeylSequence::Quadratic] {
        for start in [0, u64::from(u32::MAX), u64::MAX - 20] {
            let mut weyl = Weyl::starting_at(sequence, start);
            (0..40).for_each(|_| digest.bytes(&weyl.next_bits().to_le_bytes()));
        }
    }
    for position in [0, 17, 300] {
        digest.bytes(&hex_digits(position)?.to_le_bytes());
    }
    Ok(())
}

fn dithers(digest: &mut Digest) -> Result<(), PiError> {
    let x = signal(&mut Random(21));
    let (mut codes, mut y) = ([0; LEN], [0.0; LEN]);
    for sequence in [WeylSequence::Linear, WeylSequence::Quadratic] {
        for mode in [DitherMode::Subtractive, DitherMode::NonSubtractive] {
            let mut writer = Dither::new(sequence, 0.1, -16, 15)?;
            let mut reader = writer.clone();
            writer.quantize(&x, &mut codes)?;
            reader.dequantize(&codes, mode, &mut y)?;
            digest.bytes(bytemuck::cast_slice(&codes));
            digest.floats(&y);
        }
    }
    let mut rounding = StochasticRounding::new();
    for x in x {
        digest.bytes(&rounding.round(100.0 * x)?.to_le_bytes());
    }
    Ok(())
}

fn lanes(digest: &mut Digest) -> Result<(), PiError> {
    let x = signal(&mut Random(22));
    for lane in PrecisionLane::NESTED {
        let context = PiContext::new(lane)?;
        let mut detector = DriftDetector::new(lane)?;
        let mut y = [0.0; LEN];
        for (y, &x) in y.iter_mut().zip(&x) {
            *y = context.calibrate(x)?;
            let calibration = context.calibration();
            let phase = calibration.phase_encode(calibration.pi_quantize(x)?);
            digest.floats(&[calibration.normalize(x)?, phase]);
        }
        digest.floats(&y);
        for i in 0..10 {
            let off = y.map(|y| y + 0.03 * i as f32);
            let honesty = detector.check(&x, &off)?;
            digest.floats(&[honesty.report.ratio, honesty.trend.unwrap_or(0.0)]);
            let verdict = [honesty.is_honest, honesty.should_escalate];
            digest.bytes(&verdict.map(u8::from));
            digest.bytes(&honesty.report.outside.to_le_bytes()[..4]);
        }
    }
    Ok(())
}

fn angles(digest: &mut Digest) -> Result<(), PiError> {
    let (mut random, mut last) = (Random(23), [1.0; LEN]);
    for lane in PrecisionLane::NESTED {
        let x = signal(&mut random);
        let embedding = AngularEmbedding::new(lane)?;
        let (mut codes, mut y) = ([0; LEN - 1], [0.0; LEN]);
        let length = embedding.project(&x, &mut codes)?;
        embedding.direction(&codes, &mut y)?;
        digest.bytes(bytemuck::cast_slice(&codes));
        digest.floats(&y);
        let distance = embedding.angular_distance(&x, &last)?;
        let mut angles = [0.0; LEN - 1];
        let radius = HypersphericalProjection::forward(&x, &mut angles)?;
        HypersphericalProjection::inverse(radius, &angles, &mut y)?;
        angles.iter().for_each(|angle| digest.bytes(&angle.to_bits().to_le_bytes()));
        digest.floats(&y);
        digest.floats(&[length, distance, radius as f32]);
        last = x;
    }
    Ok(())
}

fn chaos(digest: &mut Digest) -> Result<(), PiError> {
    let mut chaos = PiChaos::from_digits(100)?;
    let mut order = [0u32; 50];
    for round in 0..20 {
        chaos.schedule_order(round, &mut order)?;
        order.iter().for_each(|v| digest.bytes(&v.to_le_bytes()));
        digest.floats(&[chaos.jitter(round), chaos.next_float()]);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_fails() {
        for (i, part) in PARTS.iter().enumerate() {
            assert_eq!(part(&mut Digest::default()), Ok(()), "part {i}");
        }
    }
}
