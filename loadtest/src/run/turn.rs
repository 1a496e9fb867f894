//! One gateway's turn in one round: what it used, divided by what it did.

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::figures::{Figure, Figures};
use crate::http::Client;
use crate::load::Requests;
use crate::load::hold::Held;
use crate::load::transfer::Transfer;
use crate::scenario::{LoadKind, Plan, Unit};
use crate::stage::{Running, Stage};
use crate::usage::Memory;
use crate::{Outcome, open_loop, usage};

/// What there is to do in a turn.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    pub plan: &'a Plan,
    pub requests: &'a Requests,
    pub time: Duration,
    /// Requests a second, of an open loop.
    pub rate: Option<u32>,
}

/// What was done in a turn, and how long each took.
pub struct Work {
    pub requests: f64,
    bytes: f64,
    pub seconds: f64,
    latencies: Vec<(Figure, f64)>,
    histogram: Option<Histogram<u64>>,
}

/// What a turn gave: figures, and of an open loop every latency.
pub type Taken = (Figures, Option<Histogram<u64>>);

/// Loads `running` as `plan` says and reads what that cost.
pub fn take(stage: &Stage, running: &mut Running, job: Job) -> Outcome<Taken> {
    let plan = job.plan;
    let id = running.process.id();
    let shared = running.cpus.contains(&stage.cpus.load_cpu);
    let busy = || -> Outcome<f64> {
        let mut sum = 0.0;
        for &cpu in &running.cpus {
            sum += usage::cpu_busy(cpu)?;
        }
        Ok(sum)
    };
    // At a constant rate the generator uses its connections in turn.
    let alike = plan.load.kind == LoadKind::ConstantRate;
    let workers = running.workers;
    let tally = || match workers {
        Some(workers) => workers.tally(alike),
        None => Ok(None),
    };
    let tally_before = tally()?;
    usage::reset_peak(id)?;
    let (began, busy_before) = (Instant::now(), busy()?);
    let (threads_before, before) = (usage::thread_times(id)?, usage::cpu_time(id)?);
    let (work, watched) = std::thread::scope(|scope| -> Outcome<_> {
        let half = job.time / 2;
        let watch = workers
            .filter(|_| alike)
            .map(|workers| scope.spawn(move || workers.watch(half).map_err(|error| error.to_string())));
        let work = work(stage, running, job)?;
        let watched = match watch {
            Some(watch) => watch.join().map_err(|_| "a look at the workers panicked")??,
            None => None,
        };
        Ok((work, watched))
    })?;
    let spent = usage::cpu_time(id)?.since(before);
    let threads = usage::thread_times(id)?;
    let busy = running
        .cpus
        .iter()
        .map(|&cpu| usage::cpu_busy(cpu))
        .sum::<Result<f64, _>>()?
        - busy_before;

    let units = work.units(plan.per);
    let mut figures = Figures::default();
    figures.set(Figure::CpuUs, spent.sum() * 1e6 / units);
    figures.set(Figure::UserUs, spent.user * 1e6 / units);
    figures.set(Figure::SystemUs, spent.system * 1e6 / units);
    figures.set(Figure::PerSecond, units / work.seconds);
    figures.set(Figure::PeakResidentBytes, usage::peak_resident(id)? as f64);
    for (figure, value) in work.latencies {
        figures.set(figure, value);
    }
    if let Some(watched) = watched {
        figures.set(Figure::BusiestRequests, watched.busiest());
    }
    if let (Some(after), Some(before)) = (tally()?, tally_before) {
        figures.set(Figure::BusiestRequests, after.busiest_since(&before));
    }
    if plan.shards > 1 {
        let spent = threads
            .iter()
            .map(|(thread, time)| time - threads_before.get(thread).unwrap_or(&0.0));
        figures.set(
            Figure::BusiestShare,
            busiest_share(spent.collect(), plan.shards as usize),
        );
    }
    if !shared {
        // The two clocks round differently, by a tick or two.
        let elapsed = began.elapsed().as_secs_f64() * running.cpus.len() as f64;
        figures.set(Figure::Disturbance, ((busy - spent.sum()) / elapsed).max(0.0));
    }
    Ok((figures, work.histogram))
}

/// The load alone. An error in a single request is an error.
pub fn work(stage: &Stage, running: &mut Running, job: Job) -> Outcome<Work> {
    let Job {
        plan,
        requests,
        time,
        rate,
    } = job;
    // A plan says so of all loads that know no parts of one.
    let seconds = u32::try_from(time.as_secs())?;
    let load = plan.load;
    match (load.kind, rate) {
        (LoadKind::ConstantRate, Some(rate)) => {
            let open = open_loop::Load {
                connections: load.connections,
                rate,
                seconds,
                cpu: stage.cpus.load_cpu,
            };
            let request = requests.bytes(0, running.address);
            let measured = open
                .run(running.address, &request, &stage.folder)
                .map_err(|error| format!("{}: {error}", running.gateway))?;
            running.process.ensure_running()?;
            measured
                .ensure_clean()
                .map_err(|error| format!("{}: {error}", running.gateway))?;
            let counted = f64::from(seconds);
            let all = counted + open_loop::WARM_UP.as_secs_f64();
            Ok(Work {
                // The warm-up is in no latency, but the gateway's time is measured over it too, and the schedule of its
                // requests is the same.
                requests: measured.histogram.len() as f64 * all / counted,
                bytes: 0.0,
                seconds: all,
                latencies: vec![
                    (Figure::P50Us, measured.p50()),
                    (Figure::P90Us, measured.p90()),
                    (Figure::P99Us, measured.p99()),
                    (Figure::P999Us, measured.p999()),
                    (Figure::P9999Us, measured.p9999()),
                    (Figure::Behind, measured.behind_share()),
                ],
                histogram: Some(measured.histogram),
            })
        }
        // Without a rate: a closed loop, which finds out how much there can be.
        (LoadKind::KeepAlive | LoadKind::Short | LoadKind::Pipelined | LoadKind::ConstantRate, _) => {
            let served = stage.load(running, requests, load.connections, load.depth, seconds)?;
            let mut latencies = vec![
                (Figure::P50Us, served.p50_us),
                (Figure::P90Us, served.p90_us),
                (Figure::P99Us, served.p99_us),
                (Figure::P999Us, served.p999_us),
            ];
            // wrk records one only for the last request of a batch, if at all: what it then says means nothing.
            if load.kind == LoadKind::Pipelined {
                latencies.clear();
            }
            Ok(Work {
                requests: served.requests as f64,
                bytes: 0.0,
                seconds: served.duration_us / 1e6,
                latencies,
                histogram: None,
            })
        }
        (LoadKind::Transfer, _) => {
            let transfer = Transfer {
                connections: load.connections,
                time,
                requests,
            };
            let done = transfer
                .run(running.address)
                .map_err(|error| format!("{}: {error}", running.gateway))?;
            running.process.ensure_running()?;
            Ok(Work {
                requests: done.requests as f64,
                bytes: done.bytes as f64,
                seconds: done.elapsed.as_secs_f64(),
                latencies: vec![
                    (Figure::P50Us, done.percentile_us(0.5)),
                    (Figure::P90Us, done.percentile_us(0.9)),
                ],
                histogram: None,
            })
        }
        (LoadKind::None, _) => Err("this scenario has no load".into()),
    }
}

/// Some requests of the plan's kind on as many connections as it has, up to 64.
pub fn warm_up(stage: &Stage, running: &mut Running, plan: &Plan, requests: &Requests) -> Outcome<()> {
    // wrk knows whole seconds alone, and our own client has no TLS.
    if plan.tls {
        let job = Job {
            plan,
            requests,
            time: Duration::from_secs(1),
            rate: None,
        };
        return work(stage, running, job).map(drop);
    }
    let large = plan.origin.body.bytes().max(plan.request.body.bytes()) > WARM_UP_BYTES_MAX;
    let connections = match plan.load.kind {
        LoadKind::None => WARM_UP_CONNECTIONS,
        LoadKind::Short => return short_warm_up(running, requests),
        // One takes longer than the time there is.
        LoadKind::Transfer if large => 1,
        _ => plan.load.connections.min(WARM_UP_CONNECTIONS),
    };
    let transfer = Transfer {
        connections,
        time: WARM_UP,
        requests,
    };
    transfer
        .run(running.address)
        .map_err(|error| format!("{}: {error}", running.gateway))?;
    Ok(())
}

/// The same with a connection for each request.
fn short_warm_up(running: &Running, requests: &Requests) -> Outcome<()> {
    let end = Instant::now() + WARM_UP;
    let request = requests.bytes(0, running.address);
    let converse = || -> io::Result<()> {
        while Instant::now() < end {
            Client::connect(running.address)?.exchange(&request)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let clients = [(); WARM_UP_CONNECTIONS as usize].map(|()| scope.spawn(converse));
        for client in clients {
            let ended = client.join().map_err(|_| "a client panicked")?;
            ended.map_err(|error| format!("{}: {error}", running.gateway))?;
        }
        Ok(())
    })
}

/// Connections that wait at a gateway, and its memory before there were any.
pub struct Waiting {
    held: Held,
    connections: u32,
    before: Memory,
}

impl Waiting {
    /// Begins to open them. They are all there when `opened` returns.
    pub fn open(stage: &Stage, running: &Running, connections: u32) -> Outcome<Self> {
        let before = usage::memory(running.process.id())?;
        let held = Held::open(running.address, connections, stage.cpus.load_cpu)
            .map_err(|error| format!("{}: {error}", running.gateway))?;
        Ok(Self {
            held,
            connections,
            before,
        })
    }

    /// Returns when all are open and were answered.
    pub fn opened(&mut self, running: &mut Running) -> Outcome<()> {
        let opened = self.held.expect();
        running.process.ensure_running()?;
        Ok(opened.map_err(|error| format!("{}: {error}", running.gateway))?)
    }

    /// What each costs in memory now.
    pub fn figures(&self, running: &Running) -> Outcome<Figures> {
        let id = running.process.id();
        let after = usage::memory(id)?;
        let each = |after: u64, before: u64| (after as f64 - before as f64) / f64::from(self.connections);
        let mut figures = Figures::default();
        figures.set(
            Figure::ConnectionBytes,
            each(after.resident, self.before.resident),
        );
        figures.set(
            Figure::ConnectionProportionalBytes,
            each(after.proportional, self.before.proportional),
        );
        figures.set(Figure::PeakResidentBytes, usage::peak_resident(id)? as f64);
        Ok(figures)
    }

    /// Asks on each again. An error, here or from `opened`, unless all are open still: a gateway that had closed them
    /// would have needed little memory.
    pub fn ask(&mut self) -> Outcome<()> {
        self.held.ask()
    }
}

impl Work {
    pub fn units(&self, unit: Unit) -> f64 {
        match unit {
            Unit::Request | Unit::Connection => self.requests,
            Unit::Gibibyte => self.bytes / GIBIBYTE,
        }
    }
}

/// The busiest of the `workers` busiest threads, by what they used; the others (a master, a control plane) are no
/// workers.
fn busiest_share(mut spent: Vec<f64>, workers: usize) -> f64 {
    spent.sort_by(|a, b| b.total_cmp(a));
    spent.truncate(workers);
    spent.first().unwrap_or(&0.0) / spent.iter().sum::<f64>()
}

const WARM_UP: Duration = Duration::from_millis(200);
const WARM_UP_CONNECTIONS: u32 = 64;
/// A body above it is not sent on several connections to warm a gateway up.
const WARM_UP_BYTES_MAX: u64 = 4 << 20;
const GIBIBYTE: f64 = (1u64 << 30) as f64;

/// What a gateway gives back after a short while it has given back.
pub const IDLE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_is_one_of_the_workers() {
        assert_eq!(busiest_share(vec![0.01, 1.0, 3.0, 0.0], 2), 0.75);
        assert_eq!(busiest_share(vec![2.0, 2.0, 0.5], 2), 0.5);
        assert!(busiest_share(vec![], 2).is_nan());
    }

    #[test]
    fn work_is_counted_in_the_plans_unit() {
        let work = Work {
            requests: 10.0,
            bytes: GIBIBYTE / 2.0,
            seconds: 1.0,
            latencies: Vec::new(),
            histogram: None,
        };
        assert_eq!(work.units(Unit::Request), 10.0);
        assert_eq!(work.units(Unit::Gibibyte), 0.5);
    }
}
