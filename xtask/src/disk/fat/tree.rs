//! Folders and files of a volume, and the clusters that they get.

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result, bail};

use super::geometry::Geometry;
use super::name::{self, Stamp};

/// Clusters in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The first of them; 0 for an empty file, which has none.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// What a run holds.
#[derive(Clone, Copy, Debug)]
pub enum Node<'a> {
    /// The directory of this index.
    Dir(usize),
    /// A file's content.
    File(&'a [u8]),
}

struct Dir<'a> {
    path: &'a str,
    parent: usize,
    /// Name, short name and what it is, in order of name.
    children: Vec<Child<'a>>,
}

struct Child<'a> {
    name: &'a str,
    short: [u8; 11],
    node: Node<'a>,
    path: &'a str,
}

/// Folders by index; 0 is the root.
pub struct Tree<'a> {
    dirs: Vec<Dir<'a>>,
}

/// Where everything lies.
pub struct Placed<'a> {
    /// Runs in ascending order, with no gap between them.
    pub runs: Vec<Run>,
    /// What each run holds.
    pub nodes: Vec<Node<'a>>,
    dirs: Vec<Run>,
    files: BTreeMap<&'a str, Run>,
}

impl<'a> Tree<'a> {
    /// Sorts `files` into folders.
    pub fn new(files: &'a BTreeMap<String, Vec<u8>>) -> Result<Self> {
        let mut tree = Self { dirs: vec![Dir { path: "", parent: 0, children: Vec::new() }] };
        for (path, content) in files {
            if u32::try_from(content.len()).is_err() {
                bail!("{path} is too large for FAT: 4 GiB at most");
            }
            let mut dir = 0;
            for (at, _) in path.match_indices('/') {
                dir = tree.folder(dir, &path[..at])?;
            }
            tree.add(dir, path, Node::File(content))?;
        }
        Ok(tree)
    }

    fn folder(&mut self, parent: usize, path: &'a str) -> Result<usize> {
        if let Some(index) = self.dirs.iter().position(|dir| dir.path == path) {
            return Ok(index);
        }
        let index = self.dirs.len();
        self.dirs.push(Dir { path, parent, children: Vec::new() });
        self.add(parent, path, Node::Dir(index))?;
        Ok(index)
    }

    fn add(&mut self, dir: usize, path: &'a str, node: Node<'a>) -> Result<()> {
        let name = path.rsplit('/').next().unwrap_or(path);
        name::check(name).with_context(|| format!("in the path {path:?}"))?;
        let children = &mut self.dirs[dir].children;
        if let Some(other) = children.iter().find(|c| c.name.eq_ignore_ascii_case(name)) {
            bail!("{path} and {} are one name on FAT", other.path);
        }
        let taken: HashSet<_> = children.iter().map(|c| c.short).collect();
        let short = name::short(name, |candidate| taken.contains(candidate))?;
        children.push(Child { name, short, node, path });
        Ok(())
    }

    /// Gives every folder, then every file, its clusters.
    pub fn place(&self, geometry: &Geometry) -> Result<Placed<'a>> {
        let mut next = super::geometry::ROOT_CLUSTER;
        let mut placed = Placed {
            runs: Vec::new(),
            nodes: Vec::new(),
            dirs: Vec::new(),
            files: BTreeMap::new(),
        };
        let mut take = |bytes: usize| {
            let count = (bytes as u64).div_ceil(u64::from(geometry.cluster_bytes())) as u32;
            let run = Run { first: next, count };
            next += count;
            run
        };
        for index in 0..self.dirs.len() {
            let run = take(self.directory_len(index));
            placed.runs.push(run);
            placed.nodes.push(Node::Dir(index));
            placed.dirs.push(run);
        }
        let files = self.dirs.iter().flat_map(|dir| &dir.children).filter_map(|c| match c.node {
            Node::File(content) => Some((c.path, content)),
            Node::Dir(_) => None,
        });
        for (path, content) in files {
            if content.is_empty() {
                placed.files.insert(path, Run { first: 0, count: 0 });
                continue;
            }
            let run = take(content.len());
            placed.runs.push(run);
            placed.nodes.push(Node::File(content));
            placed.files.insert(path, run);
        }
        let wanted = next - super::geometry::ROOT_CLUSTER;
        if wanted > geometry.clusters {
            bail!(
                "the boot files need {} KiB, the boot partition has {}: raise boot_mib",
                u64::from(wanted) * u64::from(geometry.cluster_bytes()) / 1024,
                u64::from(geometry.clusters) * u64::from(geometry.cluster_bytes()) / 1024
            );
        }
        Ok(placed)
    }

    fn directory_len(&self, index: usize) -> usize {
        // Label, or `.` and `..`; one entry of zeros ends the list.
        let own = if index == 0 { 1 } else { 2 };
        let children: usize = self.dirs[index]
            .children
            .iter()
            .map(|c| name::long_entries(c.name, &c.short).len() / name::ENTRY + 1)
            .sum();
        (own + children + 1) * name::ENTRY
    }

    /// The bytes of directory `index`.
    pub fn directory(
        &self,
        index: usize,
        placed: &Placed<'a>,
        label: &[u8; 11],
        stamp: Stamp,
    ) -> Vec<u8> {
        let dir = &self.dirs[index];
        let mut bytes = Vec::new();
        if index == 0 {
            bytes.extend(name::label_entry(label, stamp));
        } else {
            // The root counts as cluster 0 here.
            let parent = if dir.parent == 0 { 0 } else { placed.dirs[dir.parent].first };
            let own = placed.dirs[index].first;
            for (name, cluster) in [(b".          ", own), (b"..         ", parent)] {
                bytes.extend(name::short_entry(name, name::DIRECTORY, cluster, 0, stamp));
            }
        }
        for child in &dir.children {
            let (kind, first, size) = match child.node {
                Node::Dir(index) => (name::DIRECTORY, placed.dirs[index].first, 0),
                Node::File(content) => {
                    (name::ARCHIVE, placed.files[child.path].first, content.len() as u32)
                }
            };
            bytes.extend(name::long_entries(child.name, &child.short));
            bytes.extend(name::short_entry(&child.short, kind, first, size, stamp));
        }
        bytes
    }
}
