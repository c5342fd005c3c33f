//! What is mounted and what is swap, from the tables in proc.

/// A line of `/proc/self/mountinfo` (Linux, `Documentation/filesystems/proc`,
/// section 3.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `major:minor`; of no use for btrfs and other file systems on several
    /// devices.
    pub number: String,
    /// Where.
    pub at: String,
    /// The device's path, or what the file system calls its source.
    pub source: String,
}

/// Reads the text of mountinfo; lines of another form are skipped.
pub fn mounts(text: &str) -> Vec<Mount> {
    text.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (left, right) = line.split_once(" - ")?;
    let mut words = left.split(' ').skip(2);
    let number = words.next()?.to_owned();
    let at = unescape(words.nth(1)?);
    let source = unescape(right.split(' ').nth(1)?);
    Some(Mount { number, at, source })
}

/// The paths in `/proc/swaps`, whose first line is a heading.
pub fn swaps(text: &str) -> Vec<String> {
    text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(unescape).collect()
}

/// Undoes the kernel's `\040` for a blank, and its like.
fn unescape(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let digits = tail.get(..3).and_then(|it| std::str::from_utf8(it).ok());
        let code = digits.and_then(|it| u8::from_str_radix(it, 8).ok()).filter(|_| byte == b'\\');
        match code {
            Some(code) => {
                out.push(code);
                rest = &tail[3..];
            }
            None => {
                out.push(byte);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read() {
        // The line of proc's own documentation, and one with optional fields
        // gone and a blank in the name.
        let text = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
                    junk\n\
                    40 35 8:17 / /media/my\\040card rw - vfat /dev/sdb1 rw\n";
        let mount = |number: &str, at: &str, source: &str| Mount {
            number: number.into(),
            at: at.into(),
            source: source.into(),
        };
        let want =
            [mount("98:0", "/mnt2", "/dev/root"), mount("8:17", "/media/my card", "/dev/sdb1")];
        assert_eq!(mounts(text), want);
        let text =
            "Filename\t\tType\t\tSize\n/dev/sda2 partition 1 0 -2\n/swap\\040file file 1 0 -3\n";
        assert_eq!(swaps(text), ["/dev/sda2", "/swap file"]);
    }
}
