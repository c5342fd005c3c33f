//! GET and POST through the modem, whatever the default route is:
//! `rest [--socket PATH] get URL`, `rest [--socket PATH] post URL BODY`.
//!
//! The service says which address the modem's link has, and has made a route of its
//! own for what comes from that address. A connection that is bound to it therefore
//! goes through the modem, also while a cable comes first, and needs no privilege.
//! With curl it is `curl --interface wwan0 URL`, which knows TLS, too, and needs no
//! such route: there is none with `network.by = "networkmanager"`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use serde_json::Value;

/// How long the far end may be silent.
const PATIENCE: Duration = Duration::from_secs(30);

fn main() -> Result<()> {
    run(std::env::args().skip(1), &mut std::io::stdout())
}

/// The example, with the arguments after its name; the answer goes to `out`.
///
/// # Errors
/// The service is not there or not online, or the page says no.
pub fn run(mut args: impl Iterator<Item = String>, out: &mut impl Write) -> Result<()> {
    let mut service = PathBuf::from("/run/a7670e/control.sock");
    let mut words = Vec::new();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--socket" => service = args.next().context("--socket needs a path")?.into(),
            _ => words.push(arg),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (method, url, body) = match words[..] {
        ["get", url] => ("GET", url, ""),
        ["post", url, body] => ("POST", url, body),
        _ => bail!("usage: rest [--socket PATH] get URL | post URL BODY"),
    };
    let (status, text) = request(address(&service)?, method, url, body)?;
    writeln!(out, "{text}")?;
    if !(200..300).contains(&status) {
        bail!("{url} answers {status}");
    }
    Ok(())
}

/// The address of the modem's link.
fn address(service: &Path) -> Result<Ipv4Addr> {
    let mut stream = UnixStream::connect(service)
        .with_context(|| format!("no service at {}", service.display()))?;
    stream.write_all(b"{\"v\":1,\"id\":1,\"method\":\"status\"}\n")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    let answer: Value = serde_json::from_str(&line)?;
    let session = &answer["result"]["modems"][0]["session"];
    if session["verdict"] != "online" {
        bail!("not online: {}", session["summary"].as_str().unwrap_or("no modem"));
    }
    let address = session["network"]["lease"]["address"].as_str().context("no address")?;
    Ok(address.parse()?)
}

/// Asks from this address; the answer's status and text (RFC 9112).
fn request(from: Ipv4Addr, method: &str, url: &str, body: &str) -> Result<(u16, String)> {
    let rest = url.strip_prefix("http://").context("the URL must begin with http://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = if host.contains(':') { "" } else { ":80" };
    let to = format!("{host}{port}").to_socket_addrs()?.find(SocketAddr::is_ipv4);
    let to = to.with_context(|| format!("{host} has no IPv4 address"))?;
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(from, 0))?;
    connect(&socket, &to).with_context(|| format!("no connection to {host}"))?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, text) = answer.split_once("\r\n\r\n").context("no answer")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.context("no answer of a web server")?, text.trim_end().to_owned()))
}
