//! Asks: a name of the link's name servers, then a page, through sockets bound
//! to the link (`SO_BINDTODEVICE`), so that another uplink cannot answer for it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Outcome, Target, dns_answer, dns_query, http_status};

/// Longest wait for each answer. A radio that slept needs up to 3 s.
const PATIENCE: Duration = Duration::from_secs(5);

/// When a question is asked again: one packet is easily lost on a radio link.
const REPEAT: Duration = Duration::from_millis(1500);

/// Longest answer that is read; what is beyond the first line is not used.
const ANSWER_BYTES: usize = 512;

/// Room for an answer in the kernel, bytes. It becomes the window that the other
/// side is told: a portal's page beyond it stays where it is, and costs nothing.
const WINDOW_BYTES: u32 = 1024;

/// Makes one probe through `link`. `id` is that of the DNS query and should be
/// another each time.
///
/// # Errors
/// No socket could be made or bound to the link: it is gone, or a privilege is
/// missing. That nothing answers is an outcome, not an error.
pub async fn probe(
    link: &str,
    servers: &[IpAddr],
    target: &Target,
    id: u16,
) -> io::Result<Outcome> {
    let mut found = target.host.parse().ok();
    for server in servers.iter().take(2) {
        if found.is_none() {
            found = name(link, *server, &target.host, id).await?;
        }
    }
    match found {
        Some(address) => {
            let address = SocketAddrV4::new(address, target.port);
            Ok(match page(link, address, target).await? {
                Some(status) if status == target.status => Outcome::Online,
                Some(_) => Outcome::Captive,
                None => Outcome::Nothing,
            })
        }
        None if reached(link, &target.fallback).await? => Ok(Outcome::NoDns),
        None => Ok(Outcome::Nothing),
    }
}

/// Whether any of these takes a connection; all are tried at once, as on a dead
/// line each costs the whole wait.
async fn reached(link: &str, addresses: &[SocketAddrV4]) -> io::Result<bool> {
    let mut tries = JoinSet::new();
    for address in addresses.iter().copied() {
        let link = link.to_owned();
        tries.spawn(async move { connect(&link, address).await });
    }
    while let Some(done) = tries.join_next().await {
        if done.map_err(io::Error::other)??.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn name(link: &str, server: IpAddr, host: &str, id: u16) -> io::Result<Option<Ipv4Addr>> {
    let Some(query) = dns_query(id, host) else {
        return Err(io::Error::other(format!("`{host}` is no host name")));
    };
    let any: SocketAddr = match server {
        IpAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        IpAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.bind_device(Some(link.as_bytes()))?;
    let ask = async {
        socket.connect((server, 53)).await?;
        let mut answer = [0; ANSWER_BYTES];
        loop {
            socket.send(&query).await?;
            if let Ok(length) = timeout(REPEAT, socket.recv(&mut answer)).await {
                return Ok::<_, io::Error>(dns_answer(&query, &answer[..length?]));
            }
        }
    };
    // Unreachable, refused, silent: all the same, no name.
    Ok(timeout(PATIENCE, ask).await.unwrap_or(Ok(None)).unwrap_or(None))
}

/// A connection; `None` when it does not come about.
async fn connect(link: &str, address: SocketAddrV4) -> io::Result<Option<TcpStream>> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(WINDOW_BYTES)?;
    socket.bind_device(Some(link.as_bytes()))?;
    Ok(timeout(PATIENCE, socket.connect(address.into())).await.ok().and_then(Result::ok))
}

/// The status of the page; `None` when none comes.
async fn page(link: &str, address: SocketAddrV4, target: &Target) -> io::Result<Option<u16>> {
    let Some(mut stream) = connect(link, address).await? else { return Ok(None) };
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        target.path, target.host
    );
    let ask = async {
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(ANSWER_BYTES);
        let mut limited = stream.take(ANSWER_BYTES as u64);
        // The first line is enough; the rest is not waited for.
        while http_status(&answer).is_none() && limited.read_buf(&mut answer).await? > 0 {}
        Ok::<_, io::Error>(http_status(&answer))
    };
    Ok(timeout(PATIENCE, ask).await.unwrap_or(Ok(None)).unwrap_or(None))
}
