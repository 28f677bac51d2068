//! Who listens on a port: a second server that shares it in silence (`SO_REUSEPORT`) would take half of the load and
//! nobody would see it. Knows /proc; knows nothing of what is served.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context, Result, ensure};

/// `st` of a socket that listens (include/net/tcp_states.h).
const LISTENS: &str = "0A";

/// Refuses a port somebody listens on already, shared or not.
///
/// # Errors
/// Somebody does, or /proc cannot be read.
pub fn ensure_free(addr: SocketAddr) -> Result<()> {
    let count = sockets_at(addr.port())?.len();
    ensure!(count == 0, "port {} is taken: {count} sockets listen on it (a forgotten server?)", addr.port());
    // An exclusive bind also finds what waits to be closed.
    TcpListener::bind(addr).with_context(|| format!("port {} is taken", addr.port()))?;
    Ok(())
}

/// Refuses to go on unless exactly one socket listens on the port and it is this process's.
///
/// # Errors
/// Another shares the port, or nobody of this process listens.
pub fn ensure_alone(addr: SocketAddr, pid: u32) -> Result<()> {
    let (all, own) = (sockets_at(addr.port())?, sockets_of(pid)?);
    let others = all.difference(&own).count();
    ensure!(
        others == 0,
        "{others} sockets of other processes listen on port {}, shared with process {pid}: the answers are not its alone",
        addr.port()
    );
    ensure!(
        all.len() == 1,
        "process {pid} listens on port {} with {} sockets, not one",
        addr.port(),
        all.len()
    );
    Ok(())
}

/// Inodes of the sockets that listen on a port, on any address.
fn sockets_at(port: u16) -> Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(path) {
            Ok(text) => inodes.extend(listening(&text, port)),
            // A kernel without IPv6 has no second table.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("read {path}")),
        }
    }
    Ok(inodes)
}

/// The lines of a table: number, local address, remote address, state, ..., inode as the tenth word.
fn listening(table: &str, port: u16) -> Vec<u64> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let (_, own) = words.get(1)?.rsplit_once(':')?;
        let is_ours = u16::from_str_radix(own, 16) == Ok(port) && *words.get(3)? == LISTENS;
        is_ours.then(|| words.get(9)?.parse().ok()).flatten()
    };
    table.lines().skip(1).filter_map(line).collect()
}

fn sockets_of(pid: u32) -> Result<BTreeSet<u64>> {
    let descriptors = format!("/proc/{pid}/fd");
    let entries = fs::read_dir(&descriptors).with_context(|| format!("read {descriptors}"))?;
    // A descriptor may be closed between the listing and the reading.
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let inode = |link: std::path::PathBuf| {
        link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok()
    };
    Ok(links.filter_map(inode).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_table_is_understood() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100\n\
            1: 0100007F:1F90 0100007F:A000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100\n\
            2: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100\n";
        assert_eq!(listening(table, 8080), [4711]);
        assert_eq!(listening(table, 80), [4713]);
        assert!(listening(table, 81).is_empty());
    }

    #[test]
    fn a_port_is_free_then_ours_alone_and_a_stranger_s_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        ensure_alone(addr, std::process::id()).unwrap();
        assert!(ensure_free(addr).unwrap_err().to_string().contains("is taken"));
        // Process 1 has no socket of ours; where it may not be looked at, that is an error as well.
        assert!(ensure_alone(addr, 1).is_err());
        drop(listener);
        ensure_free(addr).unwrap();
        assert!(ensure_alone(addr, std::process::id()).unwrap_err().to_string().contains("with 0 sockets"));
    }
}
