//! A disk whose power can be cut between any two things that are done to it.
//! What was not synced is then there, half there or not there.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use crate::sms::spool::Disk;

/// The power that disk and modem share: so many steps are left.
#[derive(Debug, Clone, Default)]
pub struct Power(Rc<RefCell<(Option<usize>, usize)>>);

impl Power {
    /// Cuts after so many steps; `None`: never.
    pub fn set(&self, steps: Option<usize>) {
        self.0.borrow_mut().0 = steps;
    }

    /// Steps so far.
    pub fn used(&self) -> usize {
        self.0.borrow().1
    }

    /// One step.
    pub fn step(&self) -> io::Result<()> {
        let mut state = self.0.borrow_mut();
        match &mut state.0 {
            Some(0) => return Err(io::Error::other("the power is cut")),
            Some(left) => *left -= 1,
            None => {}
        }
        state.1 += 1;
        Ok(())
    }
}

#[derive(Debug, Clone)]
enum Change {
    Name(String, usize),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug, Default)]
pub struct ModelDisk {
    pub power: Power,
    /// Refuses to write for want of room.
    pub full: bool,
    files: Vec<(Vec<u8>, bool)>,
    now: BTreeMap<String, usize>,
    safe: BTreeMap<String, usize>,
    journal: Vec<Change>,
}

fn apply(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Name(name, file) => _ = names.insert(name.clone(), *file),
        Change::Rename(from, to) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Change::Remove(name) => _ = names.remove(name),
    }
}

impl ModelDisk {
    /// The power was cut: of what was not synced, the first changes of names
    /// are there and the content is halved.
    pub fn cut(&mut self, random: usize) {
        let there = random % (self.journal.len() + 1);
        for change in &self.journal[..there] {
            apply(&mut self.safe, change);
        }
        self.journal.clear();
        self.now = self.safe.clone();
        for (bytes, synced) in &mut self.files {
            if !std::mem::replace(synced, true) {
                bytes.truncate(bytes.len() / 2);
            }
        }
    }

    fn change(&mut self, change: Change) -> io::Result<()> {
        self.power.step()?;
        apply(&mut self.now, &change);
        self.journal.push(change);
        Ok(())
    }
}

impl Disk for ModelDisk {
    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.now.keys().cloned().collect())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.now.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(self.files[*file].0.clone())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = self.files.len();
        self.files.push((Vec::new(), false));
        self.change(Change::Name(name.to_owned(), file))?;
        self.power.step()?;
        self.files[file].0 = bytes.to_vec();
        self.power.step()?;
        self.files[file].1 = true;
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.change(Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.change(Change::Remove(name.to_owned()))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.power.step()?;
        self.safe = self.now.clone();
        self.journal.clear();
        Ok(())
    }
}
