//! Signal: `+CSQ` and `+CPSI`.

use serde::{Deserialize, Serialize};

use crate::at::fields::{after, fields};

/// How well the modem hears, as far as it tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// Received power over the whole channel, dBm.
    pub rssi_dbm: Option<f32>,
    /// Received power of LTE's reference signal, dBm.
    pub rsrp_dbm: Option<f32>,
    /// Its quality, dB.
    pub rsrq_db: Option<f32>,
    /// Signal to noise, dB.
    pub sinr_db: Option<f32>,
}

/// Reads `+CSQ: <rssi>,<ber>` as dBm (TS 27.007 §8.5: −113 dBm and 2 dB per
/// step, 99 unknown).
pub fn csq(line: &str) -> Option<f32> {
    let step: u8 = fields(after(line, "+CSQ")?).first()?.number()?;
    (step <= 31).then(|| f32::from(step) * 2.0 - 113.0)
}

/// The cell that serves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Serving {
    /// `LTE`, `GSM`, `NO SERVICE`.
    pub system: String,
    /// MCC and MNC with a hyphen, `639-02`.
    pub network: Option<String>,
    /// `EUTRAN-BAND20`.
    pub band: Option<String>,
    /// How well it is heard.
    pub signal: Signal,
}

/// Reads `+CPSI: …`.
///
/// A76XX: RSRQ, RSRP, RSSI are steps (manual V1.09, `AT+CPSI`; RSRP dBm = v −
/// 140, RSRQ dB = (v − 40) / 2, RSSI dBm = v − 110). SIM7600 prints tenths of
/// dB instead; a negative number tells it apart.
pub fn serving(line: &str) -> Option<Serving> {
    let fields = fields(after(line, "+CPSI")?);
    let text = |at: usize| {
        fields.get(at).map(|field| field.text).filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let system = text(0)?;
    let number = |at: usize| fields.get(at).and_then(|field| field.number::<i16>()).map(f32::from);
    let scaled = |at: usize, step: fn(f32) -> f32| {
        number(at).map(|value| if value < 0.0 { value / 10.0 } else { step(value) })
    };
    Some(match system.as_str() {
        "LTE" => Serving {
            network: text(2),
            band: text(6),
            signal: Signal {
                rsrq_db: scaled(10, |v| (v - 40.0) / 2.0),
                rsrp_dbm: scaled(11, |v| v - 140.0),
                rssi_dbm: scaled(12, |v| v - 110.0),
                sinr_db: number(13),
            },
            system,
        },
        "GSM" => Serving { network: text(2), band: text(5), system, ..Serving::default() },
        _ => Serving { system, ..Serving::default() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power() {
        assert_eq!(csq("+CSQ: 20,99"), Some(-73.0));
        assert_eq!(csq("+CSQ: 99,99"), None);
    }

    #[test]
    fn cells() {
        let line = "+CPSI: LTE,Online,204-08,0x846E,970508,130,EUTRAN-BAND20,6400,3,0,19,43,42,6";
        let lte = serving(line).unwrap();
        assert_eq!(lte.network.as_deref(), Some("204-08"));
        assert_eq!(lte.band.as_deref(), Some("EUTRAN-BAND20"));
        let Signal { rssi_dbm, rsrp_dbm, rsrq_db, sinr_db } = lte.signal;
        assert_eq!((rssi_dbm, rsrp_dbm), (Some(-68.0), Some(-97.0)));
        assert_eq!((rsrq_db, sinr_db), (Some(-10.5), Some(6.0)));
        let tenths = line.replace("19,43,42", "-105,-970,-680");
        assert_eq!(serving(&tenths).unwrap().signal, lte.signal);
        let gsm =
            serving("+CPSI: GSM,Online,222-01,0x46C2,43674,1021 PGSM 900,25,0,15-15").unwrap();
        assert_eq!((gsm.system.as_str(), gsm.network.as_deref()), ("GSM", Some("222-01")));
        assert_eq!(serving("+CPSI: NO SERVICE,Low Power Mode").unwrap().system, "NO SERVICE");
    }
}
