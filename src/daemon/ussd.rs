//! Questions to the network by USSD, between the service's own commands.
//!
//! While voice goes by IMS this family refuses `AT+CUSD` (SIMCom A76XX AT Command
//! Manual V1.09, +CUSD): IMS is switched off for the length of the dialogue.

use std::time::Duration;

use tokio::sync::{MutexGuard, broadcast, oneshot};
use tokio::time::{sleep, timeout};

use super::registry::Reader;
use super::task::Order;
use crate::at::{AtError, Command, Reply as AtReply};
use crate::modem::usb_path::UsbPath;
use crate::protocol::{FailureCode, Reply, failed};
use crate::sms::ussd::{self, Stage, Told};

/// How long the network may take. Its own limit for our answer is longer; a person
/// waits no longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a dialogue that nobody goes on with is left open.
const LEFT_OPEN: Duration = Duration::from_secs(180);

/// After IMS was switched off: it has to leave the network first.
const LEAVING: Duration = Duration::from_secs(2);
const LEAVING_TRIES: u32 = 3;

const IMS: &str = "AT*IMSRCFG=\"switch\"";

/// Holds whoever else asks.
type Asking<'a> = MutexGuard<'a, Vec<UsbPath>>;

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
            let ended = self.say(id, &path, "AT+CUSD=2").await?;
            self.ims_on(&path, &mut asking).await;
            let over = Told { stage: Stage::Ended, text: String::new() };
            return ended.map(|_| over).map_err(|error| failed(format!("AT+CUSD=2: {error}")));
        };
        let command = ussd::command(text).map_err(|why| failed(why.to_owned()))?;
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
                self.attend(path);
                Ok(told)
            }
            Ok(told) => {
                self.ims_on(&path, &mut asking).await;
                Ok(told)
            }
            Err(why) => {
                // Whatever comes of it: the dialogue is given up.
                _ = self.say(id, &path, "AT+CUSD=2").await;
                self.ims_on(&path, &mut asking).await;
                Err(failed(why))
            }
        }
    }

    /// Switches IMS off if it is on; whether it was.
    async fn ims_off(
        &self,
        id: u64,
        path: &UsbPath,
        asking: &mut Asking<'_>,
    ) -> Result<bool, Reply<()>> {
        // Firmware without IMS refuses the question.
        let on = match self.say(id, path, IMS).await? {
            Ok(reply) => reply.lines.iter().any(|line| line.contains("\"on\"")),
            Err(_) => false,
        };
        if on {
            if !asking.contains(path) {
                asking.push(path.clone());
            }
            let off = self.say(id, path, &format!("{IMS},\"off\"")).await?;
            if let Err(error) = off {
                self.ims_on(path, asking).await;
                let why = format!("IMS cannot be switched off, which USSD needs: {error}");
                return Err(failed(id, FailureCode::Failed, why));
            }
        }
        Ok(on)
    }

    /// Switches IMS on if it was switched off here.
    async fn ims_on(&self, path: &UsbPath, asking: &mut Asking<'_>) {
        if asking.contains(path) {
            let on = self.say(0, path, &format!("{IMS},\"on\"")).await;
            if let Ok(Ok(_)) = on {
                asking.retain(|one| one != path);
            } else {
                tracing::warn!("modem at {path}: IMS cannot be switched on again");
            }
        }
    }

    /// Sees to the end of a dialogue, also when nobody goes on with it.
    fn attend(&self, path: UsbPath) {
        let (reader, mut told) = (self.clone(), self.shared.by_text.ussd.subscribe());
        tokio::spawn(async move {
            loop {
                match timeout(LEFT_OPEN, answer(&mut told, &path)).await {
                    // Another waits for the next answer.
                    Ok(told) if told.stage == Stage::More => {}
                    Ok(_) => break,
                    Err(_) => {
                        _ = reader.say(0, &path, "AT+CUSD=2").await;
                        break;
                    }
                }
            }
            let mut asking = reader.shared.by_text.asking.lock().await;
            reader.ims_on(&path, &mut asking).await;
        });
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
