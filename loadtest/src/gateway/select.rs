//! Which gateways take part: what the command line asks for, as far as it is to be had here.

use std::path::{Path, PathBuf};
use std::{env, fs};

use super::{Gateway, Kind};
use crate::Outcome;
use crate::driver::Driver;

#[derive(Debug, Clone, Default, clap::Args)]
pub struct Selection {
    /// Gateways that take part, among them those of the scenario
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    pub gateways: Option<Vec<Kind>>,

    /// Drivers of those that have a choice [default: each that this machine has]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    pub drivers: Option<Vec<Driver>>,

    /// Ringway's binary [default: `ringway` beside this program]
    #[arg(long, value_name = "PATH")]
    pub ringway: Option<PathBuf>,

    /// Envoy's binary [default: that of `envoy-venv` beside this program's folder, else `envoy` of the PATH]
    #[arg(long, value_name = "PATH")]
    pub envoy: Option<PathBuf>,
}

/// Who takes part, and who does not and why.
#[derive(Debug)]
pub struct Chosen {
    pub gateways: Vec<Gateway>,
    pub left_out: Vec<String>,
}

impl Selection {
    /// Every gateway of `kinds`, or of those that were asked for, one for each driver. A peer or driver that was asked
    /// for and is not to be had is an error; without asking it is left out, by name. Ringway is never left out quietly.
    pub fn choose(&self, kinds: &[Kind]) -> Outcome<Chosen> {
        let asked = |kind: Kind| self.gateways.as_ref().is_some_and(|list| list.contains(&kind));
        let kinds: Vec<Kind> = match &self.gateways {
            Some(_) => kinds.iter().copied().filter(|&kind| asked(kind)).collect(),
            None => kinds.to_vec(),
        };
        let mut chosen = Chosen {
            gateways: Vec::new(),
            left_out: Vec::new(),
        };
        let mut drivers = Vec::new();
        if kinds.contains(&Kind::Ringway) || kinds.contains(&Kind::Floor) {
            drivers = self.usable_drivers(&mut chosen.left_out)?;
        }
        for kind in kinds {
            let gateways = match kind {
                Kind::Nginx => Ok(vec![Gateway::Nginx]),
                Kind::NginxBare => Ok(vec![Gateway::NginxBare]),
                Kind::Haproxy => Ok(vec![Gateway::Haproxy]),
                Kind::Envoy => self
                    .envoy_program()
                    .map(|program| vec![Gateway::Envoy { program }]),
                Kind::Floor => Ok(drivers.iter().map(|&driver| Gateway::Floor { driver }).collect()),
                Kind::Ringway => {
                    let program = self.ringway_program()?;
                    let on = |&driver| Gateway::Ringway {
                        program: program.clone(),
                        driver,
                    };
                    Ok(drivers.iter().map(on).collect())
                }
            };
            let there = gateways.and_then(|gateways: Vec<Gateway>| {
                gateways.first().map_or(Ok(String::new()), Gateway::version)?;
                Ok(gateways)
            });
            match there {
                Ok(gateways) => chosen.gateways.extend(gateways),
                Err(error) if asked(kind) || kind == Kind::Ringway => return Err(error),
                Err(error) => chosen
                    .left_out
                    .push(format!("{} is left out: {error}", kind.name())),
            }
        }
        Ok(chosen)
    }

    fn usable_drivers(&self, left_out: &mut Vec<String>) -> Outcome<Vec<Driver>> {
        let mut usable = Vec::new();
        for driver in self.drivers.as_deref().unwrap_or(&Driver::ALL) {
            match driver.probe() {
                Ok(()) => usable.push(*driver),
                Err(error) if self.drivers.is_some() => {
                    return Err(format!("{driver} is not to be had here: {error}").into());
                }
                Err(error) => left_out.push(format!("{driver} is left out: {error}")),
            }
        }
        Ok(usable)
    }

    fn ringway_program(&self) -> Outcome<PathBuf> {
        let program = match &self.ringway {
            Some(path) => path.clone(),
            None => env::current_exe()?.with_file_name("ringway"),
        };
        if program.is_file() {
            return Ok(program);
        }
        let program = program.display();
        Err(format!(
            "no Ringway at {program}: build it (cargo build --release), name it (--ringway PATH), or leave it out \
             (--gateways nginx,haproxy,envoy,floor)"
        )
        .into())
    }

    fn envoy_program(&self) -> Outcome<PathBuf> {
        if let Some(path) = &self.envoy {
            return match path.is_file() {
                true => Ok(path.clone()),
                false => Err(format!("no Envoy at {}", path.display()).into()),
            };
        }
        let here = env::current_exe()?;
        let of_the_venv = here
            .parent()
            .and_then(Path::parent)
            .and_then(|target| envoy_of(&target.join("envoy-venv")));
        let of_the_path = || {
            let folders = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&folders)
                .map(|folder| folder.join("envoy"))
                .find(|path| path.is_file())
        };
        of_the_venv
            .or_else(of_the_path)
            .ok_or_else(|| "it is not installed (make loadtest-peers)".into())
    }
}

/// The binary itself: what the package puts into `bin` is a Python program that would start it and stay.
fn envoy_of(venv: &Path) -> Option<PathBuf> {
    let of = |python: fs::DirEntry| python.path().join("site-packages/envoy/_bin/envoy");
    let pythons = fs::read_dir(venv.join("lib")).ok()?;
    pythons.filter_map(Result::ok).map(of).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(gateways: Option<Vec<Kind>>) -> Selection {
        Selection {
            gateways,
            drivers: Some(vec![Driver::Epoll]),
            ringway: Some(env::current_exe().expect("we run")),
            envoy: Some("/nowhere/envoy".into()),
        }
    }

    #[test]
    fn of_a_plans_gateways_those_take_part_that_were_asked_for() {
        let selection = selection(Some(vec![Kind::Floor, Kind::NginxBare]));
        let chosen = selection
            .choose(&[Kind::Floor, Kind::Haproxy])
            .expect("epoll is everywhere");
        assert_eq!(
            chosen.gateways,
            [Gateway::Floor {
                driver: Driver::Epoll
            }]
        );
        assert!(chosen.left_out.is_empty());
    }

    #[test]
    fn a_peer_that_is_not_there_is_left_out_by_name_unless_it_was_asked_for() {
        let chosen = selection(None)
            .choose(&[Kind::Envoy, Kind::Floor])
            .expect("the relay is there");
        assert_eq!(chosen.gateways.len(), 1);
        assert_eq!(chosen.left_out, ["Envoy is left out: no Envoy at /nowhere/envoy"]);
        selection(Some(vec![Kind::Envoy]))
            .choose(&[Kind::Envoy])
            .expect_err("it was asked for");
    }

    #[test]
    fn a_missing_ringway_is_an_error_with_the_remedy() {
        let missing = Selection {
            ringway: Some("/nowhere/ringway".into()),
            ..selection(None)
        };
        let message = missing
            .choose(&[Kind::Ringway])
            .expect_err("it is not there")
            .to_string();
        assert!(
            message.contains("/nowhere/ringway") && message.contains("--ringway"),
            "{message}"
        );
        missing.choose(&[Kind::Floor]).expect("it is not needed");
    }

    #[test]
    fn envoy_is_found_in_its_environment() {
        let folder = crate::scratch::Scratch::new().expect("a folder");
        assert_eq!(envoy_of(&folder.path("envoy-venv")), None);
        let place = folder.path("envoy-venv/lib/python3.11/site-packages/envoy/_bin");
        fs::create_dir_all(&place).expect("it can be made");
        fs::write(place.join("envoy"), "").expect("it can be written");
        assert_eq!(envoy_of(&folder.path("envoy-venv")), Some(place.join("envoy")));
    }
}
