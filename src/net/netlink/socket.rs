//! Requests and answers over one NETLINK_ROUTE socket.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage as Message;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

/// The kernel fills at most 32 KiB per read of a dump (`netlink_dump`).
const BUFFER_BYTES: usize = 32_768;

/// Answers come within the call that asks; this only keeps a broken kernel from
/// stopping the service for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;

pub struct Socket {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    pub fn open() -> io::Result<Socket> {
        let family = AddressFamily::NETLINK;
        // Protocol 0 is NETLINK_ROUTE.
        let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
        Ok(Socket { socket, sequence: 0, buffer: vec![0; BUFFER_BYTES] })
    }

    /// Sends a request and waits for the kernel's verdict.
    pub fn request(&mut self, message: Message, flags: u16) -> io::Result<()> {
        self.send(message, flags)?;
        let mut verdict = None;
        while verdict.is_none() {
            self.receive(|answer| {
                if let NetlinkPayload::Error(error) = answer {
                    verdict = Some(if error.code.is_none() { Ok(()) } else { Err(error.to_io()) });
                }
            })?;
        }
        verdict.unwrap_or(Ok(()))
    }

    /// Asks for a list and hands on each entry.
    pub fn dump(&mut self, message: Message, mut each: impl FnMut(Message)) -> io::Result<()> {
        self.send(message, NLM_F_DUMP)?;
        let mut end = None;
        while end.is_none() {
            self.receive(|answer| match answer {
                NetlinkPayload::Done(_) => end = Some(Ok(())),
                NetlinkPayload::Error(error) => end = Some(Err(error.to_io())),
                NetlinkPayload::InnerMessage(message) => each(message),
                _ => {}
            })?;
        }
        end.unwrap_or(Ok(()))
    }

    fn send(&mut self, message: Message, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut message = NetlinkMessage::from(message);
        message.header.flags = NLM_F_REQUEST | flags;
        message.header.sequence_number = self.sequence;
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        sendto(&self.socket, &bytes, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        Ok(())
    }

    /// Reads once and hands on the answers to the latest request. An entry that
    /// the library cannot decode (a kind of link newer than it, say) is left
    /// out: what we make ourselves is plain.
    fn receive(&mut self, mut each: impl FnMut(NetlinkPayload<Message>)) -> io::Result<()> {
        let (length, _) = recv(&self.socket, &mut self.buffer[..], RecvFlags::empty())?;
        let ours = self.sequence;
        messages(&self.buffer[..length.min(BUFFER_BYTES)], |sequence, message| {
            if sequence == ours {
                decoded(message).into_iter().for_each(&mut each);
            }
        })
    }
}

/// Cuts an answer into its messages; hands on the sequence number and the bytes
/// of each.
pub fn messages(mut answer: &[u8], mut each: impl FnMut(u32, &[u8])) -> io::Result<()> {
    while answer.len() >= HEADER {
        let field = |at: usize| {
            u32::from_ne_bytes([answer[at], answer[at + 1], answer[at + 2], answer[at + 3]])
        };
        let length = field(0) as usize;
        if length < HEADER || length > answer.len() {
            return Err(io::Error::other("the kernel's answer is cut off"));
        }
        each(field(8), &answer[..length]);
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(())
}

/// What a message says; `None` when the library does not know it.
pub fn decoded(bytes: &[u8]) -> Option<NetlinkPayload<Message>> {
    match NetlinkMessage::<Message>::deserialize(bytes) {
        Ok(message) => Some(message.payload),
        Err(error) => {
            tracing::debug!("left out an entry of the kernel's list: {error}");
            None
        }
    }
}
