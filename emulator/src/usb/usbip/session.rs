//! One USB/IP connection, this side being the one with the device.
//!
//! Pure: bytes come in, bytes go out. A connection lists what there is, or
//! imports the device; then it is the device's bus until one side closes it.

use std::collections::VecDeque;

use super::wire::{self, Command, Exported, Operation, WireError};
use crate::usb::device::{Device, Setup};

/// The only device.
pub const BUS_ID: &str = "1-1";
/// Errors of Linux (asm-generic/errno.h), negative as in a URB's status.
const EPIPE: i32 = -32;
const EINVAL: i32 = -22;
const ECONNRESET: i32 = -104;

/// A transfer towards the host that waits.
#[derive(Debug)]
struct Pending {
    number: u32,
    /// With direction.
    endpoint: u8,
    length: u32,
}

/// The connection.
#[derive(Debug, Default)]
pub struct Session {
    imported: bool,
    input: Vec<u8>,
    out: Vec<u8>,
    pending: VecDeque<Pending>,
}

/// What is told of the device.
fn exported(device: &Device) -> Exported {
    let interfaces = device.interfaces().iter().map(|it| [it[1], it[2], it[3]]).collect();
    Exported {
        bus_id: BUS_ID,
        number: (1, 2),
        ids: device.ids(),
        class: device.class(),
        configuration: device.configuration(),
        interfaces,
    }
}

impl Session {
    /// Bytes for the peer.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// Whether this connection has the device.
    pub fn has_device(&self) -> bool {
        self.imported
    }

    /// Bytes from the peer. `device` is there to be listed or, if it is `free`,
    /// imported, and must be the one that was imported before.
    ///
    /// # Errors
    /// When they are no USB/IP; the connection is then of no more use.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        mut device: Option<&mut Device>,
        free: bool,
    ) -> Result<(), WireError> {
        self.input.extend(bytes);
        loop {
            if self.imported {
                let Some((command, length)) = wire::command(&self.input)? else { break };
                self.input.drain(..length);
                if let Some(device) = device.as_deref_mut() {
                    self.carry_out(command, device);
                }
            } else {
                let Some((operation, length)) = wire::operation(&self.input)? else { break };
                self.input.drain(..length);
                self.prepare(&operation, device.as_deref_mut(), free);
            }
        }
        if let Some(device) = device {
            self.service(device);
        }
        Ok(())
    }

    fn prepare(&mut self, operation: &Operation, device: Option<&mut Device>, free: bool) {
        let answer = match (operation, device) {
            (Operation::List, device) => wire::list(device.map(|it| exported(it)).as_ref()),
            (Operation::Import(id), Some(device)) if free && id == BUS_ID => {
                self.imported = true;
                // A new host: the port of its hub resets the device.
                device.reset();
                wire::import(Some(&exported(device)))
            }
            (Operation::Import(_), _) => wire::import(None),
        };
        self.out.extend(answer);
    }

    fn carry_out(&mut self, command: Command, device: &mut Device) {
        match command {
            Command::Unlink { number, victim } => {
                let at = self.pending.iter().position(|it| it.number == victim);
                // One that is not pending was answered already.
                let status = if at.is_some() { ECONNRESET } else { 0 };
                at.map(|at| self.pending.remove(at));
                self.out.extend(wire::unlinked(number, status));
            }
            Command::Submit { number, packets: 1..=0xffff_fffe, .. } => {
                // The modem has no isochronous endpoint.
                self.out.extend(wire::submitted(number, Err(EINVAL), 0));
            }
            Command::Submit { number, endpoint: 0, setup, length, data, .. } => {
                self.control(number, setup, length, &data, device);
            }
            Command::Submit { number, endpoint, input: true, length, .. } => {
                self.pending.push_back(Pending { number, endpoint: endpoint | 0x80, length });
            }
            Command::Submit { number, endpoint, length, data, .. } => {
                // A transfer is whole here.
                let result = device.bulk_out(endpoint, &data, true);
                let result = result.map(|()| &[][..]).map_err(|_| EPIPE);
                self.out.extend(wire::submitted(number, result, length));
            }
        }
    }

    fn control(
        &mut self,
        number: u32,
        setup: [u8; 8],
        length: u32,
        data: &[u8],
        device: &mut Device,
    ) {
        // A setup packet is little endian, whatever is around it.
        let half = |at: usize| u16::from_le_bytes([setup[at], setup[at + 1]]);
        let setup = Setup {
            request_type: setup[0],
            request: setup[1],
            value: half(2),
            index: half(4),
            length: half(6),
        };
        let result = device.control(setup, data);
        let input = setup.request_type & 0x80 != 0;
        let answer = match &result {
            Err(_) => wire::submitted(number, Err(EPIPE), 0),
            Ok(bytes) if input => {
                // At most LONGEST.
                let room = bytes.len().min(length as usize);
                wire::submitted(number, Ok(&bytes[..room]), 0)
            }
            Ok(_) => wire::submitted(number, Ok(&[]), length),
        };
        self.out.extend(answer);
    }

    /// Answers what can be answered by now.
    pub fn service(&mut self, device: &mut Device) {
        // The transfers of one endpoint end in their order.
        let mut waiting = Vec::new();
        for pending in std::mem::take(&mut self.pending) {
            if waiting.contains(&pending.endpoint) {
                self.pending.push_back(pending);
                continue;
            }
            // At most LONGEST.
            let room = pending.length as usize;
            let answer = if device.is_interrupt(pending.endpoint) {
                let news = device.interrupt_in(pending.endpoint);
                Ok(news.map(|mut bytes| {
                    bytes.truncate(room);
                    bytes
                }))
            } else {
                device.bulk_in(pending.endpoint, room)
            };
            match answer {
                Err(_) => self.out.extend(wire::submitted(pending.number, Err(EPIPE), 0)),
                Ok(Some(data)) => self.out.extend(wire::submitted(pending.number, Ok(&data), 0)),
                Ok(None) => {
                    waiting.push(pending.endpoint);
                    self.pending.push_back(pending);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
