//! Access points by home network, from the text of mobile-broadband-provider-info's
//! `serviceproviders.xml` (format: its `serviceproviders.2.dtd`).
//!
//! The file is 370 kB; its tree would take more memory than all of the daemon.
//! So only the `<provider>` elements that name the network are parsed.

use roxmltree::{Document, Node};

use super::machine::{Access, Auth, Secret, Source};

/// What ends the element.
const END: &str = "</provider>";

/// The access points of a network for internet use, in the order to try them:
/// primary providers first; each access point without a password and then with
/// those that are listed, since many networks do not look at them.
///
/// `mcc` and `mnc` are compared as text: MNC `02` is another than `2` or `002`.
pub fn lookup(xml: &str, mcc: &str, mnc: &str) -> Vec<Access> {
    let mut found: Vec<(u8, Vec<Access>)> = Vec::new();
    let mut rest = xml;
    while let Some(end) = rest.find(END) {
        let (before, after) = rest.split_at(end + END.len());
        rest = after;
        // Providers do not nest: the nearest start is the element's own.
        let Some(element) = before.rfind("<provider").and_then(|start| before.get(start..)) else {
            continue;
        };
        if !(element.contains(mcc) && element.contains(mnc)) {
            continue;
        }
        // What is no element (a comment that speaks of one) is passed over.
        let Ok(document) = Document::parse(element) else { continue };
        let provider = document.root_element();
        for gsm in provider.children().filter(|node| node.has_tag_name("gsm")) {
            if gsm.children().any(|node| names(&node, mcc, mnc)) {
                // A virtual operator shares the network of another: its SIM's
                // group decides, which is not read. So it comes last.
                let rank = match provider.attribute("primary") {
                    Some("true") => 0,
                    _ if gsm.children().any(|node| node.has_tag_name("gid1")) => 2,
                    _ => 1,
                };
                found.push((rank, gsm.children().flat_map(|node| accesses(&node)).collect()));
            }
        }
    }
    found.sort_by_key(|provider| provider.0);
    let mut list = Vec::new();
    for access in found.into_iter().flat_map(|provider| provider.1) {
        if !list.contains(&access) {
            list.push(access);
        }
    }
    list
}

fn names(node: &Node, mcc: &str, mnc: &str) -> bool {
    node.has_tag_name("network-id")
        && node.attribute("mcc") == Some(mcc)
        && node.attribute("mnc") == Some(mnc)
}

fn accesses(node: &Node) -> Vec<Access> {
    let internet = |node: &Node| {
        let mut uses = node.children().filter(|child| child.has_tag_name("usage"));
        uses.any(|usage| {
            usage.attribute("type").is_some_and(|kind| kind.split('-').any(|one| one == "internet"))
        })
    };
    let Some(apn) = node.attribute("value").filter(|apn| is_plain(apn)) else { return Vec::new() };
    if !node.has_tag_name("apn") || !internet(node) {
        return Vec::new();
    }
    let text = |name| {
        let child = node.children().find(|child| child.has_tag_name(name));
        child.and_then(|child| child.text()).map(str::trim).filter(|text| is_plain(text))
    };
    let access = |auth, user: &str, password: &str| Access {
        apn: apn.to_owned(),
        user: user.to_owned(),
        password: Secret::new(password),
        auth,
        source: Source::Database,
    };
    let mut list = vec![access(Auth::None, "", "")];
    if let Some(user) = text("username") {
        let how = node.children().find(|child| child.has_tag_name("authentication"));
        let auth = match how.and_then(|how| how.attribute("method")) {
            Some("chap") => Auth::Chap,
            _ => Auth::Pap,
        };
        list.push(access(auth, user, text("password").unwrap_or_default()));
    }
    list
}

/// Whether a text can stand in quotes in a command.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const XML: &str = r#"<?xml version="1.0"?><!DOCTYPE serviceproviders SYSTEM "x.dtd">
<!-- a <provider> in a comment --><serviceproviders format="2.0"><country code="ke">
<provider><name>Safaricom</name><gsm><network-id mcc="639" mnc="02"/>
<apn value="mms.x"><usage type="mms"/></apn>
<apn value="safaricom"><usage type="internet"/><username>saf</username><password>data</password></apn>
<apn value="safaricom"><usage type="internet"/><username>web</username><password>web</password></apn>
</gsm></provider>
<provider primary="true"><name>P &amp; Q</name><gsm><network-id mcc="639" mnc="02"/>
<apn value="first"><usage type="internet"/></apn></gsm></provider>
<provider><name>Other</name><gsm><network-id mcc="639" mnc="2"/>
<apn value="other"><usage type="internet"/></apn></gsm></provider>
</country></serviceproviders>"#;

    #[test]
    fn primary_first_and_without_a_password_first() {
        let list = lookup(XML, "639", "02");
        let shown: Vec<_> =
            list.iter().map(|a| (a.apn.as_str(), a.auth, a.user.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("first", Auth::None, ""),
                ("safaricom", Auth::None, ""),
                ("safaricom", Auth::Pap, "saf"),
                ("safaricom", Auth::Pap, "web"),
            ]
        );
    }

    #[test]
    fn codes_are_text() {
        assert_eq!(lookup(XML, "639", "2")[0].apn, "other");
        assert_eq!(lookup(XML, "639", "002"), []);
    }

    #[test]
    fn what_cannot_stand_in_a_command_is_left_out() {
        let bad = XML.replace("value=\"first\"", "value='a\"b'");
        assert_eq!(lookup(&bad, "639", "02")[0].apn, "safaricom");
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through(head: String, at in 0..XML.len(), tail: String) {
            _ = lookup(&format!("{head}{}{tail}", &XML[..at]), "639", "02");
        }
    }
}
