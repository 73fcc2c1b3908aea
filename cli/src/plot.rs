//! Curves as an SVG image.

use plotters::prelude::*;
use std::error::Error;

/// A named curve; values that are not finite are left out.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// An axis.
#[derive(Clone, Copy)]
pub(crate) struct Axis {
    pub(crate) text: &'static str,
    /// Whether it begins at 0 rather than at the smallest value.
    pub(crate) from_zero: bool,
}

impl Axis {
    /// What it spans, with a little room.
    fn span(&self, values: impl Iterator<Item = f64> + Clone) -> std::ops::Range<f64> {
        let most = values.clone().fold(f64::MIN, f64::max);
        let least = values.fold(f64::MAX, f64::min);
        let room = 0.04 * (most - if self.from_zero { 0.0 } else { least }).max(1e-9);
        if self.from_zero { 0.0..most + room } else { least - room..most + room }
    }
}

/// Colours that differ for readers who do not see all of them (Okabe and Ito 2008).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

/// Draws curves, their names in a legend.
pub(crate) fn chart(
    title: &str,
    x: Axis,
    y: Axis,
    curves: &[Curve],
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (760, 460)).into_drawing_area();
        area.fill(&WHITE)?;
        let finite = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
        let points = curves.iter().flat_map(|curve| &curve.points).filter(finite);
        let spans = (x.span(points.clone().map(|p| p.0)), y.span(points.map(|p| p.1)));
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 22))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(64)
            .build_cartesian_2d(spans.0, spans.1)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(x.text)
            .y_desc(y.text)
            .label_style(("sans-serif", 14))
            .draw()?;
        for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
            let style = colour.stroke_width(2);
            let points: Vec<_> = curve.points.iter().filter(finite).copied().collect();
            let dots = points.iter().map(|&p| Circle::new(p, 3, colour.filled()));
            chart.draw_series(dots)?;
            chart
                .draw_series(LineSeries::new(points, style))?
                .label(&curve.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(180, 180, 180))
            .label_font(("sans-serif", 13))
            .draw()?;
        area.present()?;
    }
    Ok(svg)
}
