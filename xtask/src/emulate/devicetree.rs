//! The device tree for QEMU's `raspi4b`: the image's own, with the edits that
//! the emulated board needs.
//!
//! QEMU models a part of the board. Where the tree describes something that is
//! not there, a driver waits for it for ever or its first register access
//! stops the kernel. Every edit stands in [`EDITS`] with its reason, and an
//! edit that finds nothing to change is an error: the tree has moved on, and
//! the list has to follow it. QEMU itself disables PCI Express, the random
//! number generator, the thermal sensor and Ethernet
//! (`hw/arm/raspi4b.c`, `raspi4_modify_dtb`).

use anyhow::{Context, Result, bail};
use fdt_edit::{Fdt, Property};

/// What happens to a node.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// `status = "disabled"`: the kernel makes no device of it or its children.
    Disable,
    /// Removes properties.
    Drop(&'static [&'static str]),
    /// Sets a property to a string.
    Set(&'static str, &'static str),
}

/// One edit: the node's path in `bcm2711-rpi-4-b.dtb`, what, why.
type Edit = (&'static str, Change, &'static str);

const EDITS: &[Edit] = &[
    (
        "/emmc2bus/mmc@7e340000",
        Change::Drop(&["vmmc-supply", "vqmmc-supply"]),
        "the card's regulators hang on the firmware's GPIO expander, which QEMU lacks",
    ),
    (
        "/soc/mmc@7e300000",
        Change::Drop(&["mmc-pwrseq"]),
        "the power sequence of the WiFi chip uses the same expander",
    ),
    ("/wifi-pwrseq", Change::Disable, "as above"),
    ("/soc/mmc@7e300000/wifi@1", Change::Disable, "QEMU has no WiFi chip"),
    (
        "/soc/serial@7e201000/bluetooth",
        Change::Disable,
        "QEMU has no Bluetooth chip; the port is the console",
    ),
    ("/soc/clock@7ef00000", Change::Disable, "no display clocks: registers are not mapped"),
    ("/soc/interrupt-controller@7ef00100", Change::Disable, "no display interrupts"),
    ("/soc/hdmi@7ef00700", Change::Disable, "no HDMI encoder"),
    ("/soc/hdmi@7ef05700", Change::Disable, "no HDMI encoder"),
    ("/soc/i2c@7ef04500", Change::Disable, "no HDMI data channel"),
    ("/soc/i2c@7ef09500", Change::Disable, "no HDMI data channel"),
    (
        "/soc/usb@7e980000",
        Change::Set("dr_mode", "host"),
        "on the board the USB-C socket decides; QEMU's controller is a host only",
    ),
];

/// `dtb` edited for QEMU's `raspi4b`.
///
/// Fails when `dtb` is no device tree, or has not the node or property that an
/// edit changes; the error names it.
pub fn for_raspi4b(dtb: &[u8]) -> Result<Vec<u8>> {
    edit(dtb, EDITS)
}

fn edit(dtb: &[u8], edits: &[Edit]) -> Result<Vec<u8>> {
    let mut tree = Fdt::from_bytes(dtb)
        .map_err(|error| anyhow::anyhow!("the image's device tree is unreadable: {error:?}"))?;
    for (path, change, why) in edits {
        apply(&mut tree, path, *change)
            .with_context(|| format!("device tree edit \"{path}\" ({why})"))?;
    }
    Ok(tree.encode().to_vec())
}

fn apply(tree: &mut Fdt, path: &str, change: Change) -> Result<()> {
    let id = tree.get_by_path_id(path).context("the tree has no such node")?;
    let node = tree.node_mut(id).context("the tree has no such node")?;
    match change {
        Change::Disable => node.set_property(string("status", "disabled")),
        Change::Set(name, value) => node.set_property(string(name, value)),
        Change::Drop(names) => {
            for name in names {
                if node.remove_property(name).is_none() {
                    bail!("the node has no property {name}");
                }
            }
        }
    }
    Ok(())
}

/// A property that holds one NUL-terminated string.
fn string(name: &str, value: &str) -> Property {
    let mut bytes = value.as_bytes().to_vec();
    bytes.push(0);
    Property::new(name, bytes)
}

#[cfg(test)]
mod tests {
    use fdt_edit::Node;

    use super::*;

    /// A tree with a controller that has a supply, and a child.
    fn tree() -> Vec<u8> {
        let mut tree = Fdt::new();
        let mut mmc = Node::new("mmc@1");
        mmc.set_property(Property::new("vmmc-supply", vec![0, 0, 0, 7]));
        mmc.set_property(string("status", "okay"));
        let mmc = tree.add_node(tree.root_id(), mmc);
        tree.add_node(mmc, Node::new("wifi@1"));
        tree.encode().to_vec()
    }

    fn property(dtb: &[u8], path: &str, name: &str) -> Option<Vec<u8>> {
        let tree = Fdt::from_bytes(dtb).unwrap();
        let node = tree.node(tree.get_by_path_id(path).unwrap()).unwrap();
        node.get_property(name).map(|p| p.data.clone())
    }

    #[test]
    fn each_change_does_what_it_says_and_nothing_else() {
        let edits: &[Edit] = &[
            ("/mmc@1", Change::Drop(&["vmmc-supply"]), ""),
            ("/mmc@1", Change::Set("dr_mode", "host"), ""),
            ("/mmc@1/wifi@1", Change::Disable, ""),
        ];
        let edited = edit(&tree(), edits).unwrap();
        assert_eq!(property(&edited, "/mmc@1", "vmmc-supply"), None);
        assert_eq!(property(&edited, "/mmc@1", "dr_mode"), Some(b"host\0".to_vec()));
        assert_eq!(property(&edited, "/mmc@1", "status"), Some(b"okay\0".to_vec()));
        assert_eq!(property(&edited, "/mmc@1/wifi@1", "status"), Some(b"disabled\0".to_vec()));
    }

    #[test]
    fn an_edit_without_its_node_or_property_is_an_error_that_names_it() {
        let missing = edit(&tree(), &[("/mmc@2", Change::Disable, "why")]).unwrap_err();
        assert!(format!("{missing:#}").contains("/mmc@2"), "{missing:#}");
        let dropped =
            edit(&tree(), &[("/mmc@1", Change::Drop(&["vqmmc-supply"]), "")]).unwrap_err();
        assert!(format!("{dropped:#}").contains("vqmmc-supply"), "{dropped:#}");
    }

    #[test]
    fn what_is_no_device_tree_is_refused() {
        assert!(for_raspi4b(b"not a tree").is_err());
    }
}
