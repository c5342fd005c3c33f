//! The image's whole tree, `root.tar`: the configured packages, the kernel's
//! modules, our program and files, and what the definition adds. All of it is
//! data until the last moment, so no privilege and no namespace is needed.

pub mod archive;
pub mod folder;
mod layer;
pub mod root;
mod units;
mod users;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::definition::Definition;
use crate::stage::{self, Inputs, Stage};
use root::{Content, Entry, Kind, Root};

/// Changes when the result may change for the same inputs.
const VERSION: &str = "1";

/// Files of every image, laid over the root.
const FILES: &str = "images/files";

/// Programs, modules and packages that make the tree.
pub struct TreeInputs<'a> {
    /// The stage `rootfs`, with `rootfs.tar`.
    pub rootfs: &'a Stage,
    /// The kernel's modules: a folder that bears the release's name, as in
    /// `lib/modules/6.12.1`.
    pub modules: Option<&'a Path>,
    /// The arm64 program that becomes /usr/bin/a7670e.
    pub program: &'a Path,
    /// What the image is to be.
    pub definition: &'a Definition,
    /// The latest time that a file may bear, in seconds since 1970.
    pub epoch: u64,
}

/// Makes `root.tar`, or finds it in the cache.
pub fn build(ctx: &Context, inputs: &TreeInputs<'_>) -> Result<Stage> {
    let definition = inputs.definition;
    let mut all = Inputs::new()
        .value("layout", VERSION)
        .value("rootfs", inputs.rootfs.dir.file_name().unwrap_or_default().to_string_lossy())
        .path("program", inputs.program)?
        .path("files", &ctx.path(FILES))?
        .value("hostname", definition.hostname.get_ref())
        .value("users", users_text(definition))
        .value("epoch", inputs.epoch.to_string());
    if let Some(modules) = inputs.modules {
        all = all.path("modules", modules)?.value("release", release(modules)?);
    }
    for (index, overlay) in definition.overlay.iter().enumerate() {
        all = all.path(&format!("overlay {index}"), overlay.get_ref())?;
    }
    stage::run(ctx, "tree", all, |room| {
        room.step.message("reading the packages");
        let mut tree = archive::read(&inputs.rootfs.path("rootfs.tar"))?;
        assemble(&mut tree, inputs, &ctx.path(FILES))?;
        room.step.message("writing");
        archive::write(&tree, &room.out.join("root.tar"), inputs.epoch)
    })
}

fn assemble(tree: &mut Root, inputs: &TreeInputs<'_>, files: &Path) -> Result<()> {
    let (definition, epoch) = (inputs.definition, inputs.epoch);
    if let Some(modules) = inputs.modules {
        let at = format!("usr/lib/modules/{}", release(modules)?);
        layer::lay(tree, modules, &at, epoch)?;
    }
    let len = inputs
        .program
        .metadata()
        .with_context(|| format!("no program at {}", inputs.program.display()))?
        .len();
    let program = Kind::File(Content::Path { path: inputs.program.to_owned(), len });
    tree.put("usr/bin/a7670e", Entry::new(program, 0o755, epoch))?;
    names(tree, definition.hostname.get_ref(), epoch)?;
    let mut landed = layer::lay(tree, files, "", epoch)?;
    users::add(tree, &definition.users, epoch)?;
    // Last, so that the integrator has the last word.
    for overlay in &definition.overlay {
        landed.extend(layer::lay(tree, overlay.get_ref(), "", epoch)?);
    }
    units::preset(tree, &landed, epoch)
}

/// /etc/hostname and /etc/hosts.
fn names(tree: &mut Root, hostname: &str, epoch: u64) -> Result<()> {
    let hosts = format!(
        "127.0.0.1\tlocalhost\n\
         127.0.1.1\t{hostname}\n\
         ::1\tlocalhost ip6-localhost ip6-loopback\n\
         ff02::1\tip6-allnodes\n\
         ff02::2\tip6-allrouters\n"
    );
    tree.put("etc/hostname", Entry::file(format!("{hostname}\n"), 0o644, epoch))?;
    tree.put("etc/hosts", Entry::file(hosts, 0o644, epoch))?;
    Ok(())
}

fn release(modules: &Path) -> Result<&str> {
    modules
        .file_name()
        .and_then(|name| name.to_str())
        .with_context(|| format!("{} names no kernel release", modules.display()))
}

fn users_text(definition: &Definition) -> String {
    let mut text = String::new();
    for user in &definition.users {
        text += &format!("{} {}\n", user.name.get_ref(), user.sudo);
        user.ssh_keys.iter().for_each(|key| text += &format!("  {}\n", key.get_ref()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree as the stage makes it, from parts too small to boot.
    fn made(hostname: &str) -> Vec<u8> {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (path, text) in [
            ("files/etc/hosts", "own\n"),
            ("files/usr/lib/systemd/system/a.service", "[Install]\nWantedBy=x.target\n"),
            ("files/usr/lib/systemd/system-preset/1.preset", "enable a.service\n"),
            ("6.12.1/modules.dep", ""),
            ("program", "\x7fELF"),
            ("overlay/lib/over", "o"),
        ] {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), text).unwrap();
        }
        let text = format!("hostname='{hostname}'\noverlay=['overlay']\n");
        let definition = Definition::parse(&text, dir.path()).unwrap();
        let rootfs = Stage {
            name: "rootfs".into(),
            dir: dir.path().to_owned(),
            inputs: Inputs::new(),
            took: None,
        };
        let mut tree = Root::default();
        tree.entries.insert(String::new(), Entry::new(Kind::Dir, 0o755, 0));
        tree.put("usr/lib", Entry::new(Kind::Dir, 0o755, 0)).unwrap();
        tree.put("lib", Entry::new(Kind::Link("usr/lib".into()), 0o777, 0)).unwrap();
        let inputs = TreeInputs {
            rootfs: &rootfs,
            modules: Some(&at("6.12.1")),
            program: &at("program"),
            definition: &definition,
            epoch: 77,
        };
        assemble(&mut tree, &inputs, &at("files")).unwrap();
        archive::write(&tree, &at("root.tar"), 77).unwrap();
        std::fs::read(at("root.tar")).unwrap()
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes_elsewhere() {
        assert_eq!(made("pi"), made("pi"));
        assert_ne!(made("pi"), made("po"));
    }

    /// A unit of ours that no preset names would lie in the image unused.
    #[test]
    fn every_own_unit_is_preset() {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/files");
        let list = |dir: &str| -> Vec<_> {
            let dir = files.join("usr/lib/systemd").join(dir);
            dir.read_dir().unwrap().map(|e| e.unwrap().path()).collect()
        };
        let presets: String =
            list("system-preset").iter().map(|p| std::fs::read_to_string(p).unwrap()).collect();
        let mut count = 0;
        for unit in list("system").iter().filter(|p| p.is_file()) {
            let text = std::fs::read_to_string(unit).unwrap();
            if text.contains("[Install]") {
                count += 1;
                let name = unit.file_name().unwrap().to_str().unwrap();
                let named = |word| presets.lines().any(|l| l == format!("{word} {name}"));
                assert!(named("enable") || named("disable"), "no preset names {name}");
            }
        }
        assert!(count > 0, "no unit of ours was found");
    }

    #[test]
    fn everything_is_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("t");
        std::fs::write(&file, made("pi")).unwrap();
        let tree = archive::read(&file).unwrap();
        assert_eq!(tree.text("etc/hostname").unwrap(), "pi\n");
        assert_eq!(tree.text("etc/hosts").unwrap(), "own\n", "files win over what is made");
        assert_eq!(tree.get("usr/bin/a7670e").unwrap().mode, 0o755);
        for path in [
            "usr/lib/over",
            "usr/lib/modules/6.12.1/modules.dep",
            "etc/systemd/system/x.target.wants/a.service",
        ] {
            assert!(tree.get(path).is_some(), "{path}");
        }
        assert!(tree.entries.values().all(|e| e.mtime <= 77 && e.uid == 0));
    }
}
