//! Where messages may go: what an address may look like, and which hosts of the network may be spoken to. The host's own
//! address is looked at when the connection is made, so that a name which points somewhere else by then is no way in.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Longest address of a receiver, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// Which hosts may be spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those of the public internet, by HTTPS.
    Public,
    /// Those of private networks and this machine too, also without encryption. Never neighbours of the link, where clouds
    /// keep their secrets.
    Private,
}

/// Networks of IPv4 that are not the public internet: address and bits.
const NOT_PUBLIC_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];
/// Networks within 2000::/3, the public part of IPv6, that are not public: they lead to IPv4 or nowhere.
const NOT_PUBLIC_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
/// Where a cloud's machines find their secrets by IPv6.
const METADATA_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);

impl Reach {
    /// May this host be spoken to?
    pub fn covers(self, addr: IpAddr) -> bool {
        let addr = addr.to_canonical();
        match self {
            Reach::Public => is_public(addr),
            Reach::Private => is_public(addr) || !is_never_spoken_to(addr),
        }
    }

    /// Can messages go to this address? What its name means is looked at when it is used.
    ///
    /// # Errors
    /// What is wrong with it, and what it must be.
    pub fn check(self, url: &str) -> Result<Uri, String> {
        if url.len() > URL_BYTES_MAX {
            return Err(format!("an address has at most {URL_BYTES_MAX} bytes"));
        }
        let not_one = |_| "this is no address; write https://host/path".to_owned();
        let uri: Uri = url.parse().map_err(not_one)?;
        match (uri.scheme_str(), self) {
            (Some("https"), _) | (Some("http"), Reach::Private) => {}
            (Some("http"), Reach::Public) => return Err("only https:// is spoken to public hosts".to_owned()),
            _ => return Err("an address begins with https://".to_owned()),
        }
        let authority = uri.authority().ok_or("this address names no host")?;
        if authority.as_str().contains('@') || url.contains('#') {
            return Err(
                "no user, password or fragment belongs into an address; messages are signed".to_owned()
            );
        }
        self.check_host(authority.host())?;
        Ok(uri)
    }

    fn check_host(self, host: &str) -> Result<(), String> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let refused = || {
            "hosts of private networks are not spoken to; who runs this server may allow it with \
             webhook_private_networks"
                .to_owned()
        };
        if let Ok(addr) = bare.parse::<IpAddr>() {
            return if self.covers(addr) { Ok(()) } else { Err(refused()) };
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        // 2130706433, 0x7f.1 and 0177.0.0.1 are numbers to a resolver, and no name ends in one.
        if !is_name || last.is_empty() || last.starts_with(|first: char| first.is_ascii_digit()) {
            return Err("write a host's name, or its address as four decimal numbers".to_owned());
        }
        if self == Reach::Public && last == "localhost" {
            return Err(refused());
        }
        Ok(())
    }
}

fn is_public(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => !NOT_PUBLIC_V4.iter().any(|(net, bits)| in_v4(addr, *net, *bits)),
        IpAddr::V6(addr) => {
            in_v6(addr, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
                && !NOT_PUBLIC_V6.iter().any(|(net, bits)| in_v6(addr, *net, *bits))
        }
    }
}

/// Neither public nor private, whatever is allowed.
fn is_never_spoken_to(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => addr.is_link_local() || addr.octets()[0] == 0 || addr.octets()[0] >= 224,
        IpAddr::V6(addr) => {
            let private = addr.is_loopback() || addr.is_unique_local();
            !private || addr == METADATA_V6
        }
    }
}

fn in_v4(addr: Ipv4Addr, net: Ipv4Addr, bits: u32) -> bool {
    (addr.to_bits() ^ net.to_bits()) >> (32 - bits) == 0
}

fn in_v6(addr: Ipv6Addr, net: Ipv6Addr, bits: u32) -> bool {
    (addr.to_bits() ^ net.to_bits()) >> (128 - bits) == 0
}

/// Resolves names, and keeps back every address that may not be spoken to.
#[derive(Debug)]
pub struct Guarded {
    /// Which may.
    pub reach: Reach,
    /// Who is asked.
    pub inner: DefaultResolver,
}

impl Resolver for Guarded {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.inner.resolve(uri, config, timeout)?;
        let mut kept = self.empty();
        found
            .iter()
            .filter(|addr: &&SocketAddr| self.reach.covers(addr.ip()))
            .for_each(|addr| kept.push(*addr));
        if kept.is_empty() {
            let text = "its name leads into a private network, where nothing is sent";
            return Err(ureq::Error::Other(text.into()));
        }
        Ok(kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(reach: Reach, addr: &str) -> bool {
        reach.covers(addr.parse().unwrap())
    }

    #[test]
    fn hosts_of_private_networks_are_not_spoken_to_in_any_form_of_their_address() {
        for private in [
            "127.0.0.1",
            "127.255.255.254",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "198.18.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "fc00::1",
            "fd12::1",
        ] {
            assert!(!covers(Reach::Public, private), "{private}");
            assert!(covers(Reach::Private, private), "{private}");
        }
        for never in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001::1",
            "2001:db8::1",
            "::127.0.0.1",
            "100::1",
            "3fff::1",
            "5f00::1",
        ] {
            assert!(!covers(Reach::Public, never), "{never}");
            assert!(!covers(Reach::Private, never), "{never}");
        }
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "193.0.0.1", "2606:4700::1111", "2a00:1450::1"]
        {
            assert!(covers(Reach::Public, public) && covers(Reach::Private, public), "{public}");
        }
    }

    #[test]
    fn an_address_is_https_with_a_name_and_no_secrets() {
        for good in [
            "https://example.org",
            "https://example.org:8443/a/b?c=d",
            "https://1.1.1.1/",
            "https://[2606:4700::1]/",
        ] {
            Reach::Public.check(good).unwrap_or_else(|wrong| panic!("{good}: {wrong}"));
        }
        for wrong in [
            "",
            "example.org",
            "/path",
            "ftp://example.org",
            "http://example.org",
            "https://",
            "https:///x",
            "https://user:word@example.org",
            "https://user@example.org",
            "https://example.org/#part",
            "https://localhost",
            "https://LOCALHOST./",
            "https://a.localhost",
            "https://127.0.0.1",
            "https://2130706433",
            "https://0x7f000001",
            "https://0x7f.1",
            "https://0177.0.0.1",
            "https://127.1",
            "https://017700000001",
            "https://[::1]",
            "https://[::ffff:127.0.0.1]",
            "https://[::ffff:7f00:1]",
            "https://169.254.169.254/latest",
            "https://10.0.0.1",
            "https://0/",
            "https://[fe80::1%25eth0]/",
            "https://exa mple.org",
            "https://example.org\r\nX: y",
            "file:///etc/passwd",
            "https://127.0.0.1.",
        ] {
            assert!(Reach::Public.check(wrong).is_err(), "{wrong}");
        }
        assert!(Reach::Public.check(&format!("https://example.org/{}", "x".repeat(URL_BYTES_MAX))).is_err());
        for allowed in
            ["http://127.0.0.1:80/x", "http://localhost/x", "https://10.1.2.3/", "http://[::1]:8080/"]
        {
            Reach::Private.check(allowed).unwrap_or_else(|wrong| panic!("{allowed}: {wrong}"));
        }
        for never in [
            "http://169.254.169.254/",
            "http://0/",
            "http://0.0.0.0/",
            "http://2130706433/",
            "http://a:b@10.0.0.1/",
        ] {
            assert!(Reach::Private.check(never).is_err(), "{never}");
        }
    }
}
