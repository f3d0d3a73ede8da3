//! What was measured: figures with all their runs, printed for people and written for programs.

use serde_json::json;

use crate::host::Lab;
use crate::measure;

/// One thing that was measured, run by run.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it is.
    pub name: &'static str,
    /// In what it is counted.
    pub unit: &'static str,
    /// Each run.
    pub runs: Vec<f64>,
    /// At most this, if a goal is set.
    pub goal: Option<f64>,
}

impl Figure {
    /// Without a goal.
    pub const fn new(name: &'static str, unit: &'static str, runs: Vec<f64>) -> Self {
        Self { name, unit, runs, goal: None }
    }

    /// With one.
    pub const fn at_most(mut self, goal: f64) -> Self {
        self.goal = Some(goal);
        self
    }

    /// The run in the middle; the upper one of two.
    pub fn median(&self) -> f64 {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The least and the most.
    pub fn spread(&self) -> [f64; 2] {
        let fold = |with: fn(f64, f64) -> f64, from| self.runs.iter().copied().fold(from, with);
        [fold(f64::min, f64::INFINITY), fold(f64::max, f64::NEG_INFINITY)]
    }
}

/// One case over one transport.
pub struct Outcome {
    /// What the case is, for people.
    pub case: String,
    /// Over what.
    pub transport: &'static str,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// How derived figures came about.
    pub notes: Vec<String>,
    /// The longest time that is still good, in milliseconds, for the plot.
    pub goal_ms: Option<f64>,
}

/// Name of the figure that a plot shows.
pub const TIME: &str = "time";
/// Name of the figure beside it.
pub const FLOOR: &str = "floor";

impl Outcome {
    /// A figure by its name.
    pub fn figure(&self, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.name == name)
    }
}

/// All outcomes so far.
pub struct Report {
    machine: String,
    place: &'static str,
    /// Every case that has been run.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Says where this runs.
    pub fn begin(lab: &Lab) -> Self {
        let report = Self { machine: measure::machine(), place: lab.describe(), outcomes: vec![] };
        println!("{}\nhosts: {}", report.machine, report.place);
        println!("medians (least - most); \"cable\" is everything on the interface, both ways, headers included");
        report
    }

    /// Prints an outcome and keeps it.
    pub fn add(&mut self, outcome: Outcome) {
        let runs = outcome.figures.first().map_or(0, |figure| figure.runs.len());
        let runs = if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") };
        println!("\n{}, {}, {runs}", outcome.case, outcome.transport);
        for figure in &outcome.figures {
            let [least, most] = figure.spread().map(short);
            let verdict = figure.goal.map_or_else(String::new, |goal| {
                let met = if figure.median() <= goal { "met" } else { "missed" };
                format!("  goal {} {met}", short(goal))
            });
            let (median, unit) = (short(figure.median()), figure.unit);
            println!("  {:<34} {median:>8} {unit:<6} {:<19}{verdict}", figure.name, format!("({least} - {most})"));
        }
        for note in &outcome.notes {
            println!("  {note}");
        }
        self.outcomes.push(outcome);
    }

    /// Says how busy the machine was in the end.
    pub fn end(&self) {
        println!("\nload at the end: {}", measure::load());
    }

    /// Everything, for programs.
    pub fn json(&self) -> String {
        let figure = |figure: &Figure| {
            let [least, most] = figure.spread();
            json!({
                "name": figure.name, "unit": figure.unit, "median": figure.median(), "least": least, "most": most,
                "runs": figure.runs, "goal_at_most": figure.goal,
            })
        };
        let outcome = |outcome: &Outcome| {
            let figures: Vec<_> = outcome.figures.iter().map(figure).collect();
            json!({
                "case": outcome.case, "transport": outcome.transport, "figures": figures, "notes": outcome.notes,
            })
        };
        let outcomes: Vec<_> = self.outcomes.iter().map(outcome).collect();
        let whole = json!({
            "machine": self.machine, "hosts": self.place, "load_at_the_end": measure::load(), "cases": outcomes,
        });
        format!("{whole:#}\n")
    }
}

/// Three digits or so, and none after the point that says nothing.
pub fn short(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
