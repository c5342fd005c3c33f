//! The steps of coming up: which command each sends. What its reply means is
//! in `handle`.

use super::Machine;
use super::settings::{Auth, AuthOrder};
use crate::at::Command;

/// The context that the modem attaches and dials with.
pub(super) const CID: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    EchoOff,
    NumericErrors,
    Radio,
    RadioOn,
    RadioOff,
    Model,
    Revision,
    Imei,
    Iccid,
    Sim,
    PinTries,
    EnterPin,
    Imsi,
    MncLength,
    ReadContext,
    ReadAuth,
    WriteContext,
    WriteAuth,
    ReadModes,
    WriteModes,
    ReadBands,
    WriteBands,
    ReadUsbMode,
    WriteUsbMode,
    PickOperator,
    ReportLte,
    ReportGprs,
    Lte,
    Gprs,
    ReadDial,
    Dial(bool),
    Call(bool),
    Address,
    Operator,
    Power,
    Cell,
    Restart,
}

/// Until the SIM is known.
pub(super) const START: &[Step] =
    &[Step::EchoOff, Step::NumericErrors, Step::Radio, Step::Iccid, Step::Sim];

/// From an open SIM to where registration is known. The events are switched on
/// before the question, so that no change between them is missed.
pub(super) const SIM_OPEN: &[Step] = &[
    Step::ReportLte,
    Step::ReportGprs,
    Step::Imsi,
    Step::MncLength,
    Step::ReadContext,
    Step::ReadAuth,
    Step::ReadModes,
    Step::ReadBands,
    Step::ReadUsbMode,
    Step::PickOperator,
    Step::Lte,
    Step::Gprs,
];

/// What is nice to know, after what is needed.
pub(super) const DETAILS: &[Step] = &[
    Step::Iccid,
    Step::Model,
    Step::Revision,
    Step::Imei,
    Step::Operator,
    Step::Power,
    Step::Cell,
];

/// What is looked at again and again. The SIM too: the code that tells of its
/// removal may be lost, and all else then looks like a lack of coverage.
pub(super) const POLL: &[Step] = &[
    Step::Radio,
    Step::Sim,
    Step::Lte,
    Step::Gprs,
    Step::Address,
    Step::Operator,
    Step::Power,
    Step::Cell,
];

impl Machine {
    /// The command of a step; `None` when there is nothing to do.
    pub(super) fn command(&self, step: Step) -> Option<Command> {
        let identity = &self.state.identity;
        let once = |known: &Option<String>, text: &str| known.is_none().then(|| Command::new(text));
        match step {
            Step::EchoOff => Some(Command::new("ATE0")),
            Step::NumericErrors => Some(Command::new("AT+CMEE=1")),
            Step::Radio => Some(Command::new("AT+CFUN?")),
            Step::RadioOn => Some(Command::new("AT+CFUN=1")),
            Step::RadioOff => Some(Command::new("AT+CFUN=0")),
            Step::Model => once(&identity.model, "AT+CGMM"),
            Step::Revision => once(&identity.revision, "AT+CGMR"),
            Step::Imei => once(&identity.imei, "AT+CGSN"),
            Step::Iccid => once(&identity.iccid, "AT+CICCID"),
            Step::Sim => Some(Command::new("AT+CPIN?")),
            Step::PinTries => Some(Command::new("AT+SPIC")),
            Step::EnterPin => {
                let pin = self.settings.pin.as_ref()?;
                Some(Command::new(format!("AT+CPIN=\"{}\"", pin.reveal())).secret())
            }
            Step::Imsi => once(&identity.imsi, "AT+CIMI"),
            // EF_AD, four bytes (TS 31.102 §4.2.18). Needed for the database.
            Step::MncLength => (self.settings.access.is_empty() && self.mnc_length.is_none())
                .then(|| Command::new("AT+CRSM=176,28589,0,0,4")),
            Step::ReadContext => Some(Command::new("AT+CGDCONT?")),
            Step::ReadAuth => {
                let access = self.access()?;
                // The modem's own access point keeps its own authentication.
                (access.source != super::Source::Modem).then(|| Command::new("AT+CGAUTH?").secret())
            }
            Step::WriteContext => {
                let access = self.access()?;
                let pdp_type = &self.settings.pdp_type;
                Some(Command::new(format!("AT+CGDCONT={CID},\"{pdp_type}\",\"{}\"", access.apn)))
            }
            Step::WriteAuth => {
                let access = self.access()?;
                let kind = match access.auth {
                    Auth::None => return Some(Command::new(format!("AT+CGAUTH={CID},0"))),
                    Auth::Pap => 1,
                    Auth::Chap => 2,
                };
                let (first, second) = match self.traits.auth_order {
                    AuthOrder::PasswordFirst => (access.password.reveal(), access.user.as_str()),
                    AuthOrder::UserFirst => (access.user.as_str(), access.password.reveal()),
                };
                let text = format!("AT+CGAUTH={CID},{kind},\"{first}\",\"{second}\"");
                Some(Command::new(text).secret())
            }
            Step::ReadModes => self.settings.modes.map(|_| Command::new("AT+CNMP?")),
            Step::WriteModes => {
                let modes = self.settings.modes?;
                Some(Command::new(format!("AT+CNMP={}", modes.number())))
            }
            Step::ReadBands => self.settings.bands.map(|_| Command::new("AT+CNBP?")),
            Step::WriteBands => {
                let (gsm, lte) = self.settings.bands?;
                Some(Command::new(format!("AT+CNBP=0X{gsm:016X},0X{lte:016X}")))
            }
            // Once: a modem that does not keep it would restart for ever.
            Step::ReadUsbMode => {
                let mode = self.settings.usb_mode.filter(|_| !self.usb_mode_written);
                mode.map(|_| Command::new("AT$MYCONFIG?"))
            }
            Step::WriteUsbMode => {
                let mode = self.settings.usb_mode?;
                Some(Command::new(format!("AT$MYCONFIG=\"USBNETMODE\",{mode}")))
            }
            Step::PickOperator => {
                let operator = self.settings.operator.as_ref().filter(|_| !self.operator_picked)?;
                Some(Command::new(format!("AT+COPS=1,2,\"{operator}\"")))
            }
            Step::ReportLte => Some(Command::new("AT+CEREG=2")),
            Step::ReportGprs => Some(Command::new("AT+CGREG=2")),
            Step::Lte => Some(Command::new("AT+CEREG?")),
            // GPRS matters where LTE is not.
            Step::Gprs => (!self.lte.is_some_and(|stat| stat.is_registered()))
                .then(|| Command::new("AT+CGREG?")),
            Step::ReadDial => Some(Command::new("AT+DIALMODE?")),
            Step::Dial(on) => Some(Command::new(format!("AT+DIALMODE={}", u8::from(!on)))),
            Step::Call(on) => Some(Command::new(format!("AT$QCRMCALL={},1", u8::from(on)))),
            Step::Address => Some(Command::new(format!("AT+CGPADDR={CID}"))),
            Step::Operator => Some(Command::new("AT+COPS?")),
            Step::Power => Some(Command::new("AT+CSQ")),
            Step::Cell => Some(Command::new("AT+CPSI?")),
            Step::Restart => Some(Command::new("AT+CRESET")),
        }
    }
}
