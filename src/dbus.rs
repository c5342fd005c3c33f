//! The system's message bus: joined when it is needed, and again when the connection
//! has ended.

use tokio::sync::Mutex;
use zbus::{Connection, Error, Result, connection};

/// A connection to a bus, for as long as it holds.
#[derive(Default)]
pub struct Bus {
    /// `None`: the system's.
    address: Option<String>,
    held: Mutex<Option<Connection>>,
}

impl Bus {
    /// The connection. It is looked whether it still holds, which only who uses it can
    /// find out; one to a bus that was restarted is replaced.
    ///
    /// # Errors
    /// There is no bus.
    pub async fn get(&self) -> Result<Connection> {
        let mut held = self.held.lock().await;
        if let Some(bus) = held.as_ref() {
            let name = Some("org.freedesktop.DBus");
            let peer = Some("org.freedesktop.DBus.Peer");
            match bus.call_method(name, "/org/freedesktop/DBus", peer, "Ping", &()).await {
                Err(Error::InputOutput(_)) => *held = None,
                // Whatever it answers, it is there.
                _ => return Ok(bus.clone()),
            }
        }
        let bus = match &self.address {
            None => Connection::system().await?,
            Some(address) => connection::Builder::address(address.as_str())?.build().await?,
        };
        *held = Some(bus.clone());
        Ok(bus)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::Path;
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    /// Answers as a bus does, as far as [`Bus`] asks: by the D-Bus Specification,
    /// "Authentication Protocol" and "Message Protocol".
    fn serve(mut client: UnixStream, name: &str) -> io::Result<()> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            client.read_exact(&mut byte)?;
            line.push(byte[0]);
            if !line.ends_with(b"\r\n") {
                continue;
            }
            let text = String::from_utf8_lossy(&line).trim_matches(['\0', '\r', '\n']).to_owned();
            line.clear();
            match text.split(' ').next() {
                Some("AUTH") => client.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n")?,
                Some("NEGOTIATE_UNIX_FD") => client.write_all(b"AGREE_UNIX_FD\r\n")?,
                Some("BEGIN") => break,
                _ => client.write_all(b"REJECTED EXTERNAL\r\n")?,
            }
        }
        loop {
            let mut head = [0; 16];
            client.read_exact(&mut head)?;
            let number = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|more| head[at + more]));
            let (body, serial, fields) = (number(4), number(8), number(12));
            let mut rest = vec![0; (fields.next_multiple_of(8) + body) as usize];
            client.read_exact(&mut rest)?;
            let hello = rest.windows(5).any(|word| word == b"Hello");
            let text = [&(name.len() as u32).to_le_bytes()[..], name.as_bytes(), b"\0"].concat();
            let body = if hello { text } else { Vec::new() };
            // A return without flags, of version 1: REPLY_SERIAL and SIGNATURE.
            let mut reply = vec![b'l', 2, 1, 1];
            reply.extend((body.len() as u32).to_le_bytes());
            reply.extend(serial.to_le_bytes());
            reply.extend(if hello { 15u32 } else { 8 }.to_le_bytes());
            reply.extend([5, 1, b'u', 0]);
            reply.extend(serial.to_le_bytes());
            if hello {
                reply.extend([8, 1, b'g', 0, 1, b's', 0, 0]);
            }
            reply.extend(body);
            client.write_all(&reply)?;
        }
    }

    /// A bus at this place whose connections, which are handed out, have these names.
    fn bus(place: &Path, names: &'static [&'static str]) -> mpsc::Receiver<UnixStream> {
        let listener = UnixListener::bind(place).unwrap();
        let (give, take) = mpsc::channel();
        thread::spawn(move || {
            for name in names {
                let (client, _) = listener.accept().unwrap();
                give.send(client.try_clone().unwrap()).unwrap();
                thread::spawn(move || serve(client, name));
            }
        });
        take
    }

    #[test]
    fn a_bus_that_was_restarted_is_joined_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("bus");
        let address = Some(format!("unix:path={}", place.display()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let held = Bus { address, ..Bus::default() };
            assert!(held.get().await.is_err(), "there is none yet");
            let clients = bus(&place, &[":1.1", ":1.2"]);
            for name in [":1.1", ":1.2"] {
                for _ in 0..2 {
                    let bus = held.get().await.unwrap();
                    assert_eq!(bus.unique_name().unwrap().as_str(), name);
                }
                clients.recv().unwrap().shutdown(Shutdown::Both).unwrap();
            }
            std::fs::remove_file(&place).unwrap();
            assert!(held.get().await.is_err(), "there is none any more");
        });
    }
}
