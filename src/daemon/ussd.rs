//! Questions to the network by USSD, between the service's own commands.
//!
//! While voice goes by IMS this family refuses `AT+CUSD` (SIMCom A76XX AT Command
//! Manual V1.09, +CUSD): IMS is switched off for the length of the dialogue. That it
//! is off stands on the card before: whatever ends the dialogue, it is on again.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{MutexGuard, broadcast, oneshot};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::registry::Reader;
use super::task::Order;
use crate::at::{AtError, Command, Reply as AtReply};
use crate::modem::usb_path::UsbPath;
use crate::protocol::{FailureCode, Reply, failed};
use crate::sms::ussd::{self, Stage, Told};
use crate::state::{Loaded, StateError, StateFile};

/// How long the network may take. Its own limit for our answer is longer; a person
/// waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a dialogue that nobody goes on with is left open.
const LEFT_OPEN: Duration = Duration::from_secs(180);

/// After IMS was switched off: it has to leave the network first.
const LEAVING: Duration = Duration::from_secs(2);
const LEAVING_TRIES: u32 = 3;

/// How often to look for modems whose IMS was left off.
const MEND: Duration = Duration::from_secs(30);

const IMS: &str = "AT*IMSRCFG=\"switch\"";

/// What is known of dialogues. Who asks has it alone.
pub struct Asking {
    /// The modems whose IMS is off for a dialogue, also of an earlier run.
    off: Vec<UsbPath>,
    file: StateFile,
    /// Who sees to the end of the dialogue at a modem.
    attending: BTreeMap<UsbPath, AbortHandle>,
}

/// Holds whoever else asks.
type Guard<'a> = MutexGuard<'a, Asking>;

impl Asking {
    /// With what earlier runs kept below `folder`.
    pub fn new(folder: &Path) -> Asking {
        let file = StateFile::new(folder, "ims", 1);
        let off = match file.load() {
            Ok(Loaded::Kept(off)) => off,
            Ok(Loaded::Nothing | Loaded::Damaged { .. }) => Vec::new(),
            Err(error) => {
                tracing::error!("{error}");
                Vec::new()
            }
        };
        Asking { off, file, attending: BTreeMap::new() }
    }

    /// Notes whether the IMS of a modem is off for a dialogue.
    fn note(&mut self, path: &UsbPath, off: bool) -> Result<(), StateError> {
        let mut next = self.off.clone();
        next.retain(|one| one != path);
        if off {
            next.push(path.clone());
        }
        self.file.save(&next)?;
        self.off = next;
        Ok(())
    }

    /// Nobody sees to the end of the earlier dialogue any more: it would end the one
    /// that follows.
    fn leave(&mut self, path: &UsbPath) {
        if let Some(attendant) = self.attending.remove(path) {
            attendant.abort();
        }
    }
}

impl Reader {
    /// Asks `text`, or answers it to the network; none ends the dialogue.
    ///
    /// # Errors
    /// The reply that says why there is no answer.
    pub async fn ussd(
        &self,
        id: u64,
        modem: Option<&UsbPath>,
        text: Option<&str>,
    ) -> Result<Told, Reply<()>> {
        let path = self.place(id, modem)?;
        let failed = |message: String| failed(id, FailureCode::Failed, message);
        let mut asking = self.shared.by_text.asking.lock().await;
        let Some(text) = text else {
            asking.leave(&path);
            let ended = self.say(id, &path, "AT+CUSD=2").await?;
            self.end(&path, &mut asking).await;
            let over = Told { stage: Stage::Ended, text: String::new() };
            return ended.map(|_| over).map_err(|error| failed(format!("AT+CUSD=2: {error}")));
        };
        let command = ussd::command(text).map_err(|why| failed(why.to_owned()))?;
        asking.leave(&path);
        let switched = self.ims_off(id, &path, &mut asking).await?;
        // Not before: what the network says meanwhile is no answer to this.
        let mut told = self.shared.by_text.ussd.subscribe();
        let mut asked = self.say(id, &path, &command).await?;
        for _ in 0..LEAVING_TRIES {
            if asked.is_ok() || !switched {
                break;
            }
            sleep(LEAVING).await;
            asked = self.say(id, &path, &command).await?;
        }
        let answer = match asked {
            Ok(_) => timeout(PATIENCE, answer(&mut told, &path)).await.map_err(|_| {
                let seconds = PATIENCE.as_secs();
                format!("the network gave no answer within {seconds} s; try again later")
            }),
            Err(AtError::Refused(why)) => Err(format!(
                "the modem refuses USSD ({why}): it is not registered, or a data-only model \
                 (A7670E-LNXY), which has none"
            )),
            Err(error) => Err(error.to_string()),
        };
        match answer {
            Ok(told) if told.stage == Stage::More => {
                let attendant = self.attend(path.clone());
                asking.attending.insert(path, attendant);
                Ok(told)
            }
            Ok(told) => {
                self.end(&path, &mut asking).await;
                Ok(told)
            }
            Err(why) => {
                // Whatever comes of it: the dialogue is given up.
                _ = self.say(id, &path, "AT+CUSD=2").await;
                self.end(&path, &mut asking).await;
                Err(failed(why))
            }
        }
    }

    /// Switches IMS off if it is on; whether it was.
    async fn ims_off(
        &self,
        id: u64,
        path: &UsbPath,
        asking: &mut Guard<'_>,
    ) -> Result<bool, Reply<()>> {
        // Firmware without IMS refuses the question.
        let on = match self.say(id, path, IMS).await? {
            Ok(reply) => reply.lines.iter().any(|line| line.contains("\"on\"")),
            Err(_) => false,
        };
        if on {
            let failed = |why: String| {
                let why = format!("IMS cannot be switched off, which USSD needs: {why}");
                failed(id, FailureCode::Failed, why)
            };
            asking.note(path, true).map_err(|error| failed(error.to_string()))?;
            let off = self.say(id, path, &format!("{IMS},\"off\"")).await?;
            if let Err(error) = off {
                self.end(path, asking).await;
                return Err(failed(error.to_string()));
            }
        }
        Ok(on)
    }

    /// Switches IMS on if it was switched off here; whether it is as it was.
    async fn ims_on(&self, path: &UsbPath, asking: &mut Guard<'_>) -> bool {
        if !asking.off.contains(path) {
            return true;
        }
        let on = self.say(0, path, &format!("{IMS},\"on\"")).await;
        let done = matches!(on, Ok(Ok(_)));
        if done {
            // Else it is switched on once more.
            asking.note(path, false).unwrap_or_else(|error| tracing::error!("{error}"));
        }
        done
    }

    /// After a dialogue.
    async fn end(&self, path: &UsbPath, asking: &mut Guard<'_>) {
        if !self.ims_on(path, asking).await {
            let wait = MEND.as_secs();
            tracing::warn!("modem at {path}: IMS cannot be switched on: again in {wait} s");
        }
    }

    /// Switches IMS on where it was left off, for as long as it is polled: the service
    /// was killed, or the modem did not listen.
    pub async fn mend(self) {
        loop {
            self.mend_once().await;
            sleep(MEND).await;
        }
    }

    async fn mend_once(&self) {
        let mut asking = self.shared.by_text.asking.lock().await;
        let over = |path: &&UsbPath| {
            !asking.attending.contains_key(path) && self.place(0, Some(path)).is_ok()
        };
        let left: Vec<UsbPath> = asking.off.iter().filter(over).cloned().collect();
        for path in left {
            if self.ims_on(&path, &mut asking).await {
                tracing::info!("modem at {path}: IMS is on again");
            }
        }
    }

    /// Sees to the end of a dialogue, also when nobody goes on with it.
    fn attend(&self, path: UsbPath) -> AbortHandle {
        let (reader, mut told) = (self.clone(), self.shared.by_text.ussd.subscribe());
        let task = tokio::spawn(async move {
            let over = loop {
                match timeout(LEFT_OPEN, answer(&mut told, &path)).await {
                    // Another waits for the next answer.
                    Ok(told) if told.stage == Stage::More => {}
                    Ok(_) => break true,
                    Err(_) => break false,
                }
            };
            // Whoever asks meanwhile has ended this task.
            let mut asking = reader.shared.by_text.asking.lock().await;
            asking.attending.remove(&path);
            if !over {
                _ = reader.say(0, &path, "AT+CUSD=2").await;
            }
            reader.end(&path, &mut asking).await;
        });
        task.abort_handle()
    }

    /// Sends a command; it is not shown, as codes may be worth money.
    async fn say(
        &self,
        id: u64,
        path: &UsbPath,
        command: &str,
    ) -> Result<Result<AtReply, AtError>, Reply<()>> {
        let (answer, result) = oneshot::channel();
        let command = Command::new(command).secret();
        self.send(id, Some(path), Order::Request(command, answer))?;
        result.await.map_err(|_| failed(id, FailureCode::NoModem, "the modem is gone"))
    }
}

/// The network's next answer at this modem.
async fn answer(told: &mut broadcast::Receiver<(UsbPath, String)>, path: &UsbPath) -> Told {
    loop {
        match told.recv().await {
            Ok((place, rest)) if place == *path => {
                if let Some(told) = ussd::parse(&rest) {
                    return told;
                }
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            // The service ends.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests;
