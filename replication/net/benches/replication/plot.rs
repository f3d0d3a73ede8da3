//! A picture of the times: one bar per case and transport, its floor below it, and one line for all goals.
//!
//! Cases take from milliseconds to seconds, so every bar is drawn in units of its own goal.

use crate::report::{FLOOR, Outcome, Report, TIME, short};

const WIDTH: f64 = 860.0;
const LABELS: f64 = 330.0;
const FIGURES: f64 = 190.0;
const ROW: f64 = 44.0;
const TOP: f64 = 64.0;
/// How many goals wide the field of the bars is. Longer bars are cut off there, and their figures say how long they are.
const GOALS_SHOWN: f64 = 2.0;

/// The picture as SVG.
pub fn svg(report: &Report) -> String {
    let shown: Vec<(&Outcome, f64)> =
        report.outcomes.iter().filter_map(|outcome| Some((outcome, outcome.goal_ms?))).collect();
    let height = TOP + ROW * shown.len() as f64 + 20.0;
    let goal_at = LABELS + (WIDTH - LABELS - FIGURES) / GOALS_SHOWN;
    let rows: String = shown.iter().enumerate().map(|(n, (outcome, goal_ms))| row(n, outcome, *goal_ms)).collect();
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="12" y="24" font-size="16" fill="#1c2733">Replication between two nodes: time, floor and goal</text>
<text x="12" y="44" fill="#52606d">Each bar in units of its goal (the line). Dark: Linli, light: the same bytes over TCP, hashed, written.</text>
{rows}<line x1="{goal_at}" x2="{goal_at}" y1="{TOP}" y2="{}" stroke="#c0392b" stroke-dasharray="4 3"/>
</svg>
"##,
        height - 16.0
    )
}

fn row(n: usize, outcome: &Outcome, goal_ms: f64) -> String {
    let median = |name: &str| outcome.figure(name).map_or(0.0, crate::report::Figure::median);
    let (time, floor) = (median(TIME), median(FLOOR));
    let field = WIDTH - LABELS - FIGURES;
    let length = |ms: f64| (ms / goal_ms / GOALS_SHOWN).min(1.0) * field;
    let y = TOP + ROW * n as f64;
    format!(
        r##"<text x="12" y="{}" fill="#1c2733">{}, {}</text>
<rect x="{LABELS}" y="{}" width="{:.1}" height="16" fill="#1f6f8b"/>
<rect x="{LABELS}" y="{}" width="{:.1}" height="8" fill="#a9c9d3"/>
<text x="{}" y="{}" fill="#1c2733">{} ms, floor {} ms</text>
"##,
        y + 22.0,
        outcome.case,
        outcome.transport,
        y + 6.0,
        length(time),
        y + 24.0,
        length(floor),
        WIDTH - FIGURES + 8.0,
        y + 22.0,
        short(time),
        short(floor),
    )
}
