//! Figures: percentiles, medians of rounds, tables, and whether what was aimed at was reached.

use std::time::Duration;

/// Times in milliseconds.
#[derive(Clone, Default)]
pub struct Times(Vec<f64>);

impl Times {
    pub fn push(&mut self, time: Duration) {
        self.0.push(time.as_secs_f64() * 1e3);
    }

    pub fn extend(&mut self, other: Times) {
        self.0.extend(other.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest time that so many percent of all do not exceed; NaN if there is none.
    pub fn percentile(&self, percent: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(f64::NAN)
    }

    pub fn p50(&self) -> f64 {
        self.percentile(50.0)
    }

    pub fn p99(&self) -> f64 {
        self.percentile(99.0)
    }

    pub fn max(&self) -> f64 {
        self.percentile(100.0)
    }
}

/// One figure, measured once a round.
#[derive(Clone, Default)]
pub struct Rounds(pub Vec<f64>);

impl Rounds {
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        }
    }

    /// Median, least and greatest.
    pub fn shown(&self, digits: usize) -> String {
        if self.0.len() == 1 {
            return format!("{:.digits$}", self.median());
        }
        let least = self.0.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        format!("{:.digits$} ({least:.digits$}-{greatest:.digits$})", self.median())
    }
}

/// Prints a table in Markdown.
pub fn table(rows: &[Vec<String>]) {
    println!();
    for (number, row) in rows.iter().enumerate() {
        println!("| {} |", row.join(" | "));
        if number == 0 {
            println!("|{}", "---|".repeat(row.len()));
        }
    }
}

/// What was aimed at.
pub struct Aim {
    pub what: String,
    pub found: String,
    pub reached: bool,
}

impl Aim {
    pub fn at_least(what: impl Into<String>, least: f64, found: f64) -> Aim {
        Aim {
            what: format!("{}: at least {least}", what.into()),
            found: format!("{found:.2}"),
            reached: found >= least,
        }
    }

    pub fn at_most(what: impl Into<String>, most: f64, found: f64) -> Aim {
        Aim { what: format!("{}: at most {most}", what.into()), found: format!("{found:.2}"), reached: found <= most }
    }

    /// Of so many all.
    pub fn every(what: impl Into<String>, of: usize, found: usize) -> Aim {
        Aim { what: format!("{}: all of {of}", what.into()), found: found.to_string(), reached: found == of && of > 0 }
    }
}

/// Prints how it went; whether all was reached.
pub fn judge(aims: &[Aim]) -> bool {
    println!();
    for aim in aims {
        println!("- {}{}: {}", if aim.reached { "" } else { "MISSED: " }, aim.what, aim.found);
    }
    aims.iter().all(|aim| aim.reached)
}
