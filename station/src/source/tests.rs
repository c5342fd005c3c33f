//! Tests of images and what lies beside them.

use std::fs;
use std::io::Write;

use sha2::{Digest, Sha256};

use super::*;

/// Text-like, then zeros, then noise: 3 MiB and a bit.
fn image() -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..1 << 20).map(|i| b"station image "[i % 14]).collect();
    bytes.resize(2 << 20, 0);
    let mut x = 1_u32;
    bytes.extend((0..(1 << 20) + 700).map(|_| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    }));
    bytes
}

/// All of a stream.
fn read(source: &Source) -> Result<(Vec<u8>, Verdict), SourceError> {
    let mut stream = source.stream()?;
    let mut all = vec![0; 5 << 20];
    let count = stream.fill(&mut all)?;
    all.truncate(count);
    Ok((all, stream.finish()?))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut out = liblzma::write::XzEncoder::new(Vec::new(), 0);
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn every_form_gives_the_image() {
    let dir = tempfile::tempdir().unwrap();
    let image = image();
    let half = image.len() / 2;
    let twice = |pack: fn(&[u8]) -> Vec<u8>| [pack(&image[..half]), pack(&image[half..])].concat();
    let forms = [image.clone(), twice(zst), twice(xz), twice(gzip)];
    // The name does not decide.
    let path = dir.path().join("card.bin");
    for (number, bytes) in forms.iter().enumerate() {
        fs::write(&path, bytes).unwrap();
        let source = Source::new(&path, &Options::default()).unwrap();
        let (all, verdict) = read(&source).unwrap();
        assert!(all == image, "form {number}");
        assert_eq!(verdict.sha256, hex::encode(Sha256::digest(bytes)), "form {number}");
        assert!(!verdict.checksum && verdict.signed.is_none());
        assert_eq!(source.size(), (number == 0).then_some(image.len() as u64));
    }
}

#[test]
fn a_cut_off_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    for pack in [zst, xz, gzip] {
        let mut bytes = pack(&image());
        bytes.truncate(bytes.len() - 20);
        fs::write(&path, bytes).unwrap();
        read(&Source::new(&path, &Options::default()).unwrap()).unwrap_err();
    }
    fs::write(&path, "PK\x03\x04").unwrap();
    let error = Source::new(&path, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("zip"), "{error}");
}

#[test]
fn a_checksum_beside_it_is_held_against_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.img.gz");
    let bytes = gzip(b"content of a card");
    fs::write(&path, &bytes).unwrap();
    let sum = hex::encode(Sha256::digest(&bytes));
    let sums = dir.path().join("a.img.gz.sha256");
    for good in
        [format!("{sum}\n"), format!("00  b\n{sum} *a.img.gz\n"), format!("{sum}  a.img.gz")]
    {
        fs::write(&sums, good).unwrap();
        assert!(read(&Source::new(&path, &Options::default()).unwrap()).unwrap().1.checksum);
    }
    fs::write(&sums, format!("{}  a.img.gz", sum.replace(|c| c != '0', "1"))).unwrap();
    let error = read(&Source::new(&path, &Options::default()).unwrap()).unwrap_err().to_string();
    assert!(error.contains(&sum) && error.contains("damaged"), "{error}");
    fs::write(&sums, "no digest").unwrap();
    Source::new(&path, &Options::default()).unwrap_err();
}

#[test]
fn a_signature_is_verified_by_the_key_that_is_given_or_lies_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.img");
    fs::write(&path, image()).unwrap();
    let pair = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let file = fs::File::open(&path).unwrap();
    let signature = minisign::sign(None, &pair.sk, file, Some("of the test"), None).unwrap();
    let with_key = Options { key: Some(pair.pk.to_base64()), ..Options::default() };
    let error = Source::new(&path, &with_key).unwrap_err().to_string();
    assert!(error.contains("a.img.minisig"), "{error}");

    fs::write(dir.path().join("a.img.minisig"), signature.to_string()).unwrap();
    let source = Source::new(&path, &Options::default()).unwrap();
    assert!(source.checks().unchecked.is_some());
    let source = Source::new(&path, &with_key).unwrap();
    assert_eq!(read(&source).unwrap().1.signed.as_deref(), Some("of the test"));
    let beside = dir.path().join("minisign.pub");
    fs::write(&beside, pair.pk.to_box().unwrap().to_string()).unwrap();
    let source = Source::new(&path, &Options::default()).unwrap();
    assert!(read(&source).unwrap().1.signed.is_some());

    let other = minisign::KeyPair::generate_unencrypted_keypair().unwrap();
    let options = Options { key: Some(other.pk.to_base64()), ..Options::default() };
    let source = Source::new(&path, &options).unwrap();
    assert!(read(&source).unwrap_err().to_string().contains("signature"));
    let mut damaged = image();
    damaged[1 << 20] = 1;
    fs::write(&path, damaged).unwrap();
    let error = read(&Source::new(&path, &with_key).unwrap()).unwrap_err().to_string();
    assert!(error.contains("not by this key"), "{error}");
}
