//! The enabled nodes of a device tree, with what identifies their drivers.

use anyhow::{Result, anyhow, bail};
use fdt_edit::{Fdt, NodeId};

/// How AMBA devices are marked (Devicetree binding `arm/primecell.yaml`): the
/// kernel finds their driver by the peripheral id, not by `compatible`.
const AMBA: &str = "arm,primecell";

/// A node that the kernel makes a device of, or reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its path.
    pub path: String,
    /// What drivers match: each `compatible` string, the most specific first;
    /// `amba:<id>` (eight hexadecimal digits) in place of `arm,primecell`.
    pub keys: Vec<String>,
}

/// Every node of `dtb` that has a `compatible` and that, like all its parents,
/// has the status `okay` or none (Devicetree Specification 0.4, 2.3.4).
pub fn enabled(dtb: &[u8]) -> Result<Vec<Node>> {
    let tree = Fdt::from_bytes(dtb)
        .map_err(|error| anyhow!("the device tree is unreadable: {error:?}"))?;
    let mut nodes = Vec::new();
    walk(&tree, tree.root_id(), &mut nodes)?;
    if nodes.is_empty() {
        bail!("the device tree has no enabled node with a compatible");
    }
    Ok(nodes)
}

fn walk(tree: &Fdt, id: NodeId, nodes: &mut Vec<Node>) -> Result<()> {
    let path = tree.path_of(id);
    let Some(node) = tree.node(id) else { bail!("the device tree has no node {path}") };
    let status = node.get_property("status").and_then(|p| p.as_str());
    if !matches!(status, None | Some("okay" | "ok")) {
        return Ok(());
    }
    let mut keys: Vec<String> = node.compatibles().map(str::to_owned).collect();
    if let Some(amba) = keys.iter_mut().find(|key| *key == AMBA) {
        let id = node.get_property("arm,primecell-periphid").and_then(|p| p.get_u32());
        let Some(id) = id else { bail!("{path} has no arm,primecell-periphid") };
        *amba = format!("amba:{id:08x}");
    }
    if !keys.is_empty() {
        nodes.push(Node { path, keys });
    }
    for child in node.children() {
        walk(tree, *child, nodes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use fdt_edit::{Node as Raw, Property};

    use super::*;

    fn node(name: &str, compatible: &[u8], status: Option<&str>) -> Raw {
        let mut node = Raw::new(name);
        if !compatible.is_empty() {
            node.set_property(Property::new("compatible", compatible.to_vec()));
        }
        if let Some(status) = status {
            node.set_property(Property::new("status", format!("{status}\0").into_bytes()));
        }
        node
    }

    #[test]
    fn a_disabled_parent_hides_its_children() {
        let mut tree = Fdt::new();
        let root = tree.root_id();
        let soc = tree.add_node(root, node("soc", b"simple-bus\0", Some("okay")));
        tree.add_node(soc, node("uart@1", b"v,uart2\0v,uart\0", None));
        let off = tree.add_node(soc, node("bus@2", b"v,bus\0", Some("disabled")));
        tree.add_node(off, node("i2c@3", b"v,i2c\0", Some("okay")));
        let bare = tree.add_node(soc, node("bare", b"", None));
        tree.add_node(bare, node("leaf", b"v,leaf\0", Some("ok")));
        let found = enabled(&tree.encode()).unwrap();
        let paths: Vec<_> = found.iter().map(|n| n.path.as_str()).collect();
        assert_eq!(paths, ["/soc", "/soc/uart@1", "/soc/bare/leaf"]);
        assert_eq!(found[1].keys, ["v,uart2", "v,uart"]);
    }

    #[test]
    fn amba_devices_go_by_their_id() {
        let mut tree = Fdt::new();
        let mut uart = node("uart@1", b"arm,pl011\0arm,primecell\0", None);
        let id = 0x0034_1011_u32.to_be_bytes().to_vec();
        uart.set_property(Property::new("arm,primecell-periphid", id));
        tree.add_node(tree.root_id(), uart);
        let found = enabled(&tree.encode()).unwrap();
        assert_eq!(found[0].keys, ["arm,pl011", "amba:00341011"]);
    }

    #[test]
    fn an_empty_tree_is_an_error() {
        assert!(enabled(&Fdt::new().encode()).is_err());
    }
}
