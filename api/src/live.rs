//! What the terminal shows: where to look after the start, and one line that lives. Knows no work.

use crate::metrics::Latency;
use crate::node::Node;
use hdrhistogram::Histogram;
use std::fmt::Write;
use std::io::{IsTerminal, Write as _};
use std::time::Duration;

/// Seconds between two updates of the live line.
pub const EVERY: Duration = Duration::from_secs(1);

/// The first screen.
pub fn welcome(node: &Node, demo_password: Option<&str>) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "\nGatehouse {} is running", env!("CARGO_PKG_VERSION"));
    if let Some(addr) = node.device_addr {
        let _ = writeln!(text, "  device port   http://{addr}/api/access/validate");
    }
    let api = node.api_addr;
    let _ = writeln!(text, "  health        http://{api}/healthz   http://{api}/readyz");
    let _ = writeln!(text, "  metrics       http://{api}/metrics");
    if let (Some(password), Some(addr)) = (demo_password, node.device_addr) {
        let _ = writeln!(text, "  operator      admin@demo.local   password and token: {password}");
        let _ = writeln!(
            text,
            "\nTry a scan:\n  curl -s http://{addr}/api/access/validate -d '{{\"device_id\":\"KQT300_001\",\"qr_data\":\"DEMO-VIP-0001\",\"api_key\":\"demo-key-001\"}}'\n\
             Once more after three seconds, and it is already inside. Watch them arrive:\n  curl -sN -H 'Authorization: Bearer {password}' http://{addr}/api/access/stream"
        );
    }
    if let Some(token) = &node.setup_token {
        let _ = writeln!(
            text,
            "\nNobody may sign in yet. Make the first administrator, with this token that is good once:\n  curl -s http://{api}/api/v1/setup -H 'Content-Type: application/json' -d '{{\"token\":\"{token}\",\"email\":\"YOU@EXAMPLE.ORG\",\"password\":\"AT LEAST 12 CHARACTERS\"}}'\n\
             or, on this machine:  gatehouse user add --email YOU@EXAMPLE.ORG --role administrator"
        );
    }
    let _ = writeln!(text, "\nStop with Ctrl-C; what happened is kept.");
    text
}

/// Is there somebody to look at a live line?
pub fn wanted(setting: Option<bool>) -> bool {
    setting.unwrap_or_else(|| std::io::stderr().is_terminal())
}

/// Numbers of the last line, to show differences.
#[derive(Default)]
pub struct Live {
    admits: u64,
    denials: u64,
}

impl Live {
    /// Writes the line over the one before.
    pub fn show(&mut self, node: &Node) {
        let line = self.line(node);
        let mut out = std::io::stderr().lock();
        let _ = write!(out, "\r\x1b[2K{line}");
        let _ = out.flush();
    }

    fn line(&mut self, node: &Node) -> String {
        let (admits, denials) = node.shared.metrics.totals();
        let (new_admits, new_denials) = (admits - self.admits, denials - self.denials);
        (self.admits, self.denials) = (admits, denials);
        let recent = merged(&node.latency);
        let engine = node.engine();
        let durable = engine.journal().positions().durable;
        let lag = durable.0.saturating_sub(engine.projected().0);
        let state = if engine.journal().poisoned() { "  POISONED: restart needed" } else { "" };
        format!(
            "{:>6} scans/s  {new_admits:>6} admitted  {new_denials:>6} refused  p99 {:>7.2} ms  store behind by {lag}  total {admits} in, {denials} refused{state}",
            new_admits + new_denials,
            recent.value_at_quantile(0.99) as f64 / 1_000.0,
        )
    }
}

fn merged(latency: &[std::sync::Arc<Latency>]) -> Histogram<u64> {
    let mut all = Histogram::new_with_bounds(1, 60_000_000, 2).expect("fixed bounds that are good");
    for worker in latency {
        let _ = all.add(worker.take_recent());
    }
    all
}
