//! Tests in a network namespace of their own: the test program runs itself again
//! there, as root of a user namespace.

use std::process::Command;
use std::sync::mpsc;
use std::thread;

const INSIDE: &str = "A7670E_TEST_INSIDE";

/// Runs the test `name` again inside. True in the outer run, which is then done.
pub fn outside(name: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--net", "--mount"])
        .args([
            "sh",
            "-c",
            r#"mount -t sysfs sysfs /sys && exec "$0" --exact "$1" --nocapture --include-ignored"#,
        ])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(INSIDE, "1")
        .output()
        .expect("needs unshare(1) of util-linux");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("1 passed"), "no test ran inside: {text}");
    // For who asked to see it.
    print!("{text}");
    true
}

/// Runs ip(8), and gives what it prints.
pub fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("needs iproute2");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

/// Moves the link `peer` to another namespace, beyond its other end, where
/// `open` prepares sockets and `serve` then uses them for as long as the
/// process lives. Comes back when `open` is done. In one namespace the kernel
/// would take packets that bear an address of its own for forged.
pub fn beyond<T: 'static>(
    peer: &str,
    open: impl FnOnce() -> T + Send + 'static,
    serve: impl FnOnce(T) + Send + 'static,
) {
    let (tell, told) = mpsc::channel();
    let (go, gone) = mpsc::channel();
    thread::spawn(move || {
        // SAFETY: only this thread changes its network namespace; no memory is
        // concerned.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0);
        tell.send(rustix::thread::gettid()).unwrap();
        gone.recv().unwrap();
        // A child process is born in this thread's namespace.
        let opened = open();
        tell.send(rustix::thread::gettid()).unwrap();
        serve(opened);
    });
    let thread = told.recv().unwrap();
    ip(&format!("link set {peer} netns {}", thread.as_raw_nonzero()));
    go.send(()).unwrap();
    told.recv().unwrap();
}
