//! Connections that were answered once and stay open, in a process of its own: the descriptors of several gateways'
//! thousands of clients would not fit into one.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::http::{self, Client};
use crate::{Outcome, sys};

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Where to connect to
    #[arg(long, value_name = "ADDRESS:PORT")]
    address: SocketAddr,

    #[arg(long, default_value_t = 5000)]
    connections: u32,
}

/// The process's side: opens all, says so, and asks again on each when told to by a line, until its input ends.
pub fn run(options: &Options) -> Outcome<()> {
    sys::raise_descriptor_limit()?;
    let request = http::request("GET", "/", options.address, b"");
    let exchange = |number: usize, client: &mut Client| -> Outcome<()> {
        match client.exchange(&request) {
            Ok(answer) if answer.status == 200 && !answer.close => Ok(()),
            Ok(answer) => Err(format!("connection {number} is not kept: {answer:?}").into()),
            Err(error) => Err(format!("connection {number}: {error}").into()),
        }
    };
    let mut clients = Vec::new();
    for number in 1..=options.connections as usize {
        let mut client = Client::connect(options.address)
            .map_err(|error| format!("connection {number} cannot be opened: {error}"))?;
        exchange(number, &mut client)?;
        clients.push(client);
    }
    println!("{HELD}");
    for line in io::stdin().lines() {
        line?;
        for (index, client) in clients.iter_mut().enumerate() {
            exchange(index + 1, client)?;
        }
        println!("{HELD}");
    }
    Ok(())
}

/// Ours: such a process, whose connections end with this value.
pub struct Held {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Held {
    /// Begins to open `connections` to `address`; `expect` returns when all are open and were answered.
    pub fn open(address: SocketAddr, connections: u32, cpu: usize) -> Outcome<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["hold", "--address", &address.to_string()])
            .args(["--connections", &connections.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = sys::spawn(&mut command, &[cpu])?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a pipe that was asked for is not there".into());
        };
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
        })
    }

    /// Has it ask once more on each; `expect` returns when all were answered.
    pub fn ask(&mut self) -> Outcome<()> {
        Ok(self.input.write_all(b"\n")?)
    }

    /// An error unless each is open and was answered.
    pub fn expect(&mut self) -> Outcome<()> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.trim() == HELD {
            return Ok(());
        }
        // Its own message is on stderr, which is ours.
        Err("not every connection that should wait is held open".into())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Not waited for politely: its connections end with it either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const HELD: &str = "held";
