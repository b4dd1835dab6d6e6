//! What the system tells about the server's processes.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::Result;

#[derive(Clone, Copy)]
pub struct Process(pub u32);

/// Memory in KiB.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    pub rss: u64,
    /// The part of what is shared that falls to it, and what it has alone.
    pub pss: u64,
    pub private: u64,
}

impl Process {
    /// Processor time of the process and of the children it has seen end, in seconds.
    pub fn cpu(self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0))?;
        // The name is in brackets and may have anything in it.
        let fields = stat.rsplit_once(") ").ok_or("no process name in stat")?.1;
        let ticks: u64 = fields.split(' ').skip(11).take(4).map_while(|ticks| ticks.parse::<u64>().ok()).sum();
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    pub fn children(self) -> Result<Vec<Process>> {
        let mut children = Vec::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.0))? {
            let list = fs::read_to_string(task?.path().join("children"))?;
            children.extend(list.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Process));
        }
        Ok(children)
    }

    /// Only then is their processor time counted.
    pub fn wait_for_children(self) -> Result<()> {
        for _ in 0..200 {
            if self.children()?.is_empty() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("children of process {} do not end", self.0).into())
    }

    pub fn memory(self) -> Result<Memory> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.0))?;
        let of = |what: &str| -> u64 {
            rollup
                .lines()
                .filter_map(|line| line.strip_prefix(what))
                .filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok())
                .sum()
        };
        Ok(Memory { rss: of("Rss:"), pss: of("Pss:"), private: of("Private_Clean:") + of("Private_Dirty:") })
    }

    /// How many it has open.
    pub fn descriptors(self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.0))?.count())
    }

    /// For clients that have gone to be noticed.
    pub fn wait_for_descriptors(self, at_most: usize) -> Result<()> {
        for _ in 0..200 {
            if self.descriptors()? <= at_most {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(format!("process {} keeps {} descriptors, {at_most} are wanted", self.0, self.descriptors()?).into())
    }

    /// The most memory it has had so far, in KiB.
    pub fn peak(self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in status")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }
}
