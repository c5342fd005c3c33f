//! A browser without a screen, driven by the DevTools protocol.
//!
//! The protocol goes through two pipes (`--remote-debugging-pipe`): messages of
//! JSON, each with a zero byte behind it. So there is no port that others could
//! reach, and no WebSocket.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// No answer takes longer; a start on a busy computer may.
const ANSWER: Duration = Duration::from_secs(120);

/// What is waited for happens within this.
const PATIENCE: Duration = Duration::from_secs(120);

/// It takes the pipes as descriptors 3 and 4.
const START: &str = "exec 3<&0 4>&1 0</dev/null 1>&2; exec /usr/lib/chromium/chromium \"$@\"";

/// Quiet, for itself, and without the sandbox that root cannot have; it sees our
/// own page alone.
const OPTIONS: [&str; 12] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--hide-scrollbars",
    "--user-data-dir=/tmp/browser",
    "--remote-debugging-pipe",
];

/// A running browser.
pub struct Browser {
    child: Child,
    pipe: ChildStdin,
    messages: Receiver<Value>,
    number: u64,
    /// Everything that a page complained of.
    pub complaints: Vec<String>,
}

/// A tab.
#[derive(Clone, Debug)]
pub struct Tab(String);

impl Browser {
    /// Starts the browser in the tools root; `names` lead to this computer, all
    /// others nowhere. What it says goes to `log`.
    pub fn start(sandbox: &Sandbox, names: &[&str], log: &Path) -> Result<Self> {
        let map: Vec<_> = names.iter().map(|name| format!("MAP {name} 127.0.0.1")).collect();
        let rules = format!(
            "--host-resolver-rules={}, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
            map.join(", ")
        );
        let mut argv = vec!["sh", "-c", START, "sh"];
        argv.extend(OPTIONS);
        argv.push(&rules);
        argv.push("about:blank");
        let mut child = sandbox
            .command(&argv)?
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log)?)
            .spawn()
            .context("cannot start the browser")?;
        let pipe = child.stdin.take().context("no pipe to the browser")?;
        let out = child.stdout.take().context("no pipe from the browser")?;
        let (sender, messages) = mpsc::channel();
        std::thread::spawn(move || {
            for message in BufReader::new(out).split(0) {
                let value = message.ok().and_then(|it| serde_json::from_slice(&it).ok());
                let Some(value) = value else { return };
                if sender.send(value).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, pipe, messages, number: 0, complaints: Vec::new() })
    }

    /// Sends a command to the browser, or to a tab, and waits for its answer.
    fn call(&mut self, tab: Option<&Tab>, method: &str, params: Value) -> Result<Value> {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": params});
        if let Some(tab) = tab {
            message["sessionId"] = json!(tab.0);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.pipe.write_all(&bytes)?;
        self.pipe.flush()?;
        let deadline = Instant::now() + ANSWER;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut message = self
                .messages
                .recv_timeout(left)
                .with_context(|| format!("the browser does not answer {method}"))?;
            if message["id"] == self.number {
                ensure!(message["error"].is_null(), "{method}: {}", message["error"]);
                return Ok(message["result"].take());
            }
            self.listen(&message);
        }
    }

    fn listen(&mut self, event: &Value) {
        let params = &event["params"];
        match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.complaints.push(params["exceptionDetails"].to_string());
            }
            Some("Log.entryAdded") if params["entry"]["level"] == "error" => {
                self.complaints.push(params["entry"].to_string());
            }
            _ => {}
        }
    }

    /// Opens a page in a new tab of so many pixels.
    pub fn open(&mut self, url: &str, width: u32, height: u32, phone: bool) -> Result<Tab> {
        let target = self.call(None, "Target.createTarget", json!({"url": "about:blank"}))?;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = self.call(None, "Target.attachToTarget", attach)?;
        let tab = Tab(session["sessionId"].as_str().context("no session")?.to_owned());
        for domain in ["Page", "Runtime", "Log"] {
            self.call(Some(&tab), &format!("{domain}.enable"), json!({}))?;
        }
        self.call(
            Some(&tab),
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}),
        )?;
        let done = self.call(Some(&tab), "Page.navigate", json!({"url": url}))?;
        ensure!(done["errorText"].is_null(), "{url}: {}", done["errorText"]);
        Ok(tab)
    }

    /// What an expression comes to in a tab; promises are waited for.
    pub fn value(&mut self, tab: &Tab, expression: &str) -> Result<Value> {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut answer = self.call(Some(tab), "Runtime.evaluate", params)?;
        if !answer["exceptionDetails"].is_null() {
            bail!("{expression}: {}", answer["exceptionDetails"]["exception"]["description"]);
        }
        Ok(answer["result"]["value"].take())
    }

    /// Waits until an expression is true.
    pub fn until(&mut self, tab: &Tab, expression: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.value(tab, expression)? != json!(true) {
            if Instant::now() >= deadline {
                let page = self.value(tab, "document.body.innerText")?;
                bail!("never true: {expression}\n{}", page.as_str().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Clicks at the middle of what a selector finds, as a mouse does.
    pub fn click(&mut self, tab: &Tab, selector: &str) -> Result<()> {
        let find = format!(
            "(() => {{ const it = document.querySelector({selector:?}); \
             it.scrollIntoView({{block: 'center'}}); const box = it.getBoundingClientRect(); \
             return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let at = self.value(tab, &find)?;
        for kind in ["mousePressed", "mouseReleased"] {
            let event =
                json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.call(Some(tab), "Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// The names by which people who do not see find what has a role.
    pub fn names(&mut self, tab: &Tab, role: &str) -> Result<Vec<String>> {
        let tree = self.call(Some(tab), "Accessibility.getFullAXTree", json!({}))?;
        let nodes = tree["nodes"].as_array().context("no accessibility tree")?;
        let named = nodes.iter().filter(|node| node["role"]["value"] == role);
        Ok(named.map(|it| it["name"]["value"].as_str().unwrap_or_default().to_owned()).collect())
    }

    /// A picture of what a tab shows, as PNG.
    pub fn picture(&mut self, tab: &Tab, file: &Path) -> Result<()> {
        let shot = self.call(Some(tab), "Page.captureScreenshot", json!({"format": "png"}))?;
        let bytes = STANDARD.decode(shot["data"].as_str().context("no picture")?)?;
        std::fs::write(file, bytes).with_context(|| format!("cannot write {}", file.display()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its namespace ends with it, and so do its helpers.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
