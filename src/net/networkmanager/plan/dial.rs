//! Decides what NetworkManager is to be asked where data goes by PPP: the modem's link
//! on USB is nobody's, its profile dials the modem that ModemManager shows.

use super::{delete, disconnect, gsm, strip, uuid_of};
use crate::net::model::Observed;
use crate::net::networkmanager::profile::gsm_uuid;
use crate::net::networkmanager::{
    ACTIVATED, Call, DISCONNECTED, Device, Dialling, FAILED, Seen, Step,
};
use crate::net::plan::{self, Plan};

/// The steps from what was seen to `call`.
#[must_use]
pub fn dial(call: &Call, seen: &Seen, observed: &Observed) -> Plan {
    let wish = &call.wish;
    let on_usb = wish.index != 0;
    let mut plan = if on_usb {
        plan::traces(&wish.link, wish.index, observed)
    } else {
        Plan { link: wish.link.clone(), index: 0, steps: Vec::new() }
    };
    let mut steps: Vec<Step> = Vec::new();
    if let Some(state) = seen.state() {
        // Of a time when data went by USB.
        if let Some(device) = &state.device {
            disconnect(device, &mut steps);
            if let Some(found) = &state.profile {
                delete(found, uuid_of(device, &wish.link), &mut steps);
            }
        }
        let before = steps.len();
        gsm(wish, state, &mut steps);
        let changed = steps.len() > before;
        let parts = (&wish.gsm, &state.gsm, &state.modem, &call.modem);
        if let (Some(_), Some(_), Some(device), Some(modem)) = parts {
            let step = step(device, call.may_dial, wish.anew, changed);
            steps.extend(step.map(|step| Step::Modem(modem.clone(), step)));
        }
    }
    plan.steps.extend(steps.into_iter().map(plan::Step::Manager));
    if on_usb {
        strip(wish.index, observed, &mut plan.steps);
    }
    plan
}

/// What is next with the modem, whose profile is there.
fn step(device: &Device, may_dial: bool, anew: bool, changed: bool) -> Option<Dialling> {
    if !device.managed {
        return Some(Dialling::Manage);
    }
    let uuid = gsm_uuid();
    let ours = device.active.as_ref() == Some(&uuid);
    let idle = matches!(device.state, DISCONNECTED | FAILED);
    let others = device.active.is_some() && !ours && device.state <= ACTIVATED;
    if may_dial && (idle || others) || anew && device.state >= DISCONNECTED {
        return Some(Dialling::Dial { uuid });
    }
    (ours && device.state == ACTIVATED && changed).then_some(Dialling::Reapply)
}
