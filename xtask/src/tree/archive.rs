//! Roots as tar archives: numeric owners, entries in path order, no access or
//! change times, so that equal roots are equal bytes.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tar::{Archive, Builder, EntryType, Header};

use super::root::{Content, Entry, Kind, Root};

/// Prefix of extended attributes in PAX headers, as star, GNU tar and
/// libarchive write them.
const XATTR: &str = "SCHILY.xattr.";

/// Reads the directory of a tar; contents stay in the file.
pub fn read(path: &Path) -> Result<Root> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let file = Arc::new(file);
    let mut root = Root::default();
    let mut archive = Archive::new(file.as_ref());
    for entry in archive.entries_with_seek()? {
        let mut entry = entry.with_context(|| format!("{} is no sound tar", path.display()))?;
        let name = utf8(&entry.path_bytes())?;
        let name = clean(&name);
        let one = one(&mut entry, &file)
            .with_context(|| format!("entry {name:?} of {}", path.display()))?;
        root.entries.insert(name, one);
    }
    Ok(root)
}

fn one<R: Read>(entry: &mut tar::Entry<'_, R>, file: &Arc<File>) -> Result<Entry> {
    let xattrs = xattrs(entry)?;
    let header = entry.header();
    let target = || match entry.link_name_bytes() {
        Some(name) => utf8(&name),
        None => bail!("a link without a target"),
    };
    let device = |char| -> Result<Kind> {
        let part = |n: io::Result<Option<u32>>| n.map(Option::unwrap_or_default);
        Ok(Kind::Device(char, part(header.device_major())?, part(header.device_minor())?))
    };
    let kind = match header.entry_type() {
        EntryType::Directory => Kind::Dir,
        EntryType::Regular | EntryType::Continuous => Kind::File(Content::Range {
            file: file.clone(),
            offset: entry.raw_file_position(),
            len: entry.size(),
        }),
        EntryType::Symlink => Kind::Link(target()?),
        EntryType::Link => Kind::Same(clean(&target()?)),
        EntryType::Char => device(true)?,
        EntryType::Block => device(false)?,
        EntryType::Fifo => Kind::Fifo,
        other => bail!("entries of type {other:?} are not supported"),
    };
    Ok(Entry {
        kind,
        mode: header.mode()? & 0o7777,
        uid: u32::try_from(header.uid()?)?,
        gid: u32::try_from(header.gid()?)?,
        mtime: header.mtime()?,
        xattrs,
    })
}

fn xattrs<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Vec<(String, Vec<u8>)>> {
    let mut all = Vec::new();
    for extension in entry.pax_extensions()?.into_iter().flatten() {
        let extension = extension?;
        if let Some(name) = extension.key()?.strip_prefix(XATTR) {
            all.push((name.to_owned(), extension.value_bytes().to_vec()));
        }
    }
    all.sort();
    Ok(all)
}

/// Writes `root`; times later than `epoch` (seconds since 1970) become it.
pub fn write(root: &Root, path: &Path, epoch: u64) -> Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut builder = Builder::new(BufWriter::with_capacity(1 << 20, file));
    for (name, entry) in &root.entries {
        append(&mut builder, root, name, entry, epoch)
            .with_context(|| format!("cannot put /{name} into {}", path.display()))?;
    }
    let mut writer = builder.into_inner()?;
    writer.flush().with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}

fn append(
    builder: &mut Builder<impl Write>,
    root: &Root,
    name: &str,
    entry: &Entry,
    epoch: u64,
) -> Result<()> {
    // A reader such as mke2fs gives a file the attributes of the *last* header
    // that names it, so every name of a file repeats those of the file.
    let attributes = match &entry.kind {
        Kind::Same(other) => root
            .get(other)
            .with_context(|| format!("it is another name of /{other}, which is not there"))?,
        _ => entry,
    };
    let mut header = Header::new_ustar();
    let mut pax: Vec<(String, Vec<u8>)> = attributes
        .xattrs
        .iter()
        .map(|(name, value)| (format!("{XATTR}{name}"), value.clone()))
        .collect();
    let is_dir = matches!(entry.kind, Kind::Dir);
    let full = if is_dir { format!("./{name}/").replace("//", "/") } else { format!("./{name}") };
    if header.set_path(&full).is_err() {
        pax.push(("path".into(), full.into_bytes()));
    }
    let mut link = |header: &mut Header, target: &str| {
        // Not `set_link_name`, which would change "a//b" and the like.
        if header.set_link_name_literal(target).is_err() {
            pax.push(("linkpath".into(), target.as_bytes().to_vec()));
        }
    };
    let mut content = None;
    match &entry.kind {
        Kind::Dir => header.set_entry_type(EntryType::Directory),
        Kind::Fifo => header.set_entry_type(EntryType::Fifo),
        Kind::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            link(&mut header, target);
        }
        Kind::Same(other) => {
            header.set_entry_type(EntryType::Link);
            link(&mut header, &format!("./{other}"));
        }
        Kind::Device(char, major, minor) => {
            header.set_entry_type(if *char { EntryType::Char } else { EntryType::Block });
            header.set_device_major(*major)?;
            header.set_device_minor(*minor)?;
        }
        Kind::File(file) => {
            header.set_entry_type(EntryType::Regular);
            content = Some(file);
        }
    }
    let size = content.map_or(0, Content::len);
    header.set_mode(attributes.mode);
    header.set_uid(attributes.uid.into());
    header.set_gid(attributes.gid.into());
    header.set_mtime(attributes.mtime.min(epoch));
    header.set_size(size);
    header.set_cksum();
    pax.sort();
    builder.append_pax_extensions(pax.iter().map(|(k, v)| (k.as_str(), v.as_slice())))?;
    match content {
        None => builder.append(&header, io::empty())?,
        Some(content) => {
            let mut counted = Counted { inner: content.open()?, count: 0 };
            builder.append(&header, &mut counted)?;
            if counted.count != size {
                bail!("the file changed its size while it was read");
            }
        }
    }
    Ok(())
}

/// Counts what was read, since a short file would shift all that follows.
struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count += n as u64;
        Ok(n)
    }
}

fn utf8(bytes: &[u8]) -> Result<String> {
    String::from_utf8(bytes.to_vec())
        .with_context(|| format!("the name {:?} is no UTF-8", String::from_utf8_lossy(bytes)))
}

/// `./usr/bin/` as `usr/bin`.
fn clean(name: &str) -> String {
    name.split('/').filter(|p| !p.is_empty() && *p != ".").collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Root {
        let mut root = Root::default();
        let mut file = Entry::file("hello", 0o4755, 50);
        (file.uid, file.gid) = (7, 8);
        file.xattrs = vec![("security.capability".into(), vec![1, 0, 0, 2, 0, 32])];
        root.entries.insert(String::new(), Entry::new(Kind::Dir, 0o755, 1));
        root.put("d/file", file).unwrap();
        root.put("d/same", Entry::new(Kind::Same("d/file".into()), 0, 0)).unwrap();
        root.put("link", Entry::new(Kind::Link("/a//b".into()), 0o777, 3)).unwrap();
        root.put("null", Entry::new(Kind::Device(true, 1, 3), 0o666, 3)).unwrap();
        root.put("pipe", Entry::new(Kind::Fifo, 0o600, 3)).unwrap();
        let long = format!("d/{}/{}", "n".repeat(150), "m".repeat(150));
        root.put(&long, Entry::file("", 0o644, 3)).unwrap();
        root
    }

    #[test]
    fn everything_survives_and_equal_roots_are_equal_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        let root = sample();
        write(&root, &a, 40).unwrap();
        let back = read(&a).unwrap();
        assert_eq!(
            back.entries.keys().collect::<Vec<_>>(),
            root.entries.keys().collect::<Vec<_>>()
        );
        let file = back.get("d/file").unwrap();
        assert_eq!((file.mode, file.uid, file.gid), (0o4755, 7, 8));
        assert_eq!(file.mtime, 40, "a later time becomes the epoch");
        assert_eq!(file.xattrs, root.get("d/file").unwrap().xattrs);
        assert_eq!(back.text("d/file").unwrap(), "hello");
        assert!(matches!(&back.get("link").unwrap().kind, Kind::Link(t) if t == "/a//b"));
        assert!(matches!(back.get("null").unwrap().kind, Kind::Device(true, 1, 3)));
        let same = back.get("d/same").unwrap();
        assert_eq!((same.mode, same.uid), (0o4755, 7), "links repeat mode and owner");
        write(&back, &b, 40).unwrap();
        assert_eq!(std::fs::read(a).unwrap(), std::fs::read(b).unwrap());
    }

    #[test]
    fn a_link_to_nothing_is_an_error() {
        let mut root = Root::default();
        root.put("x", Entry::new(Kind::Same("gone".into()), 0, 0)).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let error = write(&root, &dir.path().join("t"), 0).unwrap_err();
        assert!(format!("{error:#}").contains("/gone"), "{error:#}");
    }
}
