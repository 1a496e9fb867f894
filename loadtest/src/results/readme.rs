//! `readme`: the headline figures, in the README between two marks. They are made from the JSON of the newest results and
//! from nothing else; `--check` says whether the README still shows exactly those, and a test runs it.

use std::fs;
use std::path::{Path, PathBuf};

use super::markdown::table;
use super::report::{Measured, Report};
use super::summary;
use crate::Outcome;
use crate::driver::Driver;
use crate::gateway::Kind;
use crate::run::figures::Figure;
use crate::scenario::Unit;
use crate::scenario::goal::Against;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Folder of all results; the newest day's are taken
    #[arg(long, default_value = crate::run::RESULTS, value_name = "FOLDER")]
    results: PathBuf,

    /// The file with the marks; results lie below its folder
    #[arg(long, default_value = "README.md", value_name = "FILE")]
    readme: PathBuf,

    /// Change nothing: exit 1 when it shows other figures
    #[arg(long)]
    check: bool,
}

pub fn run(options: &Options) -> Outcome<()> {
    let file = options.readme.display();
    let text = fs::read_to_string(&options.readme).map_err(|error| format!("{file}: {error}"))?;
    let (before, shown, after) =
        parts(&text).ok_or_else(|| format!("{file} has not the lines {BEGIN} and {END}"))?;
    let wanted = match newest(&options.results)? {
        None => NOTHING.to_owned(),
        Some(folder) => {
            let home = fs::canonicalize(options.readme.parent().unwrap_or(Path::new(".")).join("."))?;
            let folder = fs::canonicalize(&folder)?;
            let link = folder
                .strip_prefix(&home)
                .map_err(|_| format!("{} does not lie below {}", folder.display(), home.display()))?;
            section(&summary::read(&folder)?, &folder, &link.display().to_string())
        }
    };
    if shown == wanted {
        eprintln!("{file} shows the newest results");
        return Ok(());
    }
    if options.check {
        return Err(format!(
            "{file} does not show the newest results: `loadtest readme` writes them there. It should say:\n{wanted}"
        )
        .into());
    }
    fs::write(&options.readme, format!("{before}{wanted}{after}"))?;
    eprintln!("written into {file}");
    Ok(())
}

/// What stands up to the first mark and with it, between them, and from the second on.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    let begin = text.find(BEGIN)? + BEGIN.len();
    let end = begin + text[begin..].find(END)?;
    Some((&text[..begin], &text[begin..end], &text[end..]))
}

/// The folder of the last day: their names begin with it.
fn newest(results: &Path) -> Outcome<Option<PathBuf>> {
    let Ok(list) = fs::read_dir(results) else {
        return Ok(None);
    };
    let mut folders = Vec::new();
    for entry in list {
        let path = entry?.path();
        if path.join(summary::FILE).is_file() {
            folders.push(path);
        }
    }
    Ok(folders.into_iter().max())
}

fn section(reports: &[Report], folder: &Path, link: &str) -> String {
    let rows: Vec<Vec<String>> = ROWS.iter().filter_map(|row| row.cells(reports)).collect();
    let mut head = vec!["medians of one run".to_owned()];
    head.extend(COLUMNS.map(|(name, ..)| name.to_owned()));
    head.extend(["io_uring × nginx", "epoll × nginx"].map(String::from));
    let mut text = format!("\n\n{}", table(&head, &rows));
    if let Some(machine) = reports.first().map(|report| &report.machine) {
        text += &format!(
            "\nTaken on {} with {} on {}, {} CPUs, Linux {}: {}.\n",
            &machine.taken[..10],
            command(reports),
            machine.cpu_model,
            machine.cpus,
            machine.kernel,
            versions(reports).join(", ")
        );
    }
    let (met, all) = summary::met(reports);
    text += &format!(
        "Another machine gives other figures: compare within a row. A ratio is the median of each round's, and so not \
         quite that of two cells. {met} of {all} goals are met: [each of them, and all scenarios]({link}/{}).\n",
        summary::FILE
    );
    if folder.join(PLOT).is_file() {
        text += &format!(
            "\n![Processor time for a small request, in user space and in the kernel]({link}/{PLOT})\n"
        );
    }
    text + "\n"
}

/// A scenario's figure, of one variant.
struct Row {
    what: &'static str,
    scenario: &'static str,
    variant: &'static str,
    figure: Figure,
}

impl Row {
    /// None where the scenario was not run.
    fn cells(&self, reports: &[Report]) -> Option<Vec<String>> {
        let report = reports.iter().find(|report| report.scenario == self.scenario)?;
        let variant = report
            .variants
            .iter()
            .find(|variant| variant.name == self.variant)?;
        let one = |kind, driver| {
            let mut all = variant.gateways.iter();
            all.find(|one: &&Measured| one.kind == kind && one.driver == driver)
        };
        let mut cells = vec![self.title(report)];
        for (_, kind, driver) in COLUMNS {
            let value = one(kind, driver).and_then(|one| one.figures.get(self.figure));
            cells.push(value.map_or("–".into(), |value| match report.plan.per {
                Unit::Gibibyte => format!("{:.0}", value / 1e3),
                _ if self.figure == Figure::CpuUs => format!("{value:.1}"),
                _ => format!("{value:.0}"),
            }));
        }
        for driver in [Driver::IoUring, Driver::Epoll] {
            let ours = one(Kind::Ringway, Some(driver));
            let ratio = ours.and_then(|ours| ours.ratio(Against::Nginx, self.figure));
            cells.push(ratio.map_or("–".into(), |ratio| format!("{:.2}", ratio.value)));
        }
        Some(cells)
    }

    fn title(&self, report: &Report) -> String {
        let unit = match (self.figure, report.plan.per) {
            (Figure::ConnectionBytes, _) => "bytes of memory".to_owned(),
            (_, Unit::Gibibyte) => "CPU ms/GiB".to_owned(),
            (figure, per) => figure.title(per.name()),
        };
        format!("{}: {unit}", self.what)
    }
}

/// How to take them again.
fn command(reports: &[Report]) -> &'static str {
    let all = |full: bool| {
        reports.iter().all(|report| {
            let planned = if full {
                &report.plan.full
            } else {
                &report.plan.quick
            };
            (report.effort.rounds, report.effort.seconds) == (planned.rounds, planned.seconds)
        })
    };
    match (all(false), all(true)) {
        (true, _) => "`make loadtest`",
        (_, true) => "`make loadtest-full`",
        _ => "`loadtest run` and rounds of different number",
    }
}

/// Of each gateway, and Ringway's commit.
fn versions(reports: &[Report]) -> Vec<String> {
    let mut versions: Vec<String> = Vec::new();
    let gateways = reports
        .iter()
        .flat_map(|report| &report.variants)
        .flat_map(|variant| &variant.gateways);
    for one in gateways.filter(|one| !matches!(one.kind, Kind::NginxBare | Kind::Floor)) {
        let line = format!("{} {}", one.kind.name(), number(&one.version));
        if !versions.contains(&line) {
            versions.push(line);
        }
    }
    let mut commits: Vec<&str> = reports
        .iter()
        .filter_map(|report| report.machine.commit.as_deref())
        .collect();
    commits.dedup();
    if let ([commit], Some(first)) = (&commits[..], versions.first_mut()) {
        *first += &format!(" at {commit}");
    }
    versions
}

/// What of a line about a version is its number: each program says it in other words.
fn number(line: &str) -> &str {
    let parts = line.split([' ', '/', ',']);
    let mut numbers =
        parts.filter(|part| part.starts_with(|c: char| c.is_ascii_digit()) && part.contains('.'));
    numbers.next().unwrap_or(line)
}

const COLUMNS: [(&str, Kind, Option<Driver>); 6] = [
    ("Ringway, io_uring", Kind::Ringway, Some(Driver::IoUring)),
    ("Ringway, epoll", Kind::Ringway, Some(Driver::Epoll)),
    ("nginx", Kind::Nginx, None),
    ("HAProxy", Kind::Haproxy, None),
    ("Envoy", Kind::Envoy, None),
    ("bare relay, io_uring", Kind::Floor, Some(Driver::IoUring)),
];

const fn row(what: &'static str, scenario: &'static str, variant: &'static str, figure: Figure) -> Row {
    Row {
        what,
        scenario,
        variant,
        figure,
    }
}

const ROWS: [Row; 10] = [
    row(
        "small requests, keep-alive",
        "small-keep-alive",
        "",
        Figure::CpuUs,
    ),
    row("with policies and access log", "policies", "", Figure::CpuUs),
    row("POST of 1 KiB", "post", "", Figure::CpuUs),
    row("short connections", "short-connections", "", Figure::CpuUs),
    row("TLS, keep-alive", "tls-keep-alive", "", Figure::CpuUs),
    row("TLS, a handshake each", "tls-handshakes", "", Figure::CpuUs),
    row("1 MiB bodies, down", "bodies", "1 MiB down", Figure::CpuUs),
    row("1 MiB bodies, up", "bodies", "1 MiB up", Figure::CpuUs),
    row("an idle connection", "idle", "", Figure::ConnectionBytes),
    row("at a constant rate", "constant-rate", "", Figure::P999Us),
];

const BEGIN: &str = "<!-- figures: `loadtest readme` writes what follows -->";
const END: &str = "<!-- figures end -->";
const NOTHING: &str = "\n\nNo results are kept here yet; the command above takes them.\n\n";
const PLOT: &str = "small-keep-alive-cpu.svg";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::Gateway;
    use crate::results;
    use crate::results::report::tests::{report, turns};
    use crate::scratch::Scratch;

    #[test]
    fn a_version_is_the_number_in_the_words_about_it() {
        assert_eq!(number("nginx version: nginx/1.22.1"), "1.22.1");
        assert_eq!(number("envoy version: 9e55809/1.40.0/Clean/RELEASE"), "1.40.0");
        assert_eq!(
            number("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://x/"),
            "2.6.12-1+deb12u4"
        );
        assert_eq!(number("ringway 0.1.0 (x86_64)"), "0.1.0");
    }

    #[test]
    fn the_newest_results_stand_between_the_marks_and_nowhere_else() {
        let home = Scratch::new().expect("a folder");
        let readme = home
            .write("README.md", &format!("before\n{BEGIN}\nold\n{END}\nafter\n"))
            .expect("it is ours");
        let options = |check| Options {
            results: home.path("results"),
            readme: readme.clone(),
            check,
        };
        let text = || fs::read_to_string(&readme).expect("it is there");
        run(&options(false)).expect("no results are no error");
        assert_eq!(text(), format!("before\n{BEGIN}{NOTHING}{END}\nafter\n"));

        let ringway = Gateway::Ringway {
            program: "ringway".into(),
            driver: Driver::Epoll,
        };
        let mut kept = report("", &[(ringway, turns(&[7.0])), (Gateway::Nginx, turns(&[10.0]))]);
        kept.scenario = "post".into();
        results::keep(&home.path("results"), &kept).expect("it can be kept");
        summary::keep(&home.path("results"), &kept.machine, &[], &[]).expect("it can be kept");
        let error = run(&options(true)).expect_err("it says that there are none");
        assert!(error.to_string().contains("does not show"), "{error}");
        run(&options(false)).expect("it can be written");
        run(&options(true)).expect("now it shows them");
        let text = text();
        for part in [
            "before\n",
            "| POST of 1 KiB: CPU µs/request | – | 7.0 | 10.0 | – | – | – | – | 0.70 |\n",
            "Taken on 2026-01-01 with `make loadtest` on some, 2 CPUs, Linux 6.1: Ringway 1, nginx 1.\n",
            "(results/2026-01-01-some/summary.md)",
            "\nafter\n",
        ] {
            assert!(text.contains(part), "{part}\nin\n{text}");
        }
        assert!(
            !text.contains("old") && !text.contains("small requests"),
            "{text}"
        );
    }

    #[test]
    fn a_file_without_marks_is_left_alone() {
        let home = Scratch::new().expect("a folder");
        let options = Options {
            results: home.path("results"),
            readme: home.write("README.md", "text\n").expect("it is ours"),
            check: false,
        };
        let error = run(&options).expect_err("there is no place for them");
        assert!(error.to_string().contains("has not the lines"), "{error}");
    }
}
