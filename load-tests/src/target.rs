//! The address a run speaks to, and one small blocking question to it. Knows `http://host:port`; knows no TLS and no paths.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use crate::limits;

/// Where the device port listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The resolved address.
    pub addr: SocketAddr,
    /// What goes into the `Host` header.
    pub host: String,
}

// === impl Target ===

impl Target {
    /// The target at `addr`.
    pub fn at(addr: SocketAddr) -> Target {
        Target { addr, host: addr.to_string() }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let host =
            text.strip_prefix("http://").ok_or("expected http://HOST:PORT (TLS is not spoken here)")?;
        let host = host.trim_end_matches('/');
        if host.contains('/') {
            return Err("expected http://HOST:PORT without a path: the paths are known".to_owned());
        }
        let named = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
        let mut addrs =
            named.to_socket_addrs().map_err(|error| format!("cannot resolve {named}: {error}"))?;
        let addr = addrs.next().ok_or_else(|| format!("{named} has no address"))?;
        Ok(Target { addr, host: host.to_owned() })
    }
}

/// Asks `GET path` on a connection of its own and returns the status; every step is bounded by `wait_max`.
pub fn get_status(addr: SocketAddr, path: &str, wait_max: Duration) -> io::Result<u16> {
    let mut stream = get(addr, path, wait_max)?;
    let mut line = [0_u8; 12];
    stream.read_exact(&mut line)?;
    crate::reply::status_of(&line)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "not an HTTP reply"))
}

/// Asks `GET path` on a connection of its own and returns the whole reply, head and body; every read is bounded by
/// `wait_max`, and the reply by [`limits::PAGE_BYTES_MAX`].
pub fn get_page(addr: SocketAddr, path: &str, wait_max: Duration) -> io::Result<String> {
    let mut page = String::new();
    get(addr, path, wait_max)?.take(limits::PAGE_BYTES_MAX).read_to_string(&mut page)?;
    Ok(page)
}

fn get(addr: SocketAddr, path: &str, wait_max: Duration) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&addr, wait_max.min(limits::CONNECT_WAIT))?;
    stream.set_read_timeout(Some(wait_max))?;
    stream.set_write_timeout(Some(wait_max))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_url_is_understood() {
        let target: Target = "http://127.0.0.1:8080/".parse().unwrap();
        assert_eq!(target, Target { addr: "127.0.0.1:8080".parse().unwrap(), host: "127.0.0.1:8080".into() });
    }

    #[test]
    fn a_path_and_another_scheme_are_refused_with_a_reason() {
        assert!("https://127.0.0.1:8080".parse::<Target>().unwrap_err().contains("TLS"));
        assert!("http://127.0.0.1:8080/api".parse::<Target>().unwrap_err().contains("path"));
    }
}
