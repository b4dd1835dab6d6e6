//! `afpd-rs stats`: the figures of the running server, for people.
//!
//! Reads what Prometheus would read, where `metrics.listen` says, and prints each figure beside its description. Histograms become number, mean
//! and the bound below which half and 99 in 100 lie.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::config::MetricsListen;
use crate::exit::{Exit, Failure};
use crate::place::Place;

/// How long to wait for the server.
const PATIENCE: Duration = Duration::from_secs(5);

/// `afpd-rs stats`
///
/// # Errors
/// No endpoint is set, or nothing answers there.
pub fn run(place: &Place, out: &mut dyn Write) -> Result<Exit, Failure> {
    let Some(at) = &place.config.metrics.listen else {
        return Err(Failure::new(
            Exit::Setup,
            "the settings name no place for figures: set metrics.listen = \"127.0.0.1:9548\", or \"unix:/run/afpd-rs/metrics\", and restart the server",
        ));
    };
    let answer = fetch(at).map_err(|error| {
        Failure::new(Exit::Peer, format!("no figures at {at}: {error}; is the server running with these settings?"))
    })?;
    let Some((_, text)) = answer.split_once("\r\n\r\n").filter(|(head, _)| head.starts_with("HTTP/1.1 200 ")) else {
        return Err(Failure::new(Exit::Peer, format!("what answers at {at} is not afpd-rs")));
    };
    write!(out, "{}", for_people(text))?;
    Ok(Exit::Done)
}

fn fetch(at: &MetricsListen) -> io::Result<String> {
    match at {
        MetricsListen::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            ask(stream)
        }
        MetricsListen::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            ask(stream)
        }
    }
}

fn ask(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    // Far above what our own server says.
    stream.take(4 << 20).read_to_string(&mut answer)?;
    Ok(answer)
}

/// One line of OpenMetrics text: `name{label="value"} number`.
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, &'a str)>,
    value: f64,
}

/// The figures as a page.
fn for_people(text: &str) -> String {
    let mut page = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) else { continue };
        let mut family = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("# HELP ") && *line != "# EOF") {
            family.extend(sample(line));
        }
        page.push_str(help.trim_end_matches('.'));
        page.push('\n');
        if family.iter().any(|sample| sample.name.strip_prefix(name) == Some("_bucket")) {
            histograms(&family, &mut page);
            continue;
        }
        if family.is_empty() {
            page.push_str("  none so far\n");
        }
        for Sample { labels, value, .. } in &family {
            page.push_str(&row(labels, &value.to_string()));
        }
    }
    page
}

fn row(labels: &[(&str, &str)], value: &str) -> String {
    let name: Vec<_> = labels.iter().map(|(_, value)| *value).collect();
    format!("  {:<40} {value}\n", name.join(", "))
}

fn histograms(family: &[Sample<'_>], page: &mut String) {
    let mut by_labels: BTreeMap<Vec<(&str, &str)>, Vec<&Sample<'_>>> = BTreeMap::new();
    for sample in family {
        let labels = sample.labels.iter().filter(|(name, _)| *name != "le").copied().collect();
        by_labels.entry(labels).or_default().push(sample);
    }
    for (labels, samples) in by_labels {
        let one =
            |end: &str| samples.iter().find(|sample| sample.name.ends_with(end)).map_or(0.0, |sample| sample.value);
        let (count, sum) = (one("_count"), one("_sum"));
        if count == 0.0 {
            page.push_str(&row(&labels, "none so far"));
            continue;
        }
        let below = |part: f64| {
            let bucket = samples.iter().find(|sample| sample.name.ends_with("_bucket") && sample.value >= part * count);
            let bound = bucket.and_then(|sample| sample.labels.iter().find(|(name, _)| *name == "le"));
            match bound.and_then(|(_, bound)| bound.parse::<f64>().ok()).filter(|bound| bound.is_finite()) {
                Some(bound) => format!("<= {} ms", bound * 1000.0),
                None => "longer than all bounds".to_owned(),
            }
        };
        let value = format!("{count}, mean {:.2} ms, half {}, 99 % {}", sum / count * 1000.0, below(0.5), below(0.99));
        page.push_str(&row(&labels, &value));
    }
}

/// `None` for comments and what is not understood.
fn sample(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Sample { name: series, labels: Vec::new(), value });
    };
    // Our own label values have neither commas nor quotes.
    let labels = labels.strip_suffix('}')?.split(',').filter_map(|label| label.split_once('='));
    let labels = labels.map(|(name, value)| (name, value.trim_matches('"'))).collect();
    Some(Sample { name, labels, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_become_a_page() {
        let page = for_people(
            "# HELP afpd_build The program.\n# TYPE afpd_build info\nafpd_build_info{version=\"0.1.0\"} 1\n\
             # HELP afpd_logins Logins, by outcome and reason.\n# TYPE afpd_logins counter\n\
             afpd_logins_total{outcome=\"refused\",reason=\"wrong-password\"} 7\n\
             # HELP afpd_panics Bugs.\n# TYPE afpd_panics counter\nafpd_panics_total 0\n\
             # HELP afpd_frames_refused Frames refused, by rule.\n# TYPE afpd_frames_refused counter\n\
             # HELP afpd_wait_seconds Waits.\n# TYPE afpd_wait_seconds histogram\nafpd_wait_seconds_sum 0.3\n\
             afpd_wait_seconds_count 100\nafpd_wait_seconds_bucket{le=\"0.001\"} 60\nafpd_wait_seconds_bucket{le=\"0.01\"} 98\n\
             afpd_wait_seconds_bucket{le=\"+Inf\"} 100\n# EOF\n",
        );
        for line in [
            "Logins, by outcome and reason",
            "  refused, wrong-password                  7",
            "                                           0",
            "Frames refused, by rule\n  none so far",
            "100, mean 3.00 ms, half <= 1 ms, 99 % longer than all bounds",
        ] {
            assert!(page.contains(line), "{line:?} is not in\n{page}");
        }
    }
}
