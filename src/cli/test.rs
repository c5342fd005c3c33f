//! `a7670e test`: latency, loss and bandwidth through the modem, within a budget
//! of bytes.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with, sockopt};
use serde::Serialize;

use super::args::Asked;
use super::client::{Client, write_out};
use super::usage::bytes;
use crate::config::Page;

/// Made for measuring, by plain HTTP, for longer than most companies last.
pub const DEFAULT_TARGET: &str = "http://speedtest.tele2.net/10MB.zip";

/// Connections that latency and loss are taken from.
const CONNECTIONS: usize = 10;

/// A connection that takes longer lost its first packet: TCP sends that again
/// after one second (RFC 6298 section 2.1).
const LOST: Duration = Duration::from_secs(1);

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a connection costs, both ways: seven packets without data.
const CONNECTION_BYTES: u64 = 7 * 40;

/// What was measured.
#[derive(Debug, Serialize)]
struct Measured {
    link: String,
    target: String,
    /// Milliseconds from SYN to SYN-ACK, of connections that lost nothing.
    latency_ms: Option<Latency>,
    /// Connections that lost their first packet or did not come about, and all.
    lost: (usize, usize),
    /// Bits in a second, from the first byte to the last.
    down_bit_s: Option<u64>,
    /// Bytes of the page that came.
    bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Latency {
    least: f64,
    median: f64,
    most: f64,
}

/// Measures, and shows it.
///
/// # Errors
/// There is no modem with a network device, the name is not found, or the page
/// cannot be had at all.
pub fn test(client: &mut Client, asked: &Asked, target: &str, budget: u64) -> Result<()> {
    let page = Page::try_from(target.to_owned()).map_err(|why| anyhow!("`{target}` {why}"))?;
    let status = client.status(asked)?;
    let networks = status.modems.iter().filter_map(|modem| modem.modem.network.device.as_deref());
    let link = match networks.collect::<Vec<_>>()[..] {
        [] => bail!("there is no modem with a network device; try `a7670e why`"),
        [link] => link.to_owned(),
        ref all => bail!("which modem? There are several ({}); use --modem", all.join(", ")),
    };
    let mut addresses = (page.host.as_str(), page.port)
        .to_socket_addrs()
        .with_context(|| format!("cannot find {}", page.host))?;
    let address = addresses
        .find(SocketAddr::is_ipv4)
        .with_context(|| format!("{} has no IPv4 address", page.host))?;

    let mut times = Vec::new();
    for _ in 0..CONNECTIONS {
        times.push(dial(&link, address).ok().map(|(_, took)| took));
    }
    let left = budget.saturating_sub(CONNECTION_BYTES * CONNECTIONS as u64);
    let (bytes, took) = load(&link, address, &page, left)?;
    // Less than this is over before TCP has found its speed.
    let down_bit_s = (bytes >= 10_000 && !took.is_zero())
        .then(|| (bytes as f64 * 8.0 / took.as_secs_f64()) as u64);
    let lost = times.iter().filter(|time| time.is_none_or(|time| time >= LOST)).count();
    let measured = Measured {
        link,
        target: target.to_owned(),
        latency_ms: latency(&times),
        lost: (lost, CONNECTIONS),
        down_bit_s,
        bytes,
    };
    if asked.json {
        return write_out(&super::line(&measured)?);
    }
    write_out(&text(&measured))
}

/// A connection through the link, and how long it took.
fn dial(link: &str, address: SocketAddr) -> Result<(TcpStream, Duration)> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    // Allowed to everybody since Linux 5.7 on a socket that is not bound yet.
    bind_to(&socket, link).with_context(|| format!("cannot go through {link}"))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(PATIENCE))?;
    let start = Instant::now();
    connect(&socket, &address).with_context(|| format!("cannot reach {address}"))?;
    let took = start.elapsed();
    Ok((TcpStream::from(socket), took))
}

fn bind_to(socket: &impl std::os::fd::AsRawFd, link: &str) -> std::io::Result<()> {
    // SAFETY: the pointer and length are those of `link`, which the kernel copies.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            link.as_ptr().cast(),
            link.len() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Loads at most `most` bytes of the page; how many came, and in what time from
/// the first to the last.
fn load(link: &str, address: SocketAddr, page: &Page, most: u64) -> Result<(u64, Duration)> {
    let (mut stream, _) = dial(link, address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request =
        format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", page.path, page.host);
    stream.write_all(request.as_bytes()).context("the connection broke")?;
    let mut buffer = vec![0; 64 * 1024];
    let first = stream.read(&mut buffer).context("no page came")?;
    if !buffer[..first].starts_with(b"HTTP/1.1 200 ") {
        let line = buffer[..first].split(|byte| *byte == b'\r').next().unwrap_or_default();
        bail!("http://{}{}: {}", page.host, page.path, String::from_utf8_lossy(line));
    }
    let start = Instant::now();
    let (mut count, mut last) = (0, Duration::ZERO);
    // What came with the first read is before the clock.
    while count + (first as u64) < most && start.elapsed() < PATIENCE {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                count += length as u64;
                last = start.elapsed();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("the connection broke"),
        }
    }
    Ok((count, last))
}

fn latency(times: &[Option<Duration>]) -> Option<Latency> {
    let whole = times.iter().flatten().filter(|time| **time < LOST);
    let mut times: Vec<f64> = whole.map(|time| time.as_secs_f64() * 1000.0).collect();
    times.sort_by(f64::total_cmp);
    let median = *times.get(times.len() / 2)?;
    Some(Latency { least: *times.first()?, median, most: *times.last()? })
}

fn text(measured: &Measured) -> String {
    let mut out = format!("through {} to {}\n", measured.link, measured.target);
    // Writing to a String cannot fail.
    match measured.latency_ms {
        Some(Latency { least, median, most }) => {
            _ = writeln!(
                out,
                "latency   {median:.0} ms (median; {least:.0} least, {most:.0} most)"
            );
        }
        None => _ = writeln!(out, "latency   no connection came about"),
    }
    let (lost, all) = measured.lost;
    _ = writeln!(out, "loss      {lost} of {all} connections");
    match measured.down_bit_s {
        Some(rate) => {
            let rate = rate as f64 / 1e6;
            _ = writeln!(out, "down      {rate:.2} Mbit/s, over {}", bytes(measured.bytes));
        }
        None => _ = writeln!(out, "down      too little came to tell ({})", bytes(measured.bytes)),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_connections_do_not_count_as_slow() {
        let ms = |ms| Some(Duration::from_millis(ms));
        let found = latency(&[ms(30), None, ms(10), ms(1020), ms(20)]).unwrap();
        assert_eq!((found.least, found.median, found.most), (10.0, 20.0, 30.0));
        assert_eq!(latency(&[None, ms(1500)]), None);
    }

    #[test]
    fn the_default_target_is_one() {
        assert!(Page::try_from(DEFAULT_TARGET.to_owned()).is_ok());
    }
}
